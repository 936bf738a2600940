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
  personColumns,
  sameKeys,
  stateColumns,
  stateTable,
} from "./events.ts";
import { eventOfAffectedPerson, identitiesOf, ofAffectedPerson, personInvariants } from "./rekey.ts";
import { besideTable, rollupModel, windowSql } from "./rollup-model.ts";
import type { Rollup } from "./rollup-model.ts";
import { moveStatement, rekeyStatements, takenGroups, takenTable } from "./rollup-rekey.ts";
import { freshView, removedTable } from "./rows.ts";

/**
 * Rollups: the batch is grouped, and each group's state merged into the stored one. A group's state is a
 * commutative monoid (see measures.ts), so the result does not depend on how records were batched.
 *
 * Distinct values are rows of a table beside, `_<table>__<measure>`; the count grows by the values that were new.
 * The joins on `window_start` let DuckDB skip the row groups of other windows: a batch costs by the windows it
 * touches, not by history.
 */
export function rollupProgram(name: string, spec: RollupSpec, scope: TableScope): TableParts {
  const rollup = rollupModel(name, spec, scope);
  const { model, group, distincts, windowMs } = rollup;
  const state = stateTable(name);
  const stateTables = [name, ...distincts.map((measure) => besideTable(name, measure.name))];
  const user = [
    ...group.map(ident),
    ...model.measures.map((measure) => `${measure.value} AS ${ident(measure.name)}`),
  ];
  return {
    stateTables,
    create: createStatements(rollup),
    build: [],
    merge: mergeStatements(rollup),
    changed: changedStatement(name, group.map(ident), state),
    views: [{ name, sql: `SELECT ${user.join(", ")} FROM ${state}` }],
    key: group,
    stamped: `SELECT ${[...user, "_commit"].join(", ")} FROM ${state}`,
    // By person, groups go when their person becomes part of another.
    keepsRows: identitiesOf(model).length === 0,
    ...(windowMs === undefined ? {} : { time: "window_start" }),
    events: {
      name: `events of ${name}`,
      purpose: "The batch's records in the table's shape",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(name)} AS\n${eventsQuery(model)}`,
    },
    invariants: personInvariants(model),
    ...retraction(rollup, stateTables),
  };
}

function createStatements({ model, windowMs, distincts }: Rollup): Statement[] {
  const groupColumns = [
    ...model.by.map(({ column, type }) => `${ident(column)} ${type}`),
    ...(windowMs === undefined ? [] : ["window_start TIMESTAMP"]),
  ];
  const columns = stateColumns(model).map(({ name, type }) => `${ident(name)} ${type}`);
  return [
    {
      name: `state of ${model.name}`,
      purpose: "One row a group",
      sql: `CREATE TABLE ${stateTable(model.name)} (
  ${lines([...groupColumns, ...columns, "_commit UBIGINT"])}
)`,
    },
    ...distincts.map((measure) => ({
      name: `values of ${model.name}.${measure.name}`,
      purpose: "One row a group and distinct value",
      sql: `CREATE TABLE ${stateTable(besideTable(model.name, measure.name))} (${[...groupColumns, `_v ${measure.distinctType}`].join(", ")})`,
    })),
  ];
}

function mergeStatements(rollup: Rollup): Statement[] {
  const { model, keys, group, window, on, distincts } = rollup;
  const columns = stateColumns(model);
  const grouped = group.map(ident);
  const delta = ident(`delta_${model.name}`);
  const ofBatch = `SELECT ${lines([...keys.map(ident), ...window, ...columns.map(({ name, ofRecords }) => `${ofRecords} AS ${ident(name)}`)])}
FROM ${eventsView(model.name)} ${group.length === 0 ? "HAVING count(*) > 0" : `GROUP BY ${group.map((_, i) => i + 1).join(", ")}`}`;
  const byPerson = identitiesOf(model).length > 0;
  const merged = `SELECT ${lines([...grouped, ...columns.map(({ name, ofStates }) => `${ofStates} AS ${ident(name)}`)])}
FROM (${ofBatch} UNION ALL ${takenGroups(rollup)}) GROUP BY ${grouped.join(", ")}`;
  return [
    ...(byPerson ? rekeyStatements(rollup) : []),
    {
      name: `groups of ${model.name}`,
      purpose: byPerson ? "Group the batch, and what met in the state" : "Group the batch",
      sql: `CREATE OR REPLACE TEMP TABLE ${delta} AS\n${byPerson ? merged : ofBatch}`,
    },
    ...(byPerson ? [moveStatement(rollup)] : []),
    ...distincts.flatMap(({ name, argument }) => distinctStatements(rollup, { name, argument })),
    {
      name: `merge ${model.name}`,
      purpose: "Merge the batch's groups into the stored ones",
      sql: `MERGE INTO ${stateTable(model.name)} t USING ${delta} s
ON ${on}
WHEN MATCHED THEN UPDATE SET
  ${lines([...columns.map((column) => `${ident(column.name)} = ${column.merged}`), "_commit = getvariable('weir_commit')"])}
WHEN NOT MATCHED THEN INSERT (${[...grouped, ...columns.map(({ name }) => ident(name)), "_commit"].join(", ")})
  VALUES (${[...group.map((g) => `s.${ident(g)}`), ...columns.map(({ name }) => `s.${ident(name)}`), "getvariable('weir_commit')"].join(", ")})`,
    },
    changedFrom(model.name, group, delta, "Groups of the batch"),
  ];
}

function distinctStatements(
  { model, keys, group, window, on }: Rollup,
  measure: { name: string; argument: string },
): Statement[] {
  const added = ident(`added_${model.name}__${measure.name}`);
  const beside = besideTable(model.name, measure.name);
  const state = stateTable(beside);
  const columns = [...group.map(ident), "_v"].join(", ");
  const taken =
    identitiesOf(model).length === 0 ? "" : `\n  UNION SELECT ${columns} FROM ${takenTable(beside)}`;
  return [
    {
      name: `new values of ${model.name}.${measure.name}`,
      purpose: "Values that their group has not had",
      sql: `CREATE OR REPLACE TEMP TABLE ${added} AS
SELECT ${columns} FROM (
  SELECT DISTINCT ${[...keys.map(ident), ...window, `${measure.argument} AS _v`].join(", ")} FROM ${eventsView(model.name)}
  WHERE ${measure.argument} IS NOT NULL${taken}
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

function retraction(
  rollup: Rollup,
  stateTables: readonly string[],
): Pick<TableParts, "retract" | "reachMs" | "retractsWith" | "affectedEvents"> {
  const { model, keys, group, window, windowMs } = rollup;
  const affected = affectedTable(model.name);
  const identities = identitiesOf(model);
  const selected = [...keys.map(ident), ...window];
  const persons = personColumns(model);
  const nobody = persons.map((_, i) => `e._v${i} IS NULL`).join(" AND ");
  // `removed_<contract>` has the columns of `fresh_<contract>` that events read.
  const removed = model.from.reduce(
    (sql, { name }) => sql.replaceAll(`FROM ${freshView(name)}`, `FROM ${removedTable(name)}`),
    eventsQuery(model, persons.length === 0 ? undefined : nobody),
  );
  const ofRemoved = `SELECT DISTINCT ${selected.length === 0 ? "1 AS one" : selected.join(", ")} FROM (${removed})`;
  // Groups of persons go by person, as records of others than those taken back may be of another person now.
  const ofPersons = `SELECT ${group.map(ident).join(", ")} FROM ${stateTable(model.name)} t WHERE ${ofAffectedPerson(model, "t")}`;
  const inAffected = `EXISTS (SELECT 1 FROM ${affected} a WHERE ${[
    sameKeys(keys, "a", "e"),
    ...(windowMs === undefined ? [] : [`a.window_start = ${windowSql(windowMs, "e._t")}`]),
  ].join(" AND ")})`;
  return {
    // Of a person all records are computed anew.
    ...(windowMs === undefined || persons.length > 0 ? {} : { reachMs: windowMs }),
    retractsWith: identities,
    retract: [
      {
        name: `affected groups of ${model.name}`,
        purpose: "Groups that lose a record",
        sql: `CREATE OR REPLACE TEMP TABLE ${affected} AS ${persons.length === 0 ? ofRemoved : `${ofPersons} UNION ${ofRemoved}`}`,
      },
      changedFrom(model.name, group, affected, "Groups that are dropped"),
      ...stateTables.map((name) => ({
        name: `drop affected groups of ${name}`,
        purpose: "They are computed anew from the clean zone",
        sql: `DELETE FROM ${stateTable(name)} t WHERE EXISTS (SELECT 1 FROM ${affected} a WHERE ${sameKeys(group, "a", "t")})`,
      })),
    ],
    affectedEvents: {
      name: `affected events of ${model.name}`,
      purpose: "All records of the groups that lost one",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${
        persons.length === 0
          ? eventsQuery(model, inAffected)
          : eventsQuery(model, `${eventOfAffectedPerson(model)} OR (${nobody} AND ${inAffected})`, stateTable)
      }`,
    },
  };
}
