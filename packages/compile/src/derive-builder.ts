import type { DeriveMapping, DeriveSpec } from "./table.ts";

/** How an input's rows tell which derived key they belong to. */
export type KeyMapping =
  /** The column that carries the derived key, where this is one column. */
  | string
  /** For each column of the derived key, the input's column that carries it. */
  | Readonly<Record<string, string>>
  /** They belong where those rows of another input belong that they join: its columns, and this input's. */
  | { readonly via: string; readonly on: Readonly<Record<string, string>> };

/**
 * A query over other tables, kept up to date: when a commit adds, changes or removes rows of an input, the query runs
 * again for the keys that these rows belong to, and for no others.
 *
 * The query must be a function of the set of its inputs' rows, and its rows of a key must depend on input rows of
 * that key only, as `keys` tells which they are. What is certain to break the first is refused when the project is
 * checked: `now()`, `random()`, `first(x)` without an order.
 *
 * @param options.from the tables that the query reads, by the names that it has for them
 * @param options.key the columns of the query that name a row
 * @param options.keys for each name in `from`, how its rows tell their key. `{ via: "o", on: { customer_id: "id" } }`: the
 * key is that of the rows of `o` whose `customer_id` is this input's `id`
 * @param options.sql one SELECT in DuckDB's dialect
 */
export function derive(options: {
  from: Readonly<Record<string, string>>;
  key: string | readonly string[];
  keys: Readonly<Record<string, KeyMapping>>;
  sql: string;
}): DeriveSpec {
  const { from, sql } = options;
  const key = typeof options.key === "string" ? [options.key] : options.key;
  const keys = Object.entries(options.keys).map(
    ([alias, mapping]) => [alias, mappingOf(mapping, key)] as const,
  );
  // A statement may end with a semicolon, a part of one may not.
  return { kind: "derive", from, key, keys: Object.fromEntries(keys), sql: sql.replace(/[;\s]+$/, "") };
}

function mappingOf(mapping: KeyMapping, key: readonly string[]): DeriveMapping {
  // Where the key has more columns than one, the check says so: a string is no mapping of it.
  if (typeof mapping === "string") return { columns: { [key.length === 1 ? (key[0] ?? "") : ""]: mapping } };
  return isVia(mapping) ? { via: mapping.via, on: mapping.on } : { columns: mapping };
}

const isVia = (
  mapping: Exclude<KeyMapping, string>,
): mapping is { readonly via: string; readonly on: Readonly<Record<string, string>> } =>
  typeof mapping["on"] === "object";
