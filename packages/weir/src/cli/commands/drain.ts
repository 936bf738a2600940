import { setTimeout as delay } from "node:timers/promises";
import { durationMs } from "@weir/contract";
import { withBackend } from "../../client/open.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { isWeirError } from "../../processes/messages.ts";
import { dataDirOf } from "../place.ts";
import type { DrainOptions } from "../program.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** An engine that is starting, or starting again after it was killed, is waited for. */
const passing = new Set(["not_running", "engine_unavailable"]);
const againMs = 100;

/**
 * Returns when everything acknowledged before the call is loaded; when no instance runs, loads it here. With --json:
 * `{ok: true, commit}`.
 */
export async function drain(terminal: Terminal, options: DrainOptions): Promise<ExitCode> {
  const dataDir = dataDirOf(options);
  const deadline = performance.now() + durationMs(options.timeout);
  for (;;) {
    let instanceRuns = false;
    try {
      const { commit } = await withBackend(dataDir, options.project, async (backend) => {
        instanceRuns = backend.instance !== undefined;
        return await backend.drain(Math.max(1, Math.ceil(deadline - performance.now())));
      });
      result(
        terminal,
        { ok: true, commit },
        () => `Everything acknowledged is loaded, as of commit ${commit}.`,
      );
      return exitCodes.ok;
    } catch (error) {
      const again = instanceRuns && isWeirError(error) && passing.has(error.code);
      if (!again || performance.now() + againMs > deadline) throw error;
      await delay(againMs);
    }
  }
}
