import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";

/** How long an engine that is starting, or starting again, is waited for, and who hears of it. */
export interface Patience {
  readonly waitMs: number;
  readonly told: (text: string) => void;
}

const againMs = 100;
/** Nothing listens: the request was not sent. */
const unsent = new Set(["ENOENT", "ECONNREFUSED"]);
/** The connection ended before the answer: the engine may have done what it was asked for. */
const unanswered = new Set(["ECONNRESET", "EPIPE"]);

/**
 * Asks an engine again while it does not answer, for so long after the first time. What may be done twice is asked again however the
 * connection ended, anything else only if nobody has heard it.
 *
 * @param isThere whether there is an instance whose engine may come back
 */
export async function patiently<T>(
  ask: () => Promise<T>,
  mayRepeat: boolean,
  isThere: () => Promise<boolean>,
  { waitMs, told }: Patience,
): Promise<T> {
  let deadline: number | undefined;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error, mayRepeat)) throw error;
      if (deadline === undefined && waitMs > 0)
        told(`The engine is starting again: waiting for it, up to ${Math.ceil(waitMs / 1000)} s.`);
      deadline ??= performance.now() + waitMs;
      if (performance.now() + againMs > deadline || !(await isThere())) throw error;
      await delay(againMs);
    }
  }
}

function isPassing(error: unknown, mayRepeat: boolean): boolean {
  if (!(error instanceof WeirError) || error.code !== "engine_unavailable") return false;
  const { code = "" } = (error.cause ?? {}) as { code?: string };
  return unsent.has(code) || (mayRepeat && unanswered.has(code));
}
