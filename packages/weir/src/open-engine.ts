import { join } from "node:path";
import { Engine } from "@weir/engine";
import type { EngineEvent } from "@weir/engine";
import { directoryStore } from "@weir/log";
import type { LogStore } from "@weir/log";
import { loadCompiled } from "./compiled.ts";

/**
 * Loads the project and opens its engine on a data directory; nothing is consumed yet.
 *
 * @throws WeirError as `loadCompiled` and `Engine.open` do
 */
export async function openEngine(
  projectFile: string,
  dataDir: string,
  onEvent: (event: EngineEvent) => void = () => {},
): Promise<{ engine: Engine; store: LogStore }> {
  const { project, program } = await loadCompiled(projectFile);
  const store = directoryStore(join(dataDir, "log"));
  const settings = project.engine;
  const engine = await Engine.open({
    dataDir,
    program,
    store,
    ...(settings === undefined ? {} : { settings }),
    onEvent,
  });
  return { engine, store };
}
