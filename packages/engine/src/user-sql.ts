import type { UserSql } from "@weir/compile";
import { ident, text } from "@weir/compile";
import type { JsonValue, Sql } from "./database.ts";

/**
 * Whether SQL that a user wrote gives a function of the set of its inputs' rows, and reads nothing else. Judged are the
 * statement as parsed, for what it names, and its plan as bound, for the functions that are called with these types,
 * macros taken apart.
 */

/** A node of a statement or plan as DuckDB's JSON gives it. */
type Node = Readonly<Record<string, JsonValue>>;

/** A text of a node; empty where it has none. */
const textOf = (value: JsonValue | undefined): string => (typeof value === "string" ? value : "");

/** Table functions that are functions of their arguments. */
const tableFunctions = new Set(["unnest", "range", "generate_series", "json_each", "json_tree"]);

/** Functions that DuckDB calls consistent and that do not depend on their arguments alone. */
const unsteady = /^(?:getvariable|current_setting|version|(?:get_)?current_\w+)$/;

/** Aggregates that give the same for any order of the rows, whatever the types. */
const orderless = new Set(
  `count count_star count_if countif min max bool_and bool_or bit_and bit_or bit_xor bitstring_agg
   median quantile quantile_cont quantile_disc mad histogram approx_count_distinct`.split(/\s+/),
);
/** Aggregates that do over exact numbers, as these add up to the same in any order. */
const additive = new Set(["sum", "avg", "mean", "sum_no_overflow"]);
const inexact = new Set(["FLOAT", "DOUBLE"]);

/** Window functions that give by the order of the rows. */
const ordered = new Set(
  ["ROW_NUMBER", "FIRST_VALUE", "LAST_VALUE", "NTH_VALUE", "LEAD", "LAG", "NTILE", "FILL"].map(
    (name) => `WINDOW_${name}`,
  ),
);

/**
 * Notes what is wrong with the SQL.
 *
 * @param sql a connection to a database without data, for this check only. Its own schema first in the search path has
 * an empty table for each input, and no other tables
 */
export async function checkUserSql(sql: Sql, user: UserSql, problem: (text: string) => void): Promise<void> {
  const parsed = await serialized(sql, `json_serialize_sql(${text(user.text)})`);
  if (typeof parsed === "string") {
    problem(parsed.includes("Only SELECT") ? "its SQL must be one SELECT (and PIVOT is none)." : parsed);
    return;
  }
  const statements = parsed["statements"] as readonly Node[];
  if (statements.length !== 1) {
    problem(`its SQL has ${statements.length} statements; it must be one SELECT.`);
    return;
  }
  const found = new Set<string>();
  judgeStatement(statements, new Set(user.inputs.map(({ name }) => name.toLowerCase())), found);
  const columns = await columnsOf(sql, user.text, found);
  if (columns !== undefined) {
    judgeColumns(columns, user.key, found);
    const called = new Set(
      [...nodesIn(statements as JsonValue)].map((node) => textOf(node["function_name"])),
    );
    const isMeant = (name: string): boolean =>
      (!ofSubqueries.has(name) || called.has(name)) && !(isList(name) && sortedLists(statements));
    await judgePlan(sql, user.text, isMeant, found);
  }
  for (const one of found) problem(one);
}

/** What DuckDB serializes, or its message. */
async function serialized(sql: Sql, call: string): Promise<Node | string> {
  const { json } = await sql.row<{ json: string }>(`SELECT ${call} AS json`);
  const result = JSON.parse(json) as Node;
  return result["error"] === true ? `its SQL is wrong: ${textOf(result["error_message"])}` : result;
}

function* nodesIn(value: JsonValue | undefined): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value;
  for (const [key, child] of Object.entries(value)) {
    // What a function over lists calls; its order is that of the list.
    if (key !== "function_data") yield* nodesIn(child);
  }
}

