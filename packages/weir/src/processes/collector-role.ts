import { join } from "node:path";
import { directoryStore } from "@weir/log";
import { loadProject } from "../load.ts";
import { startPushSources } from "../connectors.ts";
import type { RoleContext, RunningRole } from "./child.ts";
import type { CollectorSettings } from "./messages.ts";
import { toPlainError } from "./messages.ts";

/** Accepts records for a project on the supervisor's socket and writes them to the log. */
export async function startCollector(
  settings: CollectorSettings,
  context: RoleContext,
): Promise<RunningRole> {
  const { logger, handle } = context;
  if (handle === undefined) throw new TypeError("a collector is started with a socket");
  const { project } = await loadProject(settings.projectFile);
  const store = directoryStore(join(settings.dataDir, "log"), {
    onEvent: (event) => logger.log("warn", `${event.source}/${event.writer}: ${event.message}`, { event }),
  });
  const collector = await startPushSources(project, {
    store,
    writer: settings.writer,
    serverHandle: handle,
    apiSocket: settings.engineSocket,
    tls: settings.tls,
    onError: (error) => logger.log("error", "a request could not be served", { error: toPlainError(error) }),
  });
  return {
    drain: async () => {
      await Promise.resolve();
    },
    stop: async () => {
      await collector.close();
    },
  };
}
