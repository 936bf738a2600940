import { ident } from "@weir/compile";
import type { JsonValue, Sql } from "../database.ts";
import { eachRow } from "../each-row.ts";
import { keyLiteral, storedValue } from "./key-value.ts";
import type { KeyValue } from "./key-value.ts";
import type { RangeLookup } from "./lookup.ts";
import type { Column } from "./row-json.ts";
import type { TableShape } from "./table-shape.ts";

/** A row as replies have it. */
export interface FoundRow {
  /** JSON text of the key's values; see `keyText`. */
  readonly key: string;
  /** JSON object. */
  readonly row: Buffer;
}

/** The text that stands for a key's or prefix's values. */
export const keyText = (values: readonly KeyValue[]): string => JSON.stringify(values);

/** Rows past these bytes are not read. */
export const mostReplyBytes = 32 * 1024 * 1024;

/** @returns the rows with these keys, and whether all were read */
export function readKeys(
  sql: Sql,
  shape: TableShape,
  keys: readonly (readonly KeyValue[])[],
): Promise<{ rows: FoundRow[]; whole: boolean }> {
  return readWhere(sql, shape, keysCondition(shape.key, keys), "");
}

/** @returns the rows in order, and whether those are all up to the limit */
export function readRange(
  sql: Sql,
  shape: TableShape,
  { prefix, from, to, limit }: RangeLookup,
): Promise<{ rows: FoundRow[]; whole: boolean }> {
  const conditions = prefix.flatMap((value, i) => {
    const column = shape.order[i];
    if (column === undefined) return [];
    const name = ident(column.name);
    return [value === null ? `${name} IS NULL` : `${name} = ${keyLiteral(column.type, value)}`];
  });
  const { time } = shape;
  if (time !== undefined && from !== undefined)
    conditions.push(`${ident(time.name)} >= ${keyLiteral(time.type, from)}`);
  if (time !== undefined && to !== undefined)
    conditions.push(`${ident(time.name)} < ${keyLiteral(time.type, to)}`);
  const order = sortColumns(shape, { from, to }).map(({ name }) => `${ident(name)} NULLS FIRST`);
  return readWhere(
    sql,
    shape,
    conditions.join(" AND ") || "TRUE",
    `ORDER BY ${order.join(", ")} LIMIT ${limit}`,
  );
}

/** By which columns rows of a range are sorted: windows by time first. Together they name a row. */
export function sortColumns(
  { order, time }: TableShape,
  { from, to }: Pick<RangeLookup, "from" | "to">,
): readonly Column[] {
  const first = time !== undefined && (from !== undefined || to !== undefined) ? [time] : [];
  return [...new Set([...first, ...order])];
}

/** A condition a column lets DuckDB skip row groups and compare constants; only then are the keys compared as such. */
function keysCondition(key: readonly Column[], keys: readonly (readonly KeyValue[])[]): string {
  const conditions = key.map(({ name, type }, i) => {
    const values = [...new Set(keys.map((values) => values[i] ?? null))];
    const literals = values.flatMap((value) => (value === null ? [] : [keyLiteral(type, value)]));
    const parts = [
      ...(literals.length > 0 ? [`${ident(name)} IN (${literals.join(", ")})`] : []),
      ...(literals.length < values.length ? [`${ident(name)} IS NULL`] : []),
    ];
    return `(${parts.join(" OR ")})`;
  });
  if (key.length > 1) {
    const rows = keys.map(
      (values) => `(${key.map(({ type }, i) => keyLiteral(type, values[i] ?? null)).join(", ")})`,
    );
    const same = key.map(({ name }, i) => `_w._k${i} IS NOT DISTINCT FROM ${ident(name)}`).join(" AND ");
    const names = key.map((_, i) => `_k${i}`).join(", ");
    conditions.push(`EXISTS (SELECT 1 FROM (VALUES ${rows.join(", ")}) _w(${names}) WHERE ${same})`);
  }
  return conditions.join(" AND ") || "TRUE";
}

async function readWhere(
  sql: Sql,
  { name, key, rowText }: TableShape,
  condition: string,
  tail: string,
): Promise<{ rows: FoundRow[]; whole: boolean }> {
  const inner = `SELECT * FROM db.main.${ident(name)} WHERE ${condition} ${tail}`;
  const rows: FoundRow[] = [];
  let bytes = 0;
  const add = (stored: readonly KeyValue[], text: string): boolean => {
    const row = Buffer.from(text);
    bytes += row.length;
    if (bytes > mostReplyBytes) return false;
    rows.push({ key: keyText(key.map(({ type }, i) => storedValue(type, stored[i] ?? null))), row });
    return true;
  };
  if (rowText === undefined) return { rows, whole: await readObjects(sql, key, inner, add) };
  const texts = key.map((column) => `${ident(column.name)}::VARCHAR`);
  const result = await sql.stream(`SELECT ${[rowText, ...texts].join(", ")} FROM (${inner}) _r`);
  let whole = true;
  await eachRow(result, (value) => {
    whole &&= add(
      key.map((_, i) => value(i + 1) as KeyValue),
      value(0) as string,
    );
  });
  return { rows, whole };
}

/** Rows with columns of which SQL cannot make JSON. */
async function readObjects(
  sql: Sql,
  key: readonly Column[],
  query: string,
  add: (stored: readonly KeyValue[], text: string) => boolean,
): Promise<boolean> {
  const texts = key.map((column) => `${ident(column.name)}::VARCHAR`).join(", ");
  const result = await sql.stream(`SELECT [${texts}]::VARCHAR[] AS _keys, * FROM (${query}) _r`);
  for await (const chunk of result.yieldRowObjectJson() as AsyncIterable<Record<string, JsonValue>[]>) {
    for (const { _keys: stored, ...columns } of chunk)
      if (!add(stored as KeyValue[], JSON.stringify(columns))) return false;
  }
  return true;
}
