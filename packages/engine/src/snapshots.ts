import { WeirError } from "@weir/contract";
import type { Database, Sql } from "./database.ts";
import type { Lake } from "./lake.ts";
import { setFiles } from "./views.ts";
import type { FileView } from "./views.ts";

export interface SnapshotOptions {
  /** Longest run. */
  readonly timeoutMs: number;
  /** SQL in which the views over files occur that the work reads. */
  readonly reads: string;
}

/** Gives reading work a connection of its own in a read-only transaction: all that it reads is of one commit. */
export class Snapshots {
  readonly #database: Database;
  readonly #lake: Lake;
  readonly #idle: Sql[] = [];
  readonly #views: readonly FileView[];
  #closed = false;

  constructor(database: Database, lake: Lake, views: readonly FileView[]) {
    this.#database = database;
    this.#lake = lake;
    this.#views = views;
  }

  /** @throws WeirError `query_timeout`, and what `work` does */
  async run<T>(
    { timeoutMs, reads }: SnapshotOptions,
    work: (sql: Sql, commit: number) => Promise<T>,
  ): Promise<T> {
    const sql = this.#idle.pop() ?? (await this.#connect());
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      sql.connection.interrupt();
    }, timeoutMs);
    try {
      return await this.#inTransaction(sql, async () => {
        const lowered = reads.toLowerCase();
        for (const view of this.#views)
          if (lowered.includes(view.name)) await setFiles(sql, this.#lake, view);
        const { commit } = await sql.row<{ commit: number }>(
          `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
        );
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
      if (this.#closed) sql.close();
      else this.#idle.push(sql);
    }
  }

  close(): void {
    this.#closed = true;
    for (const sql of this.#idle.splice(0)) sql.close();
  }

  async #connect(): Promise<Sql> {
    const sql = await this.#database.connect();
    await sql.run("USE db.main");
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