function judgeStatement(statements: readonly Node[], inputs: ReadonlySet<string>, found: Set<string>): void {
  const nodes = [...nodesIn(statements as JsonValue)];
  const known = new Set(inputs);
  for (const { cte_map: ctes } of nodes) {
    for (const { key } of ((ctes as Node | undefined)?.["map"] ?? []) as Node[])
      known.add(textOf(key).toLowerCase());
  }
  for (const node of nodes) {
    judgeRelation(node, known, found);
    judgeOrder(node, found);
  }
}

function judgeRelation(node: Node, known: ReadonlySet<string>, found: Set<string>): void {
  if (node["type"] === "BASE_TABLE") {
    const parts = ["catalog_name", "schema_name", "table_name"].map((part) => textOf(node[part]));
    const name = parts.filter((part) => part !== "");
    if (name.length > 1 || !known.has((name[0] ?? "").toLowerCase()))
      found.add(`its SQL reads "${name.join(".")}", which is not among the names in "from".`);
  }
  if (node["type"] === "SHOW_REF") found.add("its SQL may not DESCRIBE, SHOW or SUMMARIZE.");
  if (node["type"] === "TABLE_FUNCTION") {
    const name = textOf((node["function"] as Node)["function_name"]);
    if (!tableFunctions.has(name)) found.add(`its SQL may not call ${name}(): it may read its inputs only.`);
  }
  // The plan has the values of these in their place.
  if (node["class"] === "FUNCTION" && unsteady.test(textOf(node["function_name"])))
    found.add(notSteady(textOf(node["function_name"])));
  if (node["class"] === "PARAMETER") found.add("its SQL has a parameter, and nothing gives it a value.");
}

function judgeOrder(node: Node, found: Set<string>): void {
  if (node["sample"] !== undefined && node["sample"] !== null)
    found.add("its SQL samples: a table must be a function of the set of records.");
  if (node["ref_type"] === "POSITIONAL")
    found.add("its SQL joins by position, and the rows of a table have none. Join by a key.");
  if (node["class"] === "WINDOW" && ordered.has(textOf(node["type"])) && isEmpty(node["orders"]))
    found.add(`${textOf(node["type"]).slice(7).toLowerCase()}() needs an ORDER BY in its OVER (...).`);
  const modifiers = (Array.isArray(node["modifiers"]) ? node["modifiers"] : []) as Node[];
  const isOrdered = modifiers.some(({ type }) => type === "ORDER_MODIFIER");
  for (const { type, distinct_on_targets: targets } of modifiers) {
    if (!isOrdered && textOf(type).startsWith("LIMIT")) found.add("LIMIT and OFFSET need an ORDER BY.");
    if (!isOrdered && type === "DISTINCT_MODIFIER" && !isEmpty(targets))
      found.add("DISTINCT ON needs an ORDER BY.");
  }
}

const notSteady = (name: string): string =>
  `its SQL calls ${name}(): a table must be a function of the set of records, and it is not.`;

const isEmpty = (list: JsonValue | undefined): boolean => !Array.isArray(list) || list.length === 0;

async function columnsOf(
  sql: Sql,
  query: string,
  found: Set<string>,
): Promise<{ name: string; type: string }[] | undefined> {
  try {
    const prepared = await sql.connection.prepare(query);
    return Array.from({ length: prepared.columnCount }, (_, i) => ({
      name: prepared.columnName(i),
      type: prepared.columnType(i).toString(),
    }));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    // What it names wrongly is said better already.
    if (found.size === 0) found.add(`its SQL is wrong: ${message}`);
    return undefined;
  }
}

function judgeColumns(
  columns: readonly { name: string }[],
  key: readonly string[],
  found: Set<string>,
): void {
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (!/^[a-z]\w{0,62}$/i.test(name))
      found.add(`its SQL has a column "${name}"; give it a name of letters, digits and "_" with AS.`);
    if (seen.has(name.toLowerCase()))
      found.add(`two columns of its SQL are named "${name}" (SQL ignores case). Rename one with AS.`);
    seen.add(name.toLowerCase());
  }
  for (const name of key) {
    if (!columns.some((column) => column.name === name))
      found.add(`its SQL has no column "${name}", which is in its key.`);
  }
}

