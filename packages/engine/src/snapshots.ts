import { WeirError } from "@weir/contract";
import type { Database, Sql } from "./database.ts";
import type { Lake } from "./lake.ts";
import type { ReplacedFiles } from "./replaced-files.ts";
import { setFiles } from "./views.ts";
import type { FileView } from "./views.ts";

export interface SnapshotOptions {
  /** Longest run. */
  readonly timeoutMs: number;
  /** SQL in which the views over files occur that the work reads. */
  readonly reads: string;
  /** Where names without a schema are looked for; `db.main` if not given. */
  readonly schema?: string;
}

/** That of connections that nobody uses. */
const mainSchema = "db.main";

/**
 * Work for users that runs side by side. Each statement holds a thread of libuv's pool, which has 16 in an engine's process; the
 * engine's own statements need the rest.
 */
const atOnce = 10;
const mostWaiting = 1_000;
const interruptEveryMs = 50;

/** Whom to tell of work that goes on although it was interrupted so long ago. */
export interface OnStuck {
  readonly stuckMs: number;
  readonly onEvent?: ((event: { readonly kind: "query_stuck" }) => void) | undefined;
}

/** Gives reading work a connection of its own in a read-only transaction: all that it reads is of one commit. */
export class Snapshots {
  readonly #database: Database;
  readonly #lake: Lake;
  readonly #replaced: ReplacedFiles;
  readonly #idle: Sql[] = [];
  readonly #views: readonly FileView[];
  readonly #onStuck: OnStuck;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #closed = false;

  constructor(
    database: Database,
    lake: Lake,
    replaced: ReplacedFiles,
    views: readonly FileView[],
    onStuck: OnStuck,
  ) {
    this.#database = database;
    this.#onStuck = onStuck;
    this.#replaced = replaced;
    this.#lake = lake;
    this.#views = views;
  }

  /**
   * Runs work that users asked for, once fewer than ten others run. The time counts from the call.
   *
   * @throws WeirError `query_timeout`, `queries_overloaded`, and what `work` does
   */
  async run<T>(
    { timeoutMs, reads, ...others }: SnapshotOptions,
    work: (sql: Sql, commit: number) => Promise<T>,
  ): Promise<T> {
    const from = performance.now();
    await this.#enter(timeoutMs);
    try {
      const left = Math.max(1, timeoutMs - (performance.now() - from));
      return await this.runOwn({ timeoutMs: left, reads, ...others }, work);
    } catch (error) {
      throw error instanceof WeirError && error.code === "query_timeout"
        ? new WeirError("query_timeout", `The query ran for ${timeoutMs} ms.`, { cause: error })
        : error;
    } finally {
      this.#running--;
      this.#waiting.shift()?.();
    }
  }

  /** Runs the engine's own work, without waiting. */
  async runOwn<T>(options: SnapshotOptions, work: (sql: Sql, commit: number) => Promise<T>): Promise<T> {
    // Before the manifest is read, so that no file that it lists goes.
    const release = this.#replaced.hold();
    try {
      return await this.#runHolding(options, work);
    } finally {
      release();
    }
  }

  async #runHolding<T>(
    { timeoutMs, reads, schema = mainSchema }: SnapshotOptions,
    work: (sql: Sql, commit: number) => Promise<T>,
  ): Promise<T> {
    const sql = this.#idle.pop() ?? (await this.#connect());
    let late = false;
    let timer = setTimeout(() => {
      late = true;
      interrupt();
    }, timeoutMs);
    // DuckDB looks for an interruption between two chunks: one call of `levenshtein` can take hours.
    const stuck = setTimeout(
      () => this.#onStuck.onEvent?.({ kind: "query_stuck" }),
      timeoutMs + this.#onStuck.stuckMs,
    );
    // Again and again: one that comes before a waiting statement has begun is without effect.
    const interrupt = (): void => {
      sql.connection.interrupt();
      timer = setTimeout(interrupt, interruptEveryMs);
    };
    try {
      return await this.#inTransaction(sql, async () => {
        const lowered = reads.toLowerCase();
        for (const view of this.#views)
          if (lowered.includes(view.name)) await setFiles(sql, this.#lake, view);
        const { commit } = await sql.row<{ commit: number }>(
          `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
        );
        if (schema !== mainSchema) await sql.run(`USE ${schema}`);
        const result = await work(sql, commit);
        // Work that reads piece by piece may not be in a statement when its time is over.
        if (late) throw new Error("interrupted");
        return result;
      });
    } catch (error) {
      if (!late) throw error;
      throw new WeirError("query_timeout", `The query ran for ${timeoutMs} ms.`, { cause: error });
    } finally {
      clearTimeout(timer);
      clearTimeout(stuck);
      await this.#giveBack(sql, late, schema);
    }
  }

  /** For others, unless it was interrupted. After the transaction: in one that failed nothing else runs. */
  async #giveBack(sql: Sql, late: boolean, schema: string): Promise<void> {
    let isUsable = !this.#closed && !late;
    if (isUsable && schema !== mainSchema) {
      isUsable = await sql.run(`USE ${mainSchema}`).then(
        () => true,
        () => false,
      );
    }
    if (isUsable && !this.#closed) this.#idle.push(sql);
    else sql.close();
  }

  async #enter(timeoutMs: number): Promise<void> {
    if (this.#running < atOnce) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= mostWaiting) {
      throw new WeirError("queries_overloaded", `${mostWaiting} queries wait for others to end.`);
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        clearTimeout(timer);
        this.#running++;
        resolve();
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new WeirError("query_timeout", `The query waited for ${timeoutMs} ms for others to end.`));
      }, timeoutMs);
      this.#waiting.push(enter);
    });
  }

  close(): void {
    this.#closed = true;
    for (const sql of this.#idle.splice(0)) sql.close();
  }

  async #connect(): Promise<Sql> {
    const sql = await this.#database.connect();
    await sql.run(`USE ${mainSchema}`);
    return sql;
  }

  async #inTransaction<T>(sql: Sql, work: () => Promise<T>): Promise<T> {
    await sql.run("BEGIN TRANSACTION READ ONLY");
    try {
      return await work();
    } finally {
      await sql.run("ROLLBACK");
    }
  }
}
