import { setTimeout as pause } from "node:timers/promises";

/** Time in which every sleep, of whatever length, takes a few real milliseconds: a poller's days pass in a second. */
export class FastClock {
  #nowMs: number;
  readonly #realMs: number;

  constructor(startMs: number, realMs = 10) {
    this.#nowMs = startMs;
    this.#realMs = realMs;
  }

  now(): number {
    return this.#nowMs;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const untilMs = this.#nowMs + ms;
    await pause(this.#realMs, undefined, { signal }).catch(() => undefined);
    if (!signal.aborted) this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Moves the time. */
  pass(ms: number): void {
    this.#nowMs += ms;
  }
}
