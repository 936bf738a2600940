import type { TablePatterns } from "./patterns.ts";
import type { Column } from "./columns.ts";
import type { Wire } from "./wire.ts";
import { literal } from "./wire.ts";

/** A table as the catalog has it now. */
export interface CatalogTable {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** `schema.table`. */
  readonly stream: string;
  readonly partitioned: boolean;
  readonly identity: "d" | "i" | "f" | "n";
  /** All columns that are stored, in their order. */
  readonly columns: readonly CatalogColumn[];
  /** Names of the columns that identify a row, in the order of the table; empty: none do. */
  readonly key: readonly string[];
  /** The same in the order of their index; empty where no index orders the rows. */
  readonly order: readonly string[];
  readonly primaryKey: readonly string[];
  /** Changes whenever a column's definition does. */
  readonly marks: string;
  /** The file of each relation that holds its rows (of itself, or of each partition). */
  readonly files: Readonly<Record<string, number>>;
  /** Partitions whose own replica identity holds nothing, so that changes of their rows would fail once published. */
  readonly keyless: readonly string[];
  readonly readable: boolean;
  /** Policies would take rows from what we read. */
  readonly rowSecurity: boolean;
  readonly owned: boolean;
}

export interface CatalogColumn extends Column {
  readonly number: number;
  /** "s": computed and stored; "v": computed when read; "": a plain column. */
  readonly generated: string;
}

interface DetailRow {
  oid: number;
  schema: string;
  table: string;
  kind: string;
  identity: "d" | "i" | "f" | "n";
  columns: { n: string; t: number; m: number; a: number; g: string }[] | null;
  pk: string[] | null;
  replident: string[] | null;
  marks: string;
  files: [oid: number, file: number, name: string, identity: string, key: string[] | null][] | null;
  select: boolean;
  usage: boolean;
  security: boolean;
  owned: boolean;
}

/** A matching relation that cannot be captured, whatever is granted, with its kind. */
export interface Unfit {
  readonly stream: string;
  readonly why: string;
}

const kinds: Readonly<Record<string, string>> = {
  v: "a view",
  m: "a materialized view",
  f: "a foreign table",
};

/** Everything that patterns may name: its oid, schema, name, kind and persistence. Partitions are part of their tables. */
const listSql = `
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'`;

export async function listTables(
  wire: Wire,
  patterns: TablePatterns,
): Promise<{ oids: number[]; names: { schema: string; table: string }[]; unfit: Unfit[] }> {
  const found = (await wire.query(listSql))
    .map(([oid, schema, table, kind, persistence]) => ({
      oid: Number(oid),
      schema: schema ?? "",
      table: table ?? "",
      why:
        kinds[kind ?? ""] ??
        (persistence === "u" ? "an unlogged table, which is in no write-ahead log" : undefined),
    }))
    .filter(({ schema, table }) => patterns.wants(schema, table));
  const unfit = found.flatMap(({ schema, table, why }) =>
    why === undefined ? [] : [{ stream: `${schema}.${table}`, why }],
  );
  const fit = found.filter(({ why }) => why === undefined);
  return { oids: fit.map(({ oid }) => oid), names: found, unfit };
}

/** Names of an index's columns, in its order, without those that it only includes. */
const indexColumns = (version: number, table: string, condition: string): string => `(
  SELECT json_agg(a.attname ORDER BY k.at)
  FROM pg_index i, unnest(i.indkey::int2[]) WITH ORDINALITY k (number, at), pg_attribute a
  WHERE i.indrelid = ${table}.oid AND a.attrelid = ${table}.oid AND a.attnum = k.number AND i.indisvalid AND ${condition}
    AND k.at <= ${version >= 110000 ? "i.indnkeyatts" : "i.indnatts"})`;

/** A deferrable primary key identifies no old rows, but serves where they hold all columns. */
const primaryColumns = (version: number, table: string): string =>
  indexColumns(version, table, `i.indisprimary AND (i.indimmediate OR ${table}.relreplident <> 'd')`);

