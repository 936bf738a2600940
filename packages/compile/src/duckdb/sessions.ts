import type { Statement, TableParts } from "../program.ts";
import { ident, lines } from "../sql.ts";
import type { SessionsSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import {
  affectedTable,
  changedStatement,
  changedTable,
  eventsQuery,
  eventsView,
  sameKeys,
  stateColumns,
  stateTable,
  tableModel,
} from "./events.ts";
import type { TableModel } from "./events.ts";
import {
  eventOfAffectedPerson,
  identitiesOf,
  ofAffectedPerson,
  oldKeys,
  personInvariants,
  rekeyedStatement,
  rekeyedTable,
  setPersons,
} from "./rekey.ts";
import { freshView, removedTable } from "./rows.ts";

/**
 * Sessions. Invariant: two stored sessions of one key are always more than the gap apart.
 *
 * A batch first becomes mini-sessions. Stored sessions within the gap of one of them are taken out, and the two
 * kinds are merged wherever neighbours are at most the gap apart. What is put back is again more than the gap
 * from every other stored session: a session that was not taken out is further than the gap from every mini-session
 * and, by the invariant, from every stored one. So the result depends on the set of records only.
 *
 * Both ends are event times in microseconds. A silence of exactly the gap does not end a session.
 *
 * Where a person becomes part of another, the stored sessions move along, in place; those of one key that are then at most
 * the gap apart are taken out too, and merged in the same way.
 *
 * Runs are numbered over RANGE frames: rows of equal time are peers and get the same number, in whatever order the
 * two sorts happen to put them.
 */
export function sessionsProgram(name: string, spec: SessionsSpec, scope: TableScope): TableParts {
  const model = tableModel(name, spec, scope, false);
  const keys = model.by.map(({ column }) => column);
  const columns = stateColumns(model);
  const state = stateTable(model.name);
  const keyList = keys.map(ident).join(", ");
  const user = [
    `${sessionId(model)} AS session_id`,
    ...keys.map(ident),
    "make_timestamp(_start) AS session_start",
    "make_timestamp(_end) AS session_end",
    "_records AS records",
    ...model.measures.map(({ name, value }) => `${value} AS ${ident(name)}`),
  ];
  return {
    stateTables: [model.name],
    key: ["session_id"],
    stamped: `SELECT ${[...user, "_commit"].join(", ")} FROM ${state}`,
    order: [...keys, "session_start"],
    time: "session_start",
    create: [
      {
        name: `state of ${model.name}`,
        purpose: "One row a session",
        sql: `CREATE TABLE ${state} (
  ${lines([
    ...model.by.map(({ column, type }) => `${ident(column)} ${type}`),
    "_start BIGINT",
    "_end BIGINT",
    "_records BIGINT",
    ...columns.map(({ name, type }) => `${ident(name)} ${type}`),
    "_commit UBIGINT",
  ])}
)`,
      },
    ],
    build: [],
    merge: [
      ...(identitiesOf(model).length === 0 ? [] : rekeyStatements(model, keyList, spec.gapMs * 1000)),
      ...mergeStatements(model, keyList, spec.gapMs * 1000),
    ],
    changed: changedStatement(model.name, ["''::VARCHAR AS session_id"]),
    views: [{ name: model.name, sql: `SELECT ${user.join(", ")} FROM ${state}` }],
    events: {
      name: `events of ${model.name}`,
      purpose: "The batch's records in the table's shape; without a key there is no session",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${eventsQuery(model, keyed(keys))}`,
    },
    invariants: personInvariants(model),
    ...retraction(model, keys),
  };
}

function retraction(
  model: TableModel,
  keys: readonly string[],
): Pick<TableParts, "retract" | "retractsWith" | "affectedEvents"> {
  const state = stateTable(model.name);
  const affected = affectedTable(model.name);
  const identities = identitiesOf(model);
  const byPerson = identities.length > 0;
  const selected = [...keys.map((key) => `t.${ident(key)}`), "t._start", "t._end"].join(", ");
  return {
    retractsWith: identities,
    retract: [
      {
        name: `affected sessions of ${model.name}`,
        purpose: byPerson ? "All sessions of persons that lost a record" : "Sessions that lose a record",
        sql: `CREATE OR REPLACE TEMP TABLE ${affected} AS
${
  byPerson
    ? `SELECT ${selected} FROM ${state} t WHERE ${ofAffectedPerson(model, "t")}`
    : `SELECT DISTINCT ${selected}
FROM ${state} t JOIN (${removedEvents(model)}) r
ON ${keys.map((key) => `t.${ident(key)} = r.${ident(key)}`).join(" AND ")} AND r._t BETWEEN t._start AND t._end`
}`,
      },
      {
        name: `changed sessions of ${model.name}`,
        purpose: "Sessions that are dropped",
        sql: `INSERT INTO ${changedTable(model.name)} SELECT ${sessionId(model)} FROM ${affected}`,
      },
      {
        name: `drop affected sessions of ${model.name}`,
        purpose: "They are computed anew from the clean zone",
        sql: `DELETE FROM ${state} t WHERE EXISTS (
  SELECT 1 FROM ${affected} a WHERE ${sameKeys(keys, "a", "t")} AND a._start = t._start)`,
      },
    ],
    affectedEvents: {
      name: `affected events of ${model.name}`,
      purpose: "All records of the sessions that lost one",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${
        byPerson
          ? eventsQuery(model, `${keyed(keys)} AND (${eventOfAffectedPerson(model)})`, stateTable)
          : eventsQuery(
              model,
              `${keyed(keys)} AND EXISTS (SELECT 1 FROM ${affected} a WHERE ${sameKeys(keys, "a", "e")} ` +
                "AND e._t BETWEEN a._start AND a._end)",
            )
      }`,
    },
  };
}

/** A session's id: a hash of the table, the key and the start. */
const sessionId = ({ name, by }: TableModel): string =>
  `md5(to_json([${[`'${name}'`, ...by.map(({ column }) => `${ident(column)}::VARCHAR`), "_start::VARCHAR"].join(", ")}])::VARCHAR)`;

const keyed = (keys: readonly string[]): string =>
  keys.map((key) => `e.${ident(key)} IS NOT NULL`).join(" AND ");

const removedEvents = (model: TableModel): string =>
  model.from.reduce(
    (sql, { name }) => sql.replaceAll(`FROM ${freshView(name)}`, `FROM ${removedTable(name)}`),
    eventsQuery(model),
  );

const collidedTable = (name: string): string => ident(`collided_${name}`);

/** Moves stored sessions to the persons that theirs became part of, and leaves those that meet as `collided_<table>`. */
function rekeyStatements(model: TableModel, keys: string, gap: number): Statement[] {
  const state = stateTable(model.name);
  const rekeyed = rekeyedTable(model.name);
  const sameKey = model.by.map(({ column }) => `r.${ident(column)} = t.${ident(column)}`).join(" AND ");
  return [
    rekeyedStatement(model, model.name, ["_start", "_end"]),
    {
      name: `moved sessions of ${model.name}`,
      purpose: "Sessions that get another id",
      sql: `INSERT INTO ${changedTable(model.name)}
SELECT ${sessionId(model)} FROM (SELECT ${[...oldKeys(model), "_start"].join(", ")} FROM ${rekeyed})
UNION ALL SELECT ${sessionId(model)} FROM ${rekeyed}`,
    },
    {
      name: `move sessions of ${model.name}`,
      purpose: "To the person that theirs became part of",
      sql: `UPDATE ${state} t SET ${setPersons(model)}, _commit = getvariable('weir_commit')
FROM ${rekeyed} r WHERE t.rowid = r._row`,
    },
    {
      name: `sessions of ${model.name} that meet`,
      purpose: "Stored sessions of one key that are at most the gap apart now",
      sql: `CREATE OR REPLACE TEMP TABLE ${collidedTable(model.name)} AS
SELECT _row FROM (
  SELECT _row, count(*) OVER (PARTITION BY ${keys}, _run) AS _n FROM (
    SELECT *, sum(_opens) OVER (PARTITION BY ${keys} ORDER BY _start RANGE UNBOUNDED PRECEDING) AS _run FROM (
      SELECT *, CASE WHEN _start - max(_end) OVER (
          PARTITION BY ${keys} ORDER BY _start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) <= ${gap} THEN 0 ELSE 1 END AS _opens
      FROM (
        SELECT t.rowid AS _row, ${model.by.map(({ column }) => `t.${ident(column)}`).join(", ")}, t._start, t._end
        FROM ${state} t WHERE EXISTS (SELECT 1 FROM ${rekeyed} r WHERE ${sameKey})
      )
    )
  )
) WHERE _n > 1`,
    },
  ];
}

function mergeStatements(model: TableModel, keys: string, gap: number): Statement[] {
  const columns = stateColumns(model);
  const names = columns.map(({ name }) => ident(name));
  const state = stateTable(model.name);
  const [minis, touched] = [ident(`minis_${model.name}`), ident(`touched_${model.name}`)];
  const [reached, joined] = [ident(`reached_${model.name}`), ident(`joined_${model.name}`)];
  const byPerson = identitiesOf(model).length > 0;
  const stored = [keys, "_start", "_end", "_records", ...names, "_commit"].join(", ");
  const low = `${model.name}_low`;
  const high = `${model.name}_high`;
  const sameKey = model.by.map(({ column }) => `m.${ident(column)} = t.${ident(column)}`).join(" AND ");
  const combined = columns.map(({ name, ofStates }) => `${ofStates} AS ${ident(name)}`);
  return [
    {
      name: `mini-sessions of ${model.name}`,
      purpose: "Sessions within the batch",
      sql: `CREATE OR REPLACE TEMP TABLE ${minis} AS
SELECT ${lines([keys, "min(_t) AS _start", "max(_t) AS _end", "count(*) AS _records", ...columns.map(({ name, ofRecords }) => `${ofRecords} AS ${ident(name)}`)])}
FROM (
  SELECT *, sum(_opens) OVER (PARTITION BY ${keys} ORDER BY _t RANGE UNBOUNDED PRECEDING) AS _run
  FROM (
    SELECT *, CASE WHEN _t - lag(_t) OVER (PARTITION BY ${keys} ORDER BY _t) <= ${gap} THEN 0 ELSE 1 END AS _opens
    FROM ${eventsView(model.name)}
  )
)
GROUP BY ${keys}, _run`,
    },
    {
      // As variables they are constants to the planner, which then skips row groups of other times.
      name: `span of ${model.name}`,
      purpose: "Event times that stored sessions must reach to matter",
      sql: `SET VARIABLE ${ident(low)} = (SELECT min(_start) - ${gap} FROM ${minis});
SET VARIABLE ${ident(high)} = (SELECT max(_end) + ${gap} FROM ${minis})`,
    },
    {
      // By rows that are found first, and by an inner join: of 10 million sessions and 40,000 mini-sessions, some of them
      // late, it takes 0.13 s on one core. EXISTS with the ranges, over whole rows, takes 2.2 s.
      name: `reached sessions of ${model.name}`,
      purpose: "Rows of stored sessions within the gap of one of the batch",
      sql: `CREATE OR REPLACE TEMP TABLE ${reached} AS
SELECT t.rowid AS _row FROM ${state} t JOIN ${minis} m ON ${sameKey} AND t._end >= m._start - ${gap} AND t._start <= m._end + ${gap}
WHERE t._end >= getvariable('${low}') AND t._start <= getvariable('${high}')${byPerson ? `\nUNION ALL SELECT _row FROM ${collidedTable(model.name)}` : ""}`,
    },
    {
      name: `touched sessions of ${model.name}`,
      purpose: "Those sessions",
      sql: `CREATE OR REPLACE TEMP TABLE ${touched} AS
SELECT t.rowid AS _row, t.* FROM ${state} t WHERE t.rowid IN (SELECT _row FROM ${reached})`,
    },
    {
      name: `take out touched sessions of ${model.name}`,
      purpose: "They are put back merged",
      sql: `DELETE FROM ${state} WHERE rowid IN (SELECT _row FROM ${touched})`,
    },
    {
      name: `join sessions of ${model.name}`,
      purpose: "Join neighbours that are at most the gap apart",
      sql: `CREATE OR REPLACE TEMP TABLE ${joined} AS
SELECT ${lines([keys, "min(_start) AS _start", "max(_end) AS _end", "sum(_records)::BIGINT AS _records", ...combined, "getvariable('weir_commit') AS _commit"])}
FROM (
  SELECT *, sum(_opens) OVER (PARTITION BY ${keys} ORDER BY _start RANGE UNBOUNDED PRECEDING) AS _run
  FROM (
    SELECT *, CASE WHEN _start - max(_end) OVER (
        PARTITION BY ${keys} ORDER BY _start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
      ) <= ${gap} THEN 0 ELSE 1 END AS _opens
    FROM (
      SELECT ${[keys, "_start", "_end", "_records", ...names].join(", ")} FROM ${minis}
      UNION ALL
      SELECT ${[keys, "_start", "_end", "_records", ...names].join(", ")} FROM ${touched}
    )
  )
)
GROUP BY ${keys}, _run`,
    },
    {
      name: `merge ${model.name}`,
      purpose: "Put the sessions back",
      sql: `INSERT INTO ${state} (${stored}) SELECT ${stored} FROM ${joined}`,
    },
    {
      name: `changed sessions of ${model.name}`,
      purpose: "Sessions that came, and those that were taken out",
      sql: `INSERT INTO ${changedTable(model.name)}
SELECT ${sessionId(model)} FROM ${joined} UNION SELECT ${sessionId(model)} FROM ${touched}`,
    },
  ];
}
