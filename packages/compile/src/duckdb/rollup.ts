import type { Statement, TableParts } from "../program.ts";
import { ident, lines } from "../sql.ts";
import type { RollupSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import {
  affectedTable,
  changedFrom,
  changedStatement,
  eventsQuery,
  eventsView,
  removedTable,
  sameKeys,
  stateColumns,
  stateTable,
  tableModel,
} from "./events.ts";
import type { TableModel } from "./events.ts";
import { freshView } from "./rows.ts";

/**
 * Rollups: the batch is grouped, and each group's state merged into the stored one. A group's state is a
 * commutative monoid (see measures.ts), so the result does not depend on how records were batched.
 *
 * Distinct values are rows of a table beside, `_<table>__<measure>`; the count grows by the values that were new.
 * The joins on `window_start` let DuckDB skip the row groups of other windows: a batch costs by the windows it
 * touches, not by history.
 */
export function rollupProgram(name: string, spec: RollupSpec, scope: TableScope): TableParts {
  const model = tableModel(name, spec, scope, true);
  const { windowMs } = spec;
  const keys = model.by.map(({ column }) => column);
  const group = windowMs === undefined ? keys : [...keys, "window_start"];
  const columns = stateColumns(model);
  const distincts = model.measures.filter((measure) => measure.distinctType !== undefined);
  const beside = (measure: string): string => besideTable(model.name, measure);
  const window = windowMs === undefined ? [] : [`${windowSql(windowMs)} AS window_start`];
  const match = [
    ...keys.map((key) => `t.${ident(key)} IS NOT DISTINCT FROM s.${ident(key)}`),
    ...(windowMs === undefined ? [] : ["t.window_start = s.window_start"]),
  ];
  const on = match.length === 0 ? "TRUE" : match.join(" AND ");
  const groupColumns = [
    ...model.by.map(({ column, type }) => `${ident(column)} ${type}`),
    ...(windowMs === undefined ? [] : ["window_start TIMESTAMP"]),
  ];
  const create: Statement[] = [
    {
      name: `state of ${model.name}`,
      purpose: "One row a group",
      sql: `CREATE TABLE ${stateTable(model.name)} (
  ${lines([...groupColumns, ...columns.map(({ name, type }) => `${ident(name)} ${type}`), "_commit UBIGINT"])}
)`,
    },
    ...distincts.map((measure) => ({
      name: `values of ${model.name}.${measure.name}`,
      purpose: "One row a group and distinct value",
      sql: `CREATE TABLE ${stateTable(beside(measure.name))} (${[...groupColumns, `_v ${measure.distinctType}`].join(", ")})`,
    })),
  ];
  const grouped = group.map(ident);
  const delta = ident(`delta_${model.name}`);
  const merge: Statement[] = [
    {
      name: `groups of ${model.name}`,
      purpose: "Group the batch",
      sql: `CREATE OR REPLACE TEMP TABLE ${delta} AS
SELECT ${lines([...keys.map(ident), ...window, ...columns.map(({ name, ofRecords }) => `${ofRecords} AS ${ident(name)}`)])}
FROM ${eventsView(model.name)} ${group.length === 0 ? "HAVING count(*) > 0" : `GROUP BY ${group.map((_, i) => i + 1).join(", ")}`}`,
    },
    ...distincts.flatMap((measure) =>
      distinctStatements(model, { name: measure.name, argument: measure.argument }, group, window, on),
    ),
    {
      name: `merge ${model.name}`,
      purpose: "Merge the batch's groups into the stored ones",
      sql: `MERGE INTO ${stateTable(model.name)} t USING ${delta} s
ON ${on}
WHEN MATCHED THEN UPDATE SET
  ${lines([...columns.map(({ name, merged }) => `${ident(name)} = ${merged}`), "_commit = getvariable('weir_commit')"])}
WHEN NOT MATCHED THEN INSERT (${[...grouped, ...columns.map(({ name }) => ident(name)), "_commit"].join(", ")})
  VALUES (${[...group.map((g) => `s.${ident(g)}`), ...columns.map(({ name }) => `s.${ident(name)}`), "getvariable('weir_commit')"].join(", ")})`,
    },
    changedFrom(model.name, group, delta, "Groups of the batch"),
  ];
  const user = [...grouped, ...model.measures.map(({ name, value }) => `${value} AS ${ident(name)}`)];
  return {
    stateTables: [model.name, ...distincts.map(({ name }) => beside(name))],
    create,
    build: [],
    merge,
    changed: changedStatement(model.name, group.map(ident), stateTable(model.name)),
    views: [{ name: model.name, sql: `SELECT ${user.join(", ")} FROM ${stateTable(model.name)}` }],
    key: group,
    stamped: `SELECT ${[...user, "_commit"].join(", ")} FROM ${stateTable(model.name)}`,
    ...(windowMs === undefined ? {} : { time: "window_start" }),
    events: {
      name: `events of ${model.name}`,
      purpose: "The batch's records in the table's shape",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${eventsQuery(model)}`,
    },
    retract: retractStatements(model, group, window, [
      model.name,
      ...distincts.map(({ name }) => beside(name)),
    ]),
    affectedEvents: {
      name: `affected events of ${model.name}`,
      purpose: "All records of the groups that lost one",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${eventsQuery(
        model,
        `EXISTS (SELECT 1 FROM ${affectedTable(model.name)} a WHERE ${[
          sameKeys(keys, "a", "e"),
          ...(windowMs === undefined ? [] : [`a.window_start = ${windowSql(windowMs, "e._t")}`]),
        ].join(" AND ")})`,
      )}`,
    },
  };
}

/** The table of the distinct values of a measure; no table of a project has such a name. */
const besideTable = (table: string, measure: string): string => `_${table}__${measure}`;

/** Start of the window of `_t` (us): floored, also before 1970. */
function windowSql(windowMs: number, t = "_t"): string {
  const width = windowMs * 1000;
  return `make_timestamp(${t} - ((${t} % ${width}) + ${width}) % ${width})`;
}

function distinctStatements(
  model: TableModel,
  measure: { name: string; argument: string },
  group: readonly string[],
  window: readonly string[],
  on: string,
): Statement[] {
  const added = ident(`added_${model.name}__${measure.name}`);
  const state = stateTable(besideTable(model.name, measure.name));
  const columns = [...group.map(ident), "_v"].join(", ");
  const keys = model.by.map(({ column }) => ident(column));
  return [
    {
      name: `new values of ${model.name}.${measure.name}`,
      purpose: "Values that their group has not had",
      sql: `CREATE OR REPLACE TEMP TABLE ${added} AS
SELECT ${columns} FROM (
  SELECT DISTINCT ${[...keys, ...window, `${measure.argument} AS _v`].join(", ")} FROM ${eventsView(model.name)}
  WHERE ${measure.argument} IS NOT NULL
) s
WHERE NOT EXISTS (SELECT 1 FROM ${state} t WHERE ${on} AND t._v = s._v)`,
    },
    {
      name: `store values of ${model.name}.${measure.name}`,
      purpose: "Remember them",
      sql: `INSERT INTO ${state} (${columns}) SELECT ${columns} FROM ${added}`,
    },
    {
      name: `count values of ${model.name}.${measure.name}`,
      purpose: "Their number is what the group's count grows by",
      sql: `UPDATE ${ident(`delta_${model.name}`)} t SET ${ident(measure.name)} = s._n
FROM (SELECT ${[...group.map(ident), "count(*) AS _n"].join(", ")} FROM ${added} ${group.length === 0 ? "" : "GROUP BY ALL"}) s
WHERE ${on}`,
    },
  ];
}

function retractStatements(
  model: TableModel,
  group: readonly string[],
  window: readonly string[],
  stateNames: readonly string[],
): Statement[] {
  const affected = affectedTable(model.name);
  // `removed_<contract>` has the columns of `fresh_<contract>` that events read.
  const removed = model.from.reduce(
    (sql, { name }) => sql.replaceAll(`FROM ${freshView(name)}`, `FROM ${removedTable(name)}`),
    eventsQuery(model),
  );
  const keys = model.by.map(({ column }) => ident(column));
  const selected = [...keys, ...window];
  return [
    {
      name: `affected groups of ${model.name}`,
      purpose: "Groups that lose a record",
      sql: `CREATE OR REPLACE TEMP TABLE ${affected} AS SELECT DISTINCT ${selected.length === 0 ? "1 AS one" : selected.join(", ")} FROM (${removed})`,
    },
    changedFrom(model.name, group, affected, "Groups that are dropped"),
    ...stateNames.map((name) => ({
      name: `drop affected groups of ${name}`,
      purpose: "They are computed anew from the clean zone",
      sql: `DELETE FROM ${stateTable(name)} t WHERE EXISTS (SELECT 1 FROM ${affected} a WHERE ${sameKeys(group, "a", "t")})`,
    })),
  ];
}
