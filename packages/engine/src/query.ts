import { WeirError } from "@weir/contract";
import { StatementType } from "@duckdb/node-api";
import type { Database, JsonValue, Sql } from "./database.ts";
import type { Lake } from "./lake.ts";
import { setFiles } from "./views.ts";
import type { FileView } from "./views.ts";

export interface QueryOptions {
  /** Most rows given back; default 10,000. */
  readonly maxRows?: number;
  /** Longest run; default 60 s. */
  readonly timeoutMs?: number;
}

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: JsonValue[][];
  /** Whether there were more rows than `maxRows`. */
  readonly truncated: boolean;
  /** The commit whose state the result shows. */
  readonly commit: number;
}

/** Runs queries, each in a read-only transaction of its own on a connection of its own. */
export class Queries {
  readonly #database: Database;
  readonly #lake: Lake;
  readonly #idle: Sql[] = [];
  views: readonly FileView[] = [];

  constructor(database: Database, lake: Lake) {
    this.#database = database;
    this.#lake = lake;
  }

  /** @throws WeirError `query_invalid`, `query_not_readonly`, `query_timeout`, `engine_out_of_memory` */
  async run(
    query: string,
    { maxRows = 10_000, timeoutMs = 60_000 }: QueryOptions = {},
  ): Promise<QueryResult> {
    const sql = this.#idle.pop() ?? (await this.#connect());
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      sql.connection.interrupt();
    }, timeoutMs);
    try {
      return await this.#inTransaction(sql, () => this.#read(sql, query, maxRows));
    } catch (error) {
      throw late
        ? new WeirError("query_timeout", `The query ran for ${timeoutMs} ms.`, { cause: error })
        : asQueryError(error);
    } finally {
      clearTimeout(timer);
      this.#idle.push(sql);
    }
  }

  close(): void {
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

  async #read(sql: Sql, query: string, maxRows: number): Promise<QueryResult> {
    const lowered = query.toLowerCase();
    for (const view of this.views) if (lowered.includes(view.name)) await setFiles(sql, this.#lake, view);
    const { commit } = await sql.row<{ commit: number }>(
      `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
    );
    const call = sideEffect.exec(query)?.[0];
    if (call !== undefined) {
      throw new WeirError(
        "query_not_readonly",
        `The query has "${call.trim()}", which can do more than read.`,
      );
    }
    const statements = await sql.connection.extractStatements(query);
    if (statements.count !== 1) {
      throw new WeirError("query_not_readonly", `The query has ${statements.count} statements.`);
    }
    const prepared = await statements.prepare(0);
    await assertReadOnly(sql, query, prepared.statementType);
    const reader = await prepared.streamAndReadUntil(maxRows + 1);
    const rows = reader.getRowsJson() as JsonValue[][];
    const names = reader.deduplicatedColumnNames();
    const columns = reader.columnTypes().map((type, i) => ({ name: names[i] ?? "", type: type.toString() }));
    return { columns, rows: rows.slice(0, maxRows), truncated: rows.length > maxRows, commit };
  }
}

/**
 * Functions of DuckDB that change the engine although a SELECT calls them, and those that run SQL from a string, in which
 * such a name could hide.
 */
const sideEffect =
  /\b(?:(?:enable|disable)_(?:logging|profiling|peg_parser)|truncate_duckdb_logs|write_log|force_checkpoint|arrow_scan\w*|json_execute_serialized_sql)\b|\bquery["\s]*(?:\(|\/\*|--)/i;

/**
 * `EXPLAIN ANALYZE` runs what it explains, and DuckDB explains more than queries: with a COPY it would write a file, with
 * a SET change the engine's own settings. So what is explained must be a SELECT as well. Options are recognized only
 * where no comment can hide in them.
 */
async function assertReadOnly(sql: Sql, query: string, type: StatementType): Promise<void> {
  if (type === StatementType.SELECT) return;
  if (type !== StatementType.EXPLAIN) {
    throw new WeirError("query_not_readonly", `The query is a ${StatementType[type]} statement.`);
  }
  const explained = query.replace(/^\s*explain\s+(?:analyze\s+|\([\w\s,']*\)\s*)?/i, "");
  const statements = explained === query ? undefined : await sql.connection.extractStatements(explained);
  if (statements?.count !== 1 || (await statements.prepare(0)).statementType !== StatementType.SELECT) {
    throw new WeirError("query_not_readonly", "The query explains something other than a SELECT statement.");
  }
}

function asQueryError(error: unknown): unknown {
  if (error instanceof WeirError && error.code !== "engine_statement_failed") return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/out of memory/i.test(message)) return new WeirError("engine_out_of_memory", message, { cause: error });
  return new WeirError("query_invalid", message, { cause: error });
}
