interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/**
 * Time that passes only while somebody sleeps, and no further than the test lets it. What sleeps is woken in the order of its
 * times, and the clock jumps there; so days of polling take as long as their requests.
 */
export class VirtualClock {
  #nowMs: number;
  #boundMs: number;
  #sleepers: Sleeper[] = [];
  #waiting: (() => void)[] = [];

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#boundMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        signal.removeEventListener("abort", wake);
        this.#sleepers = this.#sleepers.filter((other) => other.wake !== wake);
        resolve();
      };
      signal.addEventListener("abort", wake);
      this.#sleepers.push({ atMs: this.#nowMs + Math.max(0, ms), wake });
      this.#turn();
    });
  }

  /** Lets time pass up to `ms` since the epoch; resolves when somebody sleeps beyond it, which may be at once. */
  async reach(ms: number): Promise<void> {
    this.#boundMs = Math.max(this.#boundMs, ms);
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve);
      this.#turn();
    });
    this.#nowMs = Math.max(this.#nowMs, ms);
  }

  /** `reach`, counted from now. */
  pass(ms: number): Promise<void> {
    return this.reach(this.#nowMs + ms);
  }

  /** Moves the time where nobody sleeps, such as while nothing runs. */
  jump(ms: number): void {
    this.#nowMs += ms;
    this.#boundMs = Math.max(this.#boundMs, this.#nowMs);
  }

  #turn(): void {
    const next = this.#sleepers.reduce<Sleeper | undefined>(
      (first, one) => (first === undefined || one.atMs < first.atMs ? one : first),
      undefined,
    );
    if (next === undefined) return;
    if (next.atMs <= this.#boundMs) {
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.wake();
      return;
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
