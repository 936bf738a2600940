import { ident, text } from "@weir/compile";
import type { Program } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { JsonValue, Sql } from "./database.ts";
import type { Lake } from "./lake.ts";
import { setNoFiles } from "./views.ts";
import type { FileView } from "./views.ts";

/**
 * Which columns a role does not see: `"table.column"`, or `"*.column"` for the column of that name wherever it is. A role that is not
 * there sees everything. Those of a table hold for all of its views, such as its history.
 */
export type RoleMasks = Readonly<Record<string, readonly string[]>>;

/** What a masked text is; any other masked value is NULL. */
export const maskedText = "***";

/** Of views of contracts, and of `raw`. */
const contentColumn = "_content";
const rawContentColumn = "content";
const schemaOf = (role: string): string => `access_${role}`;

/** What a role that does not see everything may read beside views: nothing in these is of a record. */
const plainTables = new Set(
  "commits counts commit_counts offsets files tables removed clean_edges history_borders partial_tables aside contracts".split(
    " ",
  ),
);

/**
 * What roles see. Each role that does not see everything has a schema with a view of its own for every view there is, in which masked
 * columns are constants: no name, alias, function or error of a query can bring back what the query's plan does not read. Its queries
 * can name nothing else.
 */
export class AccessViews {
  readonly #masks: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

  private constructor(masks: ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>) {
    this.#masks = masks;
  }

  /** Makes every role's views anew, over those of `db.main`. @throws WeirError `project_invalid` for a column that there is not */
  static async create(
    sql: Sql,
    lake: Lake,
    views: readonly FileView[],
    { program, access: roles = {} }: { readonly program: Program; readonly access?: RoleMasks },
  ): Promise<AccessViews> {
    const old = await sql.rows<{ name: string }>(
      "SELECT schema_name AS name FROM duckdb_schemas() WHERE database_name = 'db' AND starts_with(schema_name, 'access_')",
    );
    for (const { name } of old) await sql.run(`DROP SCHEMA db.${ident(name)} CASCADE`);
    const columns = Object.keys(roles).length === 0 ? new Map<string, ViewColumn[]>() : await columnsOf(sql);
    const masks = new Map<string, ReadonlyMap<string, ReadonlySet<string>>>();
    for (const view of views) await setNoFiles(sql, lake, view);
    const problems = problemsOf(program, columns, roles);
    if (problems.length > 0) throw new WeirError("project_invalid", problems.join("\n"));
    for (const [role, masked] of Object.entries(roles)) {
      const byView = resolve(program, columns, masked);
      const statements = [...columns].map(([view, all]) => viewSql(role, view, all, byView.get(view)));
      await sql.run([`CREATE SCHEMA db.${schemaOf(role)}`, ...statements].join(";\n"));
      masks.set(role, byView);
    }
    return new AccessViews(masks);
  }

  /** Whether a role sees less than there is. */
  isLimited(role: string | undefined): role is string {
    return role !== undefined && this.#masks.has(role);
  }

  /** The schema in which a role's queries find their tables. */
  schemaFor(role: string | undefined): string {
    return this.isLimited(role) ? `db.${schemaOf(role)}` : "db.main";
  }