/** Whether lists that the statement aggregates are all sorted, by an ORDER BY or, as `list(x ORDER BY x)` is parsed, afterwards. */
function sortedLists(statements: readonly Node[]): boolean {
  const nodes = [...nodesIn(statements as JsonValue)];
  const sorted = nodes
    .filter(({ function_name: name }) => name === "list_sort" || name === "list_reverse_sort")
    .flatMap(({ children }) => (children as JsonValue[]).slice(0, 1));
  return nodes.every(
    (node) =>
      !isList(node["function_name"]) ||
      sorted.includes(node as JsonValue) ||
      !isEmpty((node["order_bys"] as Node | undefined)?.["orders"]),
  );
}

/** What a plan calls to take the one row of a subquery. */
const ofSubqueries = new Set(["first", "error"]);

const isList = (name: JsonValue | undefined): boolean => name === "list" || name === "array_agg";

/** @param isMeant whether a function of the plan is one that the statement calls for its own sake */
async function judgePlan(
  sql: Sql,
  query: string,
  isMeant: (name: string) => boolean,
  found: Set<string>,
): Promise<void> {
  const plan = await serialized(sql, `json_serialize_plan(${text(query)}, optimize := false)`);
  if (typeof plan === "string") {
    found.add(plan);
    return;
  }
  const volatile = await sql.rows<{ name: string }>(
    "SELECT DISTINCT function_name AS name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'",
  );
  const refused = new Set(volatile.map(({ name }) => name));
  for (const node of nodesIn(plan)) {
    const name = textOf(node["name"]);
    if (!isMeant(name)) continue;
    const types = ((node["arguments"] ?? []) as Node[]).map(({ id }) => textOf(id));
    if (node["expression_class"] === "BOUND_FUNCTION") {
      // With one argument it is the time since then until today.
      if (refused.has(name) || unsteady.test(name) || (name === "age" && types.length === 1))
        found.add(notSteady(name));
    }
    const isAggregate = node["expression_class"] === "BOUND_AGGREGATE" || node["type"] === "WINDOW_AGGREGATE";
    if (isAggregate) judgeAggregate(name, types, node["order_bys"] ?? node["arg_orders"], found);
  }
}

function judgeAggregate(
  name: string,
  types: readonly string[],
  order: JsonValue | undefined,
  found: Set<string>,
): void {
  if (name === "reservoir_quantile") found.add("reservoir_quantile() samples at random.");
  const isOrdered = Array.isArray(order) ? order.length > 0 : order !== undefined && order !== null;
  const isExact = additive.has(name) && !types.some((type) => inexact.has(type));
  if (orderless.has(name) || isExact || isOrdered) return;
  found.add(
    additive.has(name)
      ? `${name}() of ${types.join(", ")} depends on the order of the rows in its last digits, and rows have none. ` +
          `Cast to DECIMAL, or write ${name}(x ORDER BY x).`
      : `${name}() depends on the order of the rows, and rows have none. Write ${name}(... ORDER BY ...) with an order ` +
          "that leaves no ties.",
  );
}

/** Empty tables for the inputs of the SQL, and nothing else, in a schema that is first in the search path. */
export async function showInputs(
  sql: Sql,
  schema: string,
  user: UserSql,
  problem: (text: string) => void,
): Promise<void> {
  await sql.run(`CREATE SCHEMA memory.${ident(schema)}`);
  for (const { name, view, columns } of user.inputs) {
    const table = `memory.${ident(schema)}.${ident(name)}`;
    await sql.run(`CREATE TABLE ${table} AS SELECT * FROM (${view}) LIMIT 0`);
    const rows = await sql.rows<{ column_name: string }>(`DESCRIBE ${table}`);
    const has = new Set(rows.map(({ column_name: column }) => column.toLowerCase()));
    for (const column of new Set(columns)) {
      if (!has.has(column.toLowerCase()))
        problem(`its input "${name}" has no column "${column}", which "keys" names.`);
    }
  }
  await sql.run(`SET search_path = 'memory.${schema}'`);
}
