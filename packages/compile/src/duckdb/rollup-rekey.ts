import type { Statement } from "../program.ts";
import { ident } from "../sql.ts";
import { changedTable, stateColumns, stateTable } from "./events.ts";
import { oldKeys, rekeyedStatement, rekeyedTable, setPersons } from "./rekey.ts";
import { besideTable } from "./rollup-model.ts";
import type { Rollup } from "./rollup-model.ts";

/**
 * Moves stored groups to the persons that theirs became part of. Groups that then have another of the same key are
 * `taken_<table>`, and become part of the batch's groups; so do their distinct values, `taken_<values>`, which count where
 * they come to be new.
 */
export function rekeyStatements(rollup: Rollup): Statement[] {
  const { model, group, windowMs, on, distincts } = rollup;
  const { name } = model;
  const [rekeyed, taken] = [rekeyedTable(name), takenTable(name)];
  const columns = group.map(ident).join(", ");
  const window = windowMs === undefined ? [] : ["window_start"];
  return [
    rekeyedStatement(model, name, window),
    {
      name: `moved groups of ${name}`,
      purpose: "Groups that get another key",
      sql: `INSERT INTO ${changedTable(name)}
SELECT ${[...oldKeys(model), ...window].join(", ")} FROM ${rekeyed} UNION ALL SELECT ${columns} FROM ${rekeyed}`,
    },
    {
      name: `groups of ${name} that meet`,
      purpose: "Moved groups whose new key others have too",
      sql: `CREATE OR REPLACE TEMP TABLE ${taken} AS
SELECT _row, ${columns} FROM ${rekeyed} WHERE _row IN (
  SELECT _row FROM (SELECT _row, count(*) OVER (PARTITION BY ${columns}) AS _n FROM ${rekeyed}) WHERE _n > 1
  UNION ALL SELECT s._row FROM ${stateTable(name)} t JOIN ${rekeyed} s ON ${on})`,
    },
    ...distincts.flatMap((measure) => valueStatements(rollup, besideTable(name, measure.name))),
  ];
}

/** The same for the distinct values: those of taken groups are taken out, the others move. */
function valueStatements({ model, group, windowMs, on }: Rollup, values: string): Statement[] {
  const [rekeyed, taken] = [rekeyedTable(values), takenTable(values)];
  const state = stateTable(values);
  return [
    rekeyedStatement(model, values, windowMs === undefined ? [] : ["window_start"]),
    {
      name: `taken values of ${values}`,
      purpose: "Values of groups that meet",
      sql: `CREATE OR REPLACE TEMP TABLE ${taken} AS
SELECT v._row, ${group.map((column) => `v.${ident(column)}`).join(", ")}, x._v FROM ${state} x JOIN (
  SELECT * FROM ${rekeyed} t WHERE EXISTS (SELECT 1 FROM ${takenTable(model.name)} s WHERE ${on})
) v ON x.rowid = v._row`,
    },
    {
      name: `move values of ${values}`,
      purpose: "To the person that theirs became part of",
      sql: `DELETE FROM ${state} WHERE rowid IN (SELECT _row FROM ${taken});
UPDATE ${state} t SET ${setPersons(model)} FROM ${rekeyed} r
WHERE t.rowid = r._row AND r._row NOT IN (SELECT _row FROM ${taken})`,
    },
  ];
}

/** Groups, or values, that were taken out of the state: `_row`, their new key. */
export const takenTable = (name: string): string => ident(`taken_${name}`);

/** The taken groups in the shape of the batch's: their values are counted where they come to be new. */
export function takenGroups({ model, group, distincts }: Rollup): string {
  const counted = new Set(distincts.map(({ name }) => name));
  const states = stateColumns(model).map(({ name }) => {
    const column = ident(name);
    return counted.has(name) ? `0::BIGINT AS ${column}` : `t.${column}`;
  });
  return `SELECT ${[...group.map((column) => `s.${ident(column)}`), ...states].join(", ")}
FROM ${stateTable(model.name)} t JOIN ${takenTable(model.name)} s ON t.rowid = s._row`;
}

/** To be run once the taken groups have been read. */
export const moveStatement = ({ model }: Rollup): Statement => ({
  name: `move groups of ${model.name}`,
  purpose: "To the person that theirs became part of",
  sql: `DELETE FROM ${stateTable(model.name)} WHERE rowid IN (SELECT _row FROM ${takenTable(model.name)});
UPDATE ${stateTable(model.name)} t SET ${setPersons(model)}, _commit = getvariable('weir_commit')
FROM ${rekeyedTable(model.name)} r WHERE t.rowid = r._row AND r._row NOT IN (SELECT _row FROM ${takenTable(model.name)})`,
});
