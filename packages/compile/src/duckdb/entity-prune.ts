import type { EntityModel } from "../entity-model.ts";
import type { HistoryParts, Statement } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import { order, rank } from "./entity-fold.ts";
import { fenced } from "./entity-history.ts";
import { stateTable } from "./events.ts";

/**
 * Up to when the history of an entity is cut off, a timestamp; before all times where it is not. Of the stored table that
 * the engine keeps for it (`db.weir.history_borders`).
 */
export const historyBorder = (table: string): string =>
  `coalesce((SELECT max(border) FROM db.weir.history_borders WHERE name = ${text(table)}), '-infinity'::TIMESTAMP)`;

/** What of a history is shown: states that were in force at the border or later. */
export const keptStates = (table: string, history: string): string =>
  `SELECT * FROM (${history}) WHERE valid_to IS NULL OR valid_to > ${historyBorder(table)}`;

/**
 * Removing records of a history that is cut off at a border.
 *
 * Invariant: of every thing, the state now and each state that was in force at the border or later are what all records
 * give, whatever comes yet. So the records up to the border are those whose state began by then, of which the last one, the anchor,
 * is in force at the border; and of these stay
 *
 * - the anchor (of an end, `_unknown` is NULL: it says something of all columns);
 * - of every column (and undeclared member) that the anchor says nothing of, the last record that does. A record that comes late
 *   and lies between says less than a later one, or is itself the last, and a late end cuts off those before it as it
 *   would have;
 * - of every column that only rises, records of a higher rank than all later ones, and the last end, which cuts off what is
 *   older;
 * - records that happened later than all that are newer by version: where the anchor's state begins follows from them.
 *
 * That is a few records a thing. What is left out makes states that ended by the border wrong, which is why nobody may read these
 * (`keptStates`). Truncates stay, all of them.
 *
 * One case is beyond this: a record that comes once the border has passed, happened after the border, and is older by version than
 * the anchor, which happened before. By clocks that agree with versions there is none.
 *
 * Reads the variables `weir_border` (TIMESTAMP), `weir_low` and `weir_high` (UBIGINT), between which the hashes of keys lie.
 * Leaves `pruned_<table>`, the rows that go. A million rows take 1.3 s.
 */
export function historyParts(model: EntityModel, records: string, fences: string | undefined): HistoryParts {
  const { name } = model;
  const [past, pruned] = [ident(`past_${name}`), ident(`pruned_${name}`)];
  const some = `(SELECT rowid AS _row, * FROM ${stateTable(records)}
    WHERE _hash BETWEEN getvariable('weir_low') AND getvariable('weir_high'))`;
  const lattices = model.columns.filter(({ lattice }) => lattice !== undefined);
  const ranks = lattices.map(
    ({ name: column, lattice = [] }, i) => `CASE WHEN _op = 'delete' THEN ${lattice.length}
      WHEN _unknown IS NULL OR NOT list_contains(_unknown, ${text(column)}) THEN ${rank(column, lattice)} END AS _rank${i}`,
  );
  const sorted = "PARTITION BY _key ORDER BY _version, _id, _row";
  const later = lattices.map((_, i) => `max(_rank${i}) OVER _later AS _later_rank${i}`);
  const higher = lattices.map((_, i) => ` AND coalesce(_rank${i} <= _later_rank${i}, _rank${i} IS NULL)`);
  const statements: Statement[] = [
    {
      name: `past of ${name}`,
      purpose: "Records whose states began by the border",
      sql: `CREATE OR REPLACE TEMP TABLE ${past} AS
SELECT *, count(*) OVER _later AS _laters, max(_at) OVER _later AS _later_at${later.map((one) => `, ${one}`).join("")}
FROM (
  SELECT ${lines(["_row", "_key", "_version", "_id", "_at", "coalesce(_unknown, []) AS _lacks", ...ranks, `max(_since) OVER (${sorted} ROWS UNBOUNDED PRECEDING) AS _from`])}
  FROM (${fenced(some, fences === undefined ? undefined : stateTable(fences))})
)
WHERE _from <= getvariable('weir_border')
WINDOW _later AS (${sorted} ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)`,
    },
    {
      name: `past of ${name} that goes`,
      purpose: "Less what later states need, whatever comes",
      sql: `CREATE OR REPLACE TEMP TABLE ${pruned} AS
SELECT _row FROM ${past} WHERE _laters > 0 AND _at <= _later_at${higher.join("")} AND _row NOT IN (
  SELECT arg_max(p._row, ${order("p.")}) FROM ${past} p
  JOIN (SELECT _key, unnest(_lacks) AS _name FROM ${past} WHERE _laters = 0) a ON a._key = p._key AND NOT list_contains(p._lacks, a._name)
  GROUP BY p._key, a._name)`,
    },
    {
      name: `prune history of ${name}`,
      purpose: "What no state that is shown needs",
      sql: `DELETE FROM ${stateTable(records)} WHERE rowid IN (SELECT _row FROM ${pruned})`,
    },
  ];
  return {
    view: `${name}_history`,
    records,
    prune: statements,
    pruned: `temp.${pruned}`,
    drop: `DROP TABLE temp.${past}; DROP TABLE temp.${pruned}`,
  };
}
