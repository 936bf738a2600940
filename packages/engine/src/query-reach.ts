import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { AccessViews } from "./access-views.ts";
import type { JsonValue, Sql } from "./database.ts";

type Node = Readonly<Record<string, JsonValue>>;

/**
 * Table functions that a query may call: of their arguments, and of what tables and functions there are. A list of what is
 * allowed, as DuckDB has a hundred others, and every version more: that read files, follow names in strings, or change settings.
 */
const mayCall = new Set(
  `unnest range generate_series repeat repeat_row json_each json_tree
   duckdb_columns duckdb_constraints duckdb_functions duckdb_keywords duckdb_memory duckdb_schemas duckdb_settings
   duckdb_tables duckdb_types duckdb_views pragma_table_info`.split(/\s+/),
);

/** Of the functions in expressions, those that change the engine. */
const mayNotCall = new Set(["write_log"]);

/** Databases and schemas that no query names: what batches in work are in, as it was received, the vault, and what erasures keep. */
const mayNotRead = new Set(["memory", "temp", "weir_vault", "privacy"]);

/**
 * Checks, without binding it, that a query is a SELECT that reads tables and views by their names, and nothing else: the data directory, which the views read, also holds the
 * log, the audit log and the state as files.
 *
 * @param isLimited the role sees less than there is
 * @throws WeirError `query_invalid`, `query_not_readonly` for any other statement
 */
export async function assertReadsTables(sql: Sql, select: string, isLimited: boolean): Promise<void> {
  const { json } = await sql.row<{ json: string }>(
    `SELECT json_serialize_sql(${text(select)})::VARCHAR AS json`,
  );
  const parsed = JSON.parse(json) as Node;
  if (parsed["error"] === true) {
    const { error_message: message } = parsed;
    throw notSelect(typeof message === "string" ? message : "");
  }
  for (const node of nodesIn(parsed)) {
    if (isLimited) AccessViews.refusePast(node);
    const called = node["type"] === "TABLE_FUNCTION" ? functionOf(node["function"]) : undefined;
    const isRefused =
      called === undefined ? mayNotCall.has(lowered(node["function_name"])) : !mayCall.has(called);
    if (isRefused) {
      const name = called ?? lowered(node["function_name"]);
      throw new WeirError(
        "query_not_readonly",
        `The query calls ${name}, which can do more than read tables.`,
        {
          remedy: "Name tables and views; GET /api/tables lists them.",
        },
      );
    }
    const within = [lowered(node["catalog_name"]), lowered(node["schema_name"])];
    if (node["type"] === "BASE_TABLE" && within.some((outer) => mayNotRead.has(outer))) {
      throw new WeirError("query_invalid", "The query reads what is no table of the project.", {
        remedy: "Name tables and views; GET /api/tables lists them.",
      });
    }
    // DuckDB takes a name that it does not know and that ends as one of a file for that file.
    const name = node["type"] === "BASE_TABLE" ? node["table_name"] : undefined;
    if (typeof name === "string" && /[./\\*]/.test(name)) {
      throw new WeirError(
        "query_invalid",
        `The query reads ${JSON.stringify(name.slice(0, 200))}, which is no table.`,
        {
          remedy: "Name tables and views; GET /api/tables lists them.",
        },
      );
    }
  }
}

const notSelect = (message: string): WeirError =>
  message.includes("Only SELECT")
    ? new WeirError("query_not_readonly", "The query is no SELECT statement.", {
        remedy: "Only queries run here. A PIVOT needs its values listed: ON column IN (...).",
      })
    : new WeirError("query_invalid", message);

const functionOf = (called: JsonValue | undefined): string =>
  typeof called === "object" && called !== null && !Array.isArray(called)
    ? lowered(called["function_name"])
    : "a function";

const lowered = (name: JsonValue | undefined): string => (typeof name === "string" ? name.toLowerCase() : "");

function* nodesIn(value: JsonValue | undefined): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value;
  for (const child of Object.values(value)) yield* nodesIn(child);
}