const bypassesRowSecurity = `(SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)`;

const detailSql = (version: number, oids: readonly number[]): string => `
WITH RECURSIVE tree (root, oid) AS (
  SELECT oid, oid FROM pg_class WHERE oid IN (${oids.join(", ")})
  UNION ALL
  SELECT t.root, i.inhrelid FROM tree t
  JOIN pg_class p ON p.oid = t.oid AND p.relkind = 'p' JOIN pg_inherits i ON i.inhparent = t.oid
)
SELECT json_build_object(
  'oid', c.oid::int8, 'schema', n.nspname, 'table', c.relname, 'kind', c.relkind, 'identity', c.relreplident,
  'columns', (
    SELECT json_agg(json_build_object('n', attname, 't', atttypid::int8, 'm', atttypmod, 'a', attnum,
      'g', ${version >= 120000 ? "attgenerated" : "''"}) ORDER BY attnum)
    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
  'marks', (
    SELECT md5(string_agg(attnum || ':' || xmin, ',' ORDER BY attnum))
    FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
  'pk', ${primaryColumns(version, "c")},
  'replident', ${indexColumns(version, "c", "i.indisreplident")},
  'files', (
    SELECT json_agg(json_build_array(l.oid::int8, l.relfilenode::int8, l.relname, l.relreplident,
      CASE l.relreplident WHEN 'i' THEN ${indexColumns(version, "l", "i.indisreplident")}
        WHEN 'n' THEN NULL ELSE ${primaryColumns(version, "l")} END) ORDER BY l.oid)
    FROM tree t JOIN pg_class l ON l.oid = t.oid WHERE t.root = c.oid AND l.relkind = 'r'),
  'select', has_table_privilege(c.oid, 'SELECT'), 'usage', has_schema_privilege(n.oid, 'USAGE'),
  'security', c.relrowsecurity AND NOT ${bypassesRowSecurity}
    AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')),
  'owned', pg_has_role(c.relowner, 'USAGE')
)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid IN (${oids.join(", ")}) ORDER BY c.oid`;

/** What the catalog says of tables. Those that were dropped since they were listed are missing. */
export async function describeTables(
  wire: Wire,
  version: number,
  oids: readonly number[],
): Promise<CatalogTable[]> {
  if (oids.length === 0) return [];
  const rows = await wire.query(detailSql(version, oids));
  return rows.map(([text]) => catalogTable(version, JSON.parse(text ?? "") as DetailRow));
}

function catalogTable(version: number, row: DetailRow): CatalogTable {
  const columns = (row.columns ?? []).map(({ n, t, m, a, g }) => ({
    name: n,
    type: t,
    modifier: m,
    number: a,
    generated: g,
  }));
  const partitioned = row.kind === "p";
  const files = row.files ?? [];
  const primaryKey = row.pk ?? [];
  const orders: Readonly<Record<string, readonly string[]>> = {
    d: primaryKey,
    i: row.replident ?? [],
    f: primaryKey,
  };
  // Before version 13 partitions are published on their own, and in version 10 only they have keys.
  const order =
    partitioned && version < 130000 && primaryKey.length === 0
      ? commonKey(files.map((file) => file[4] ?? []))
      : (orders[row.identity] ?? []);
  const names = columns.map(({ name }) => name);
  const wholeRow = row.identity === "f" && order.length === 0;
  const key = wholeRow
    ? columns.filter(({ generated }) => generated === "").map(({ name }) => name)
    : names.filter((name) => order.includes(name));
  const keyless = files.filter(([, , , identity, leafKey]) => identity !== "f" && leafKey === null);
  return {
    oid: row.oid,
    schema: row.schema,
    table: row.table,
    stream: `${row.schema}.${row.table}`,
    partitioned,
    identity: row.identity,
    columns,
    key,
    order,
    primaryKey,
    marks: row.marks ?? "",
    files: Object.fromEntries(files.map(([oid, file]) => [String(oid), file])),
    keyless: partitioned ? keyless.map(([, , name]) => name) : [],
    readable: row.select && row.usage,
    rowSecurity: row.security,
    owned: row.owned,
  };
}

