import { fieldOf } from "../entity-model.ts";
import type { EntityColumn, EntityModel } from "../entity-model.ts";
import { ident, lines, text } from "../sql.ts";

/**
 * Folding the records of a thing to its state: in the order of `_o` each known column is replaced, an unknown one kept; a
 * delete resets; columns with a lattice take the highest rank since the last reset.
 *
 * Macros of the setup, for the columns that are folded as a whole:
 *   weir_folded(states, declared)     `e` (_extra), `u` (_unknown), `m` (_misfit) of states in their order
 */
export const entityMacros: readonly string[] = [
  `CREATE OR REPLACE MACRO weir_entries(_object) AS map_entries(TRY_CAST(_object AS MAP(VARCHAR, JSON)))`,
  // What the newer state says nothing of stays; with nothing to keep, its text stays as it is.
  `CREATE OR REPLACE MACRO weir_kept(_older, _newer, _unknown_names) AS CASE
  WHEN len(list_filter(weir_entries(_older), lambda _e: list_contains(_unknown_names, _e.key))) > 0
  THEN to_json(map_concat(
    map_from_entries(list_filter(weir_entries(_older), lambda _e: list_contains(_unknown_names, _e.key))),
    coalesce(TRY_CAST(_newer AS MAP(VARCHAR, JSON)), MAP {}::MAP(VARCHAR, JSON))))
  ELSE _newer END`,
  // A column that has none of its own and is not in \`_extra\` either was not known before: it stays unknown.
  `CREATE OR REPLACE MACRO weir_folded(_states_of, _declared) AS list_reduce(_states_of, lambda _s, _x: struct_pack(
  e := weir_kept(_s.e, _x.e, _x.u),
  u := list_filter(_x.u, lambda _n: list_contains(_s.u, _n)
    OR (NOT list_contains(_declared, _n) AND NOT coalesce(list_contains(json_keys(_s.e), _n), FALSE))),
  m := list_concat(_x.m, list_filter(_s.m, lambda _n: list_contains(_x.u, _n)))))`,
];

/** What orders the states of a thing, of a relation with `_version` and `_id`. */
export const order = (relation = ""): string => `struct_pack(v := ${relation}_version, i := ${relation}_id)`;

/** The rank of a column's value: unlisted values are below all others, and NULL is below these. */
export const rank = (name: string, values: readonly string[]): string =>
  `CASE WHEN ${ident(name)} IS NULL THEN -2 ${values.map((value, i) => `WHEN ${ident(name)} = ${text(value)} THEN ${i}`).join(" ")} ELSE -1 END`;

const hasLattice = (model: EntityModel): boolean =>
  model.columns.some(({ lattice }) => lattice !== undefined);

/** Whether a record says all there is to know of its thing, so that no older one matters. */
export const isFull = (model: EntityModel): string =>
  hasLattice(model) ? "_op = 'delete'" : "(_op = 'delete' OR _unknown IS NULL)";

/** Whether a record says something of a column. */
export const isKnown = (name: string): string =>
  `(_unknown IS NULL OR NOT list_contains(_unknown, ${text(name)}))`;

/** Whether a record may say nothing of a column. */
export const hasPartialRecords = ({ from, columns }: EntityModel): boolean =>
  from.kind === "stream" ||
  from.contracts.some((contract) => columns.some(({ name }) => fieldOf(contract, name) === undefined));

/** The value of a column: the last that is known, or of those the one of the highest rank. */
function folded({ name, lattice }: EntityColumn): string {
  const by = lattice === undefined ? "_o" : `struct_pack(r := ${rank(name, lattice)}, o := _o)`;
  return `(arg_max(struct_pack(v := ${ident(name)}), ${by}) FILTER (WHERE ${isKnown(name)})).v AS ${ident(name)}`;
}

/**
 * The state of each thing whose newest record is no delete.
 *
 * @param records records with `_o`; the first may be a state, as a record of all that is known
 * @returns the columns of a record but `_op`
 */
export function foldQuery(model: EntityModel, records: string): string {
  const declared = `[${model.columns.map(({ name }) => text(name)).join(", ")}]`;
  return `SELECT _key, _hash, ${model.columns.map(({ name }) => ident(name)).join(", ")},
  _s.e AS _extra, nullif(_s.m, []) AS _misfit, nullif(_s.u, []) AS _unknown, _at, _last.v AS _version, _last.i AS _id
FROM (
  SELECT ${lines(["_key", "_hash", ...model.columns.map(folded), "arg_max(_at, _o) AS _at", "max(_o) AS _last"])},
    weir_folded(list(struct_pack(e := _extra, u := coalesce(_unknown, []), m := coalesce(_misfit, [])) ORDER BY _o), ${declared}) AS _s
  FROM (
    SELECT *, max(_o) FILTER (WHERE _op = 'delete') OVER (PARTITION BY _key) AS _reset FROM ${records}
  )
  WHERE _reset IS NULL OR _o > _reset
  GROUP BY _key, _hash
)`;
}
