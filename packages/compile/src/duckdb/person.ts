import { kindsOf } from "../check/person.ts";
import type { ContractModel } from "../model.ts";
import { ident, text } from "../sql.ts";
import type { IdentitySpec, PersonKey } from "../table.ts";
import type { TableScope } from "./dialect.ts";

/**
 * A key column that holds the person of a record, by an identity table. That table is merged first; it leaves the persons
 * of the batch's ids and the labels that moved.
 */
export interface PersonColumn {
  readonly people: string;
  /** The ids of a record that count, first first. */
  ids(contract: ContractModel): readonly { readonly kind: string; readonly path: string }[];
  readonly ignore: readonly string[];
}

export function personColumn(key: PersonKey, scope: TableScope): PersonColumn {
  const spec = scope.project.tables[key.person] as IdentitySpec;
  return {
    people: key.person,
    ignore: spec.ignore,
    ids: ({ name }) =>
      key.fields.flatMap((path) => [...kindsOf(spec, name, path)].map((kind) => ({ kind, path }))),
  };
}

/** The stored labels that the batch moved, `_from`, and what they became, `_to`. */
export const movedTable = (people: string): string => ident(`moved_${people}`);
/** `id_kind`, `id`, `person` of at least the batch's ids. */
export const personsView = (people: string): string => ident(`persons_${people}`);

/** An id's value as text; NULL where it is none. */
export const idSql = (value: string, ignore: readonly string[]): string =>
  `CASE WHEN ${value}::VARCHAR NOT IN (${["", ...ignore].map(text).join(", ")}) THEN ${value}::VARCHAR END`;

/** A dotted path of a contract that has it. */
export const fieldSql = (path: string): string => path.split(".").map(ident).join(".");

/** `_k<i>` and `_v<i>`: the kind and value of the id of a record that counts; no value where it has none. */
export function idColumns(column: PersonColumn, contract: ContractModel, i: number): string[] {
  const ids = column.ids(contract).map(({ kind, path }) => ({
    kind: text(kind),
    value: idSql(fieldSql(path), column.ignore),
  }));
  const [only] = ids;
  const kind =
    only !== undefined && ids.length === 1
      ? only.kind
      : `CASE ${ids.map((id) => `WHEN ${id.value} IS NOT NULL THEN ${id.kind}`).join(" ")} END`;
  return [`${kind} AS _k${i}`, `coalesce(${ids.map(({ value }) => value).join(", ")}) AS _v${i}`];
}
