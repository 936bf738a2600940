import type { EntityColumn, EntityModel } from "../entity-model.ts";
import { ident, lines, text } from "../sql.ts";
import { order, rank } from "./entity-fold.ts";

/** Columns of the history beside those of the thing. */
export const intervalColumns = ["valid_from", "valid_to"] as const;

/**
 * Every state that each thing has had (slowly changing dimension, type 2): one row a record, in force from `valid_from` until
 * before `valid_to`, which is NULL for the last. Ends are rows too: `_op` is `delete`, and the columns are those of its record. A
 * truncate ends what it fences and is no row.
 *
 * `valid_from` is when the record happened, but never before a record or truncate that is older by version: clocks may
 * disagree with the order of versions, and intervals of one thing neither overlap nor leave gaps. Records of one instant
 * leave empty intervals.
 *
 * Columns that a record says nothing of have the last known value since the thing's last end; NULL, and a place in
 * `_unknown`, where there is none.
 *
 * Every window is partitioned by the key's columns too, so that a condition on them reaches the stored records.
 */
export function historyQuery(model: EntityModel, history: string, fences: string | undefined): string {
  const { columns } = model;
  const key = ["_key", ...model.key.map(ident)].join(", ");
  const user = columns.map(({ name }) => ident(name));
  return `SELECT ${[...user, "_extra", "_misfit", "_unknown", "_op", ...intervalColumns, "_version"].join(", ")}
FROM (
  SELECT ${lines([...columns.map(filled), ...filledWholes(columns)])}, _op, _version, _from AS valid_from,
    CASE WHEN _fence IS NOT NULL AND _next_fence IS DISTINCT FROM _fence THEN greatest(_from, _fence_at) ELSE _next_from END AS valid_to
  FROM (
    SELECT *, sum(_resets::INTEGER) OVER _past AS _life, sum((_resets OR _unknown IS NULL)::INTEGER) OVER _past AS _block
    FROM (
      SELECT *, lead(_from) OVER _all AS _next_from, lead(_fence) OVER _all AS _next_fence,
        _op = 'delete' OR coalesce(lag(_op) OVER _all = 'delete', FALSE) OR lag(_fence) OVER _all IS DISTINCT FROM _fence AS _resets
      FROM (
        SELECT *, max(_since) OVER (PARTITION BY ${key} ORDER BY _o ROWS UNBOUNDED PRECEDING) AS _from FROM (${fenced(history, fences)})
      )
      WINDOW _all AS (PARTITION BY ${key} ORDER BY _o)
    )
    WINDOW _past AS (PARTITION BY ${key} ORDER BY _o ROWS UNBOUNDED PRECEDING)
  )
  WINDOW _known AS (PARTITION BY ${key}, _block ORDER BY _o ROWS UNBOUNDED PRECEDING),
    _lived AS (PARTITION BY ${key}, _life ORDER BY _o ROWS UNBOUNDED PRECEDING)
)`;
}

/** The stored records with `_o`, the truncate that fences each (`_fence`, `_fence_at`), and `_since`: the least `valid_from`. */
function fenced(history: string, fences: string | undefined): string {
  if (fences === undefined)
    return `SELECT *, ${order()} AS _o, NULL::VARCHAR AS _fence, NULL::TIMESTAMP AS _fence_at, _at AS _since FROM ${history}`;
  const ordered = `(SELECT _version, max(max(_at)) OVER (ORDER BY _version) AS _at FROM ${fences} GROUP BY _version)`;
  return `SELECT h.*, ${order("h.")} AS _o, f._version AS _fence, f._at AS _fence_at, greatest(h._at, p._at) AS _since
        FROM ${history} h ASOF LEFT JOIN ${ordered} f ON f._version >= h._version ASOF LEFT JOIN ${ordered} p ON p._version < h._version`;
}

const known = (name: string): string => `_unknown IS NULL OR NOT list_contains(_unknown, ${text(name)})`;

/** The last known value; with a lattice the highest of those since the thing's last end. */
function filled({ name, lattice }: EntityColumn): string {
  const value =
    lattice === undefined
      ? `last_value(CASE WHEN ${known(name)} THEN struct_pack(v := ${ident(name)}) END IGNORE NULLS) OVER _known`
      : `max(CASE WHEN ${known(name)} THEN struct_pack(r := ${rank(name, lattice)}, o := _o, v := ${ident(name)}) END) OVER _lived`;
  return `(${value}).v AS ${ident(name)}`;
}

/** A block starts with a record that says it all, or with the first of a thing: there is nothing to fold before it. */
function filledWholes(columns: readonly EntityColumn[]): string[] {
  const declared = `[${columns.map(({ name }) => text(name)).join(", ")}]`;
  const states =
    "list(struct_pack(e := _extra, u := coalesce(_unknown, []), m := coalesce(_misfit, []))) OVER _known";
  const folded = (part: string): string => `(weir_folded(${states}, ${declared})).${part}`;
  return [
    `CASE WHEN _unknown IS NULL THEN _extra ELSE ${folded("e")} END AS _extra`,
    `CASE WHEN _unknown IS NULL THEN _misfit ELSE nullif(${folded("m")}, []) END AS _misfit`,
    `CASE WHEN _unknown IS NULL THEN NULL ELSE nullif(${folded("u")}, []) END AS _unknown`,
  ];
}