/** The key that all partitions have; empty where they differ. */
function commonKey(keys: readonly (readonly string[])[]): readonly string[] {
  const [first = [], ...others] = keys;
  return others.every((key) => JSON.stringify(key) === JSON.stringify(first)) ? first : [];
}

/**
 * Names of the types as the stream has them: built-in ones as SQL writes them, others by the name of the type that
 * they are at bottom.
 */
export async function typeNames(wire: Wire): Promise<[oid: number, name: string][]> {
  const rows = await wire.query(`
    WITH RECURSIVE base (oid, at) AS (
      SELECT oid, oid FROM pg_type WHERE typtype <> 'c' OR oid >= 16384
      UNION ALL
      SELECT b.oid, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.at WHERE t.typtype = 'd')
    SELECT b.oid, CASE WHEN b.oid < 16384 THEN format_type(b.oid, NULL) ELSE t.typname END
    FROM base b JOIN pg_type t ON t.oid = b.at WHERE t.typtype <> 'd'`);
  return rows.map(([oid, name]) => [Number(oid), name ?? ""]);
}

/** What a publication covers. */
export interface Publication {
  readonly owned: boolean;
  readonly allTables: boolean;
  /** Kinds of changes that it leaves out. */
  readonly missing: readonly string[];
  readonly viaRoot: boolean;
  readonly generated: boolean;
  readonly tables: readonly PublishedTable[];
  /** Members by oid, as far as it names tables at all. */
  readonly members: ReadonlySet<number>;
}

export interface PublishedTable {
  readonly schema: string;
  readonly table: string;
  /** Columns that it is limited to (since version 15 always stated). */
  readonly columns: readonly string[] | null;
  readonly rowFilter: string | null;
}

/** The publication of this name, or undefined where there is none. */
export async function readPublication(
  wire: Wire,
  version: number,
  name: string,
): Promise<Publication | undefined> {
  const [row] = await wire.query(`
    SELECT json_build_object('owned', pg_has_role(pubowner, 'USAGE'), 'all', puballtables,
      'insert', pubinsert, 'update', pubupdate, 'delete', pubdelete,
      'truncate', ${version >= 110000 ? "pubtruncate" : "true"},
      'root', ${version >= 130000 ? "pubviaroot" : "false"},
      'generated', ${version >= 180000 ? "pubgencols::text = 's'" : "false"},
      'members', (SELECT json_agg(prrelid::int8) FROM pg_publication_rel WHERE prpubid = p.oid),
      'tables', (
        SELECT json_agg(json_build_array(schemaname, tablename,
          ${version >= 150000 ? "attnames, rowfilter" : "NULL, NULL"}))
        FROM pg_publication_tables WHERE pubname = p.pubname)
    )::text
    FROM pg_publication p WHERE pubname = ${literal(name)}`);
  if (row === undefined) return undefined;
  const found = JSON.parse(row[0] ?? "") as {
    owned: boolean;
    all: boolean;
    root: boolean;
    generated: boolean;
    members: number[] | null;
    tables: [string, string, string[] | null, string | null][] | null;
  } & Record<string, unknown>;
  return {
    owned: found.owned,
    allTables: found.all,
    missing: ["insert", "update", "delete", "truncate"].filter((kind) => found[kind] !== true),
    viaRoot: found.root,
    generated: found.generated,
    members: new Set(found.members),
    tables: (found.tables ?? []).map(([schema, table, columns, rowFilter]) => ({
      schema,
      table,
      columns,
      rowFilter,
    })),
  };
}
