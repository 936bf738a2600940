import { WeirError } from "@weir/contract";
import { StatementType } from "@duckdb/node-api";
import type { AccessViews } from "./access-views.ts";
import type { JsonValue, Sql } from "./database.ts";
import { assertReadsTables } from "./query-reach.ts";
import type { Snapshots } from "./snapshots.ts";

export interface QueryOptions {
  /** Most rows given back; default 10,000. */
  readonly maxRows?: number;
  /** Longest run; default 60 s. */
  readonly timeoutMs?: number;
  /** Whose query it is; see access-views.ts. Undefined sees everything. */
  readonly role?: string;
}

export interface QueryResult {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: JsonValue[][];
  /** Whether there were more rows than `maxRows`. */
  readonly truncated: boolean;
  /** The commit whose state the result shows. */
  readonly commit: number;
}

/** Takes a query's result piece by piece. */
export interface QuerySink {
  begin(columns: QueryResult["columns"], commit: number): void;
  /** Awaited before more is read. False: no more is wanted. */
  rows(rows: JsonValue[][]): Promise<boolean> | boolean;
}

const defaultRows = 10_000;
const defaultTimeoutMs = 60_000;

/** Runs queries that users write. */
export class Queries {
  readonly #snapshots: Snapshots;
  readonly #access: AccessViews;

  constructor(snapshots: Snapshots, access: AccessViews) {
    this.#snapshots = snapshots;
    this.#access = access;
  }

  /** @throws WeirError `query_invalid`, `query_not_readonly`, `query_timeout`, `engine_out_of_memory` */
  async run(query: string, options: QueryOptions = {}): Promise<QueryResult> {
    const all: JsonValue[][] = [];
    let begun: { columns: QueryResult["columns"]; commit: number } = { columns: [], commit: 0 };
    const { truncated } = await this.stream(query, options, {
      begin: (columns, commit) => (begun = { columns, commit }),
      rows: (rows) => {
        for (const row of rows) all.push(row);
        return true;
      },
    });
    return { columns: begun.columns, rows: all, truncated, commit: begun.commit };
  }

  /** As `run`; holds no more than a chunk of 2,048 rows in memory. What `sink` got before an error is not the whole result. */
  async stream(
    query: string,
    { maxRows = defaultRows, timeoutMs = defaultTimeoutMs, role }: QueryOptions,
    sink: QuerySink,
  ): Promise<{ truncated: boolean }> {
    if (query.includes("\0")) {
      throw new WeirError("query_invalid", "The query has a NUL character.");
    }
    try {
      const limited = this.#access.isLimited(role) ? { role } : {};
      const schema = this.#access.schemaFor(role);
      return await this.#snapshots.run({ timeoutMs, reads: query, schema }, (sql, commit) =>
        this.#read(sql, query, { maxRows, commit, ...limited }, sink),
      );
    } catch (error) {
      throw asQueryError(error);
    }
  }

  async #read(
    sql: Sql,
    query: string,
    { maxRows, commit, role }: { maxRows: number; commit: number; role?: string },
    sink: QuerySink,
  ): Promise<{ truncated: boolean }> {
    const statements = await sql.connection.extractStatements(query);
    if (statements.count !== 1) {
      throw new WeirError("query_not_readonly", `The query has ${statements.count} statements.`);
    }
    // Before it is bound, which would look into files already.
    await assertReadsTables(sql, selectOf(query), role !== undefined);
    const prepared = await statements.prepare(0);
    assertReadOnly(prepared.statementType);
    const result = await prepared.stream();
    const names = result.deduplicatedColumnNames();
    const types = result.columnTypes();
    const columns = types.map((type, i) => ({ name: names[i] ?? "", type: type.toString() }));
    sink.begin(columns, commit);
    let left = maxRows;
    for await (const rows of result.yieldRowsJson() as AsyncIterable<JsonValue[][]>) {
      if (rows.length > left) {
        await sink.rows(rows.slice(0, left));
        return { truncated: true };
      }
      left -= rows.length;
      if (!(await sink.rows(rows))) return { truncated: true };
    }
    return { truncated: false };
  }
}

/**
 * The SELECT that a query is, or explains: `EXPLAIN ANALYZE` runs what it explains, and DuckDB explains more than queries.
 * Options are recognized only where no comment can hide in them.
 */
const selectOf = (query: string): string =>
  query.replace(/^\s*explain\s+(?:analyze\s+|\([\w\s,']*\)\s*)?/i, "");

function assertReadOnly(type: StatementType): void {
  if (type === StatementType.SELECT || type === StatementType.EXPLAIN) return;
  throw new WeirError("query_not_readonly", `The query is a ${StatementType[type]} statement.`);
}

function asQueryError(error: unknown): unknown {
  if (error instanceof WeirError && error.code !== "engine_statement_failed") return error;
  const message = error instanceof Error ? error.message : String(error);
  if (/out of memory/i.test(message)) return new WeirError("engine_out_of_memory", message, { cause: error });
  return new WeirError("query_invalid", message, { cause: error });
}
