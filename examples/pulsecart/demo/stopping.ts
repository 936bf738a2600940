import { DemoFailure } from "./failure.ts";

/**
 * When the demo ends: after a time, at Ctrl-C, or because a part of it failed. A second Ctrl-C ends it at once.
 */
export class Stopping {
  readonly #ended: Promise<void>;
  #end: () => void = () => {};
  readonly #failed: Promise<never>;
  #fail: (error: unknown) => void = () => {};
  #signals = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #second: (() => void)[] = [];
  readonly #onSignal = (): void => this.#signal();

  constructor() {
    this.#ended = new Promise((resolve) => (this.#end = resolve));
    this.#failed = new Promise((_resolve, reject) => (this.#fail = reject));
    // Whoever waits for the end sees it; before that it is not an unhandled rejection.
    this.#failed.catch(() => {});
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, this.#onSignal);
  }

  /** What a second signal does, before the process exits. */
  onSecond(action: () => void): void {
    this.#second.push(action);
  }

  after(ms: number): void {
    this.#timer = setTimeout(() => this.#end(), ms);
  }

  /** The demo fails when the promise rejects. */
  failWith(part: Promise<unknown>): void {
    part.catch((error: unknown) => this.#fail(error));
  }

  /** True once the traffic should end; waits for that, up to `ms`. @throws DemoFailure what a part failed with */
  async within(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const pause = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
    try {
      return await Promise.race([this.#failed, this.#ended.then(() => true), pause]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** A step that fails as soon as a part it needs does. */
  async guard<T>(step: Promise<T>): Promise<T> {
    return await Promise.race([this.#failed, step]);
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, this.#onSignal);
  }

  #signal(): void {
    this.#signals += 1;
    this.#end();
    if (this.#signals === 1) return;
    for (const action of this.#second) action();
    this.#fail(new DemoFailure("Interrupted.", "Nothing was compared."));
    process.exit(130);
  }
}
