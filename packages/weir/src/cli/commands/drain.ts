import { durationMs } from "@weir/contract";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { DrainOptions } from "../program.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/**
 * Returns when everything acknowledged before the call is loaded; when no instance runs, loads it here. With --json:
 * `{ok: true, commit}`.
 */
export async function drain(terminal: Terminal, options: DrainOptions): Promise<ExitCode> {
  const timeoutMs = durationMs(options.timeout);
  const { commit } = await withEngine(terminal, options, (backend) => backend.drain(timeoutMs), timeoutMs);
  result(terminal, { ok: true, commit }, () => `Everything acknowledged is loaded, as of commit ${commit}.`);
  return exitCodes.ok;
}
