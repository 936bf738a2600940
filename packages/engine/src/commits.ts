/** The number of the last commit, and those who wait for the next. */
export class Commits {
  #current: number;
  #waiting = new Set<() => void>();
  #closed = false;

  constructor(current: number) {
    this.#current = current;
  }

  /** Of the last commit that has been announced; what is read may be one newer for a moment. */
  get current(): number {
    return this.#current;
  }

  /** No commit will follow. */
  get closed(): boolean {
    return this.#closed;
  }

  advance(commit: number): void {
    this.#current = commit;
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Resolves once there is a commit after that one, or `signal` aborts, or there will be none; `current` tells which. */
  async after(commit: number, signal?: AbortSignal): Promise<void> {
    if (this.#current > commit || this.#closed || signal?.aborted === true) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#waiting.delete(done);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      this.#waiting.add(done);
      signal?.addEventListener("abort", done);
    });
    // Woken all at once, some may have to wait on.
    await this.after(commit, signal);
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }
}
