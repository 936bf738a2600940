import { setTimeout as delay } from "node:timers/promises";
import { isAlive } from "./identity.ts";
import type { ProcessIdentity } from "./identity.ts";
import type { Logger } from "./logger.ts";
import { readInstanceFile } from "./run-files.ts";
import type { InstanceFileName } from "./run-files.ts";

const patienceMs = 20_000;
const stepMs = 20;

/**
 * Waits for the children of a supervisor that died without stopping them. They end by themselves (they see their
 * message channel close), but until they have, they hold the port, the log's writers and the engine's state. Those that
 * outlast the patience are killed: they are ours, and crash-safe.
 */
export async function awaitPredecessors(
  runDir: string,
  fileName: InstanceFileName,
  logger: Logger,
): Promise<void> {
  const file = await readInstanceFile(runDir, fileName);
  const known: ProcessIdentity[] = [];
  for (const { pid, identity } of file?.processes ?? []) {
    if (pid !== undefined && identity !== undefined) known.push({ pid, started: identity });
  }
  const deadline = performance.now() + patienceMs;
  let announced = false;
  for (const predecessor of known) {
    while (await isAlive(predecessor)) {
      if (!announced) logger.log("info", "waiting for processes of the last instance to end");
      announced = true;
      if (performance.now() >= deadline) {
        logger.log("warn", `process ${predecessor.pid} of the last instance does not end and is killed`);
        process.kill(predecessor.pid, "SIGKILL");
      }
      await delay(stepMs);
    }
  }
}
