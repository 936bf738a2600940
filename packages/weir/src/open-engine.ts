import { dirname, join, resolve } from "node:path";
import { Engine } from "@weir/engine";
import type { EngineEvent, MasterKey } from "@weir/engine";
import { Governance } from "@weir/govern";
import { directoryStore } from "@weir/log";
import type { LogStore } from "@weir/log";
import { loadCompiled } from "./compiled.ts";
import type { ApiLimitsByRole } from "./processes/api-limits.ts";
import { roleMasks } from "./role-masks.ts";
import { recordDeployed } from "./deployed.ts";
import type { Project } from "./project.ts";

/**
 * Loads the project, and opens its engine, tokens and audit log on a data directory; nothing is consumed yet.
 *
 * @throws WeirError as `loadCompiled`, `Engine.open` and `Governance.open` do
 */
export async function openEngine(
  projectFile: string,
  dataDir: string,
  onEvent: (event: EngineEvent) => void = () => {},
): Promise<{
  engine: Engine;
  store: LogStore;
  governance: Governance;
  apiLimits: ApiLimitsByRole | undefined;
}> {
  const { project, program } = await loadCompiled(projectFile);
  const store = directoryStore(join(dataDir, "log"));
  const { engine: settings, retention, privacy } = project;
  const engine = await Engine.open({
    dataDir,
    program,
    store,
    ...(settings === undefined ? {} : { settings }),
    ...(retention === undefined ? {} : { retention }),
    access: roleMasks(project.access),
    ...(privacy === undefined ? {} : { privacy }),
    onEvent,
    ...masterKeyOf(project, projectFile),
  });
  try {
    recordDeployed(dataDir, program.contracts);
    // Behind the engine's lock, so that one process at a time has it.
    const governance = await Governance.open(join(dataDir, "govern"));
    return { engine, store, governance, apiLimits: project.access?.limits };
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

/** A file's path is relative to the project file. */
function masterKeyOf({ privacy }: Project, projectFile: string): { masterKey?: MasterKey } {
  const masterKey = privacy?.masterKey;
  if (masterKey === undefined) return {};
  return "file" in masterKey
    ? { masterKey: { file: resolve(dirname(projectFile), masterKey.file) } }
    : { masterKey };
}
