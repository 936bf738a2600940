import { setTimeout as pause } from "node:timers/promises";

/** Time, as a capture sees it: tests give it one that passes at once. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts or has aborted. Never rejects. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (ms, signal) => {
    if (signal.aborted) return;
    await pause(ms, undefined, { signal }).catch(() => undefined);
  },
};