  /** Columns of a table or contract that a role does not see. */
  maskedColumns(role: string | undefined, table: string): ReadonlySet<string> {
    return (role === undefined ? undefined : this.#masks.get(role)?.get(table)) ?? none;
  }

  /**
   * Refuses names by which a limited role's query would get past its views.
   *
   * @param node of a parsed query
   * @throws WeirError `query_invalid`
   */
  static refusePast(node: Readonly<Record<string, JsonValue>>): void {
    const { type } = node;
    if (type === "SHOW_REF") throw past("DESCRIBE, SHOW and SUMMARIZE");
    if (type !== "BASE_TABLE") return;
    const [catalog, schema, table] = [node["catalog_name"], node["schema_name"], node["table_name"]].map(
      lowered,
    );
    if (catalog === "" && schema === "") return;
    if ((catalog === "" || catalog === "db") && schema === "weir" && plainTables.has(table ?? "")) return;
    throw past(
      `names of another schema, as ${[catalog, schema, table].filter((part) => part !== "").join(".")}`,
    );
  }
}

const none: ReadonlySet<string> = new Set();
const lowered = (value: JsonValue | undefined): string =>
  typeof value === "string" ? value.toLowerCase() : "";

const past = (what: string): WeirError =>
  new WeirError("query_invalid", `The query has ${what.slice(0, 300)}, which this role cannot read.`, {
    remedy: "Name tables and views without a schema; GET /api/tables lists them.",
  });

/** What is wrong with masks, by the views that there are: a text for each column that is nowhere. */
export const maskProblems = async (sql: Sql, program: Program, roles: RoleMasks): Promise<string[]> =>
  problemsOf(program, await columnsOf(sql), roles);

function problemsOf(
  program: Program,
  columns: ReadonlyMap<string, readonly ViewColumn[]>,
  roles: RoleMasks,
): string[] {
  const masks = new Set(Object.values(roles).flat());
  const unknown = [...masks].filter((mask) => viewsWith(program, columns, mask).length === 0);
  return unknown.map(
    (mask) =>
      `access.columns: there is no column ${mask}. Write "table.column", "contract.column" or "*.column"; a nested field is masked with the whole of its column.`,
  );
}

interface ViewColumn {
  readonly name: string;
  readonly type: string;
}

async function columnsOf(sql: Sql): Promise<Map<string, ViewColumn[]>> {
  const rows = await sql.rows<{ view: string; name: string; type: string }>(
    `SELECT c.table_name AS view, c.column_name AS name, c.data_type AS type FROM duckdb_columns() c
     JOIN duckdb_views() v ON v.database_name = c.database_name AND v.schema_name = c.schema_name AND v.view_name = c.table_name
     WHERE c.database_name = 'db' AND c.schema_name = 'main' AND NOT v.internal ORDER BY c.table_name, c.column_index`,
  );
  const columns = new Map<string, ViewColumn[]>();
  for (const { view, name, type } of rows) {
    const of = columns.get(view);
    if (of === undefined) columns.set(view, [{ name, type }]);
    else of.push({ name, type });
  }
  return columns;
}

const columnOf = (mask: string): string => mask.slice(mask.indexOf(".") + 1);

/** The views in which a mask finds its column. */
function viewsWith(
  program: Program,
  columns: ReadonlyMap<string, readonly ViewColumn[]>,
  mask: string,
): string[] {
  const relation = mask.slice(0, mask.indexOf("."));
  const table = program.tables.find(({ name }) => name === relation);
  const views = relation === "*" ? [...columns.keys()] : (table?.views.map(({ name }) => name) ?? [relation]);
  return views.filter((view) => columns.get(view)?.some(({ name }) => name === columnOf(mask)) === true);
}

/** Masked columns by view. */
function resolve(
  program: Program,
  columns: ReadonlyMap<string, readonly ViewColumn[]>,
  masked: readonly string[],
): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const mask of masked) {
    for (const view of viewsWith(program, columns, mask))
      found.set(view, (found.get(view) ?? new Set()).add(columnOf(mask)));
  }
  // A hash of all that was sent: whoever knows the rest could try values until it fits, also those that tokens stand for.
  const everywhere = masked.includes(`raw.${rawContentColumn}`);
  for (const [view, all] of columns) {
    const hidden = found.get(view) ?? (everywhere ? new Set<string>() : undefined);
    if (hidden === undefined || !all.some(({ name }) => name === contentColumn)) continue;
    found.set(view, hidden.add(contentColumn));
  }
  return found;
}

function viewSql(
  role: string,
  view: string,
  columns: readonly ViewColumn[],
  masked: ReadonlySet<string> = none,
): string {
  const list = columns.map(({ name, type }) =>
    masked.has(name) ? `${maskSql(type)} AS ${ident(name)}` : ident(name),
  );
  return `CREATE VIEW db.${schemaOf(role)}.${ident(view)} AS SELECT ${list.join(", ")} FROM db.main.${ident(view)}`;
}

const maskSql = (type: string): string => (type === "VARCHAR" ? text(maskedText) : `NULL::${type}`);
