/** The counts of each commit are kept for 30 days; the running totals stay. */
export const forgetCommitCounts = `DELETE FROM db.weir.commit_counts WHERE "commit" < (
  SELECT min("commit") FROM db.weir.commits WHERE committed_at >= now()::TIMESTAMP - INTERVAL 30 DAY)`;

/** The number of the last commit, and those who wait for the next. */
export class Commits {
  readonly #first: number;
  #current: number;
  /** The last commit that may have changed a table, by name. */
  readonly #touched = new Map<string, number>();
  #waiting = new Set<() => void>();
  #closed = false;

  /** @param current the last commit of the process before */
  constructor(current: number) {
    this.#first = current;
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

  /** Whether a table may have changed after a commit. */
  touches(table: string, after: number): boolean {
    return (this.#touched.get(table) ?? this.#first) > after;
  }

  /** @param tables those that the commit may have changed */
  advance(commit: number, tables: readonly string[] = []): void {
    this.#current = commit;
    for (const table of tables) this.#touched.set(table, commit);
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
