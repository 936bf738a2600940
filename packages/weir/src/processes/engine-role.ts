import type { EngineEvent } from "@weir/engine";
import { openEngine } from "../open-engine.ts";
import { AbandonedSegments, sealAbandoned } from "./abandoned.ts";
import type { RoleContext, RunningRole } from "./child.ts";
import { CommitLog } from "./commit-log.ts";
import { EngineServer } from "./engine-server.ts";
import { certifyErasures } from "./erase-routes.ts";
import { boundMemory } from "./memory-bound.ts";
import type { EngineSettingsMessage } from "./messages.ts";
import { toPlainError } from "./messages.ts";

/** Runs the engine of a project: the commit loop, its API, and the sealing of what dead writers left open. */
export async function startEngine(
  settings: EngineSettingsMessage,
  context: RoleContext,
): Promise<RunningRole> {
  const { logger } = context;
  const commits = new CommitLog(logger);
  let certify: (() => void) | undefined;
  const opened = await openEngine(settings.projectFile, settings.dataDir, (event) => {
    if (event.kind === "commit") commits.add(event);
    else tell(event, context);
    if (event.kind === "erasure_complete") certify?.();
  });
  const { engine, store, governance } = opened;
  await boundMemory();
  certify = () => {
    certifyErasures(engine, governance).catch((error: unknown) => {
      logger.log("error", "an erasure is not certified; the next start tries again", {
        error: toPlainError(error),
      });
    });
  };
  certify();
  const server = new EngineServer(opened, settings);
  await server.listen(settings.engineSocket);
  const abandoned = new AbandonedSegments(store, (error) => {
    logger.log("warn", "cannot look for segments of dead writers", { error: toPlainError(error) });
  });
  void reportFailure(engine.failed, context);
  engine.start();
  return {
    drain: async (timeoutMs) => {
      // The collectors have ended: what one of them left open by dying now is sealed here and now.
      await sealAbandoned(store, await store.heads());
      await engine.drain({ timeoutMs });
    },
    stop: async () => {
      await abandoned.stop();
      await server.close();
      await engine.stop();
      await governance.close();
      commits.flush();
    },
  };
}

/** What an engine says of itself, but for its commits: to the operator, and to the supervisor where it is to be started anew. */
function tell(event: Exclude<EngineEvent, { kind: "commit" }>, { logger, send }: RoleContext): void {
  if (event.kind === "tables_built")
    logger.log("info", `built from history: ${event.tables.join(", ")}`, { tables: event.tables });
  else if (event.kind === "erasure_complete")
    logger.log("info", `erasure ${event.id} is complete`, { erasure: event.id });
  else if (event.kind === "erasure_failed")
    logger.log("error", "an erasure could not go on; weir erase list", { error: toPlainError(event.error) });
  else if (event.kind === "vault_index_remade")
    logger.log("warn", `the vault's index was made anew: ${event.reason}`);
  else if (event.kind === "restart_due")
    send({ type: "restart", why: "to write its state without what was erased" });
  else if (event.kind === "query_stuck")
    send({ type: "restart", why: "as a query does not end, though its time is over" });
  else if (event.kind === "erasure_late") {
    const passed =
      event.share < 1 ? `${event.share * 100} % of its time has passed` : "its deadline has passed";
    logger.log("warn", `erasure ${event.id} is not complete, and ${passed}; weir erase show ${event.id}`, {
      erasure: event.id,
      share: event.share,
    });
  } else logger.log("error", `table ${event.table} is set aside: ${event.reason}`, { table: event.table });
}

async function reportFailure(failed: Promise<unknown>, context: RoleContext): Promise<void> {
  context.fail(await failed);
}
