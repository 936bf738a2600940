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
  removedTable,
  sameKeys,
  stateColumns,
  stateTable,
  tableModel,
} from "./events.ts";
import type { TableModel } from "./events.ts";
import { freshView } from "./rows.ts";

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
 * Runs are numbered over RANGE frames: rows of equal time are peers and get the same number, in whatever order the
 * two sorts happen to put them.
 */
export function sessionsProgram(name: string, spec: SessionsSpec, scope: TableScope): TableParts {
  const model = tableModel(name, spec, scope, false);
  const keys = model.by.map(({ column }) => column);
  const columns = stateColumns(model);
  const state = stateTable(model.name);
  const keyList = keys.map(ident).join(", ");
  const id = sessionId(model);
  const user = [
    `${id} AS session_id`,
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
    merge: mergeStatements(model, keyList, spec.gapMs * 1000),
    changed: changedStatement(model.name, ["''::VARCHAR AS session_id"]),
    views: [{ name: model.name, sql: `SELECT ${user.join(", ")} FROM ${state}` }],
    events: {
      name: `events of ${model.name}`,
      purpose: "The batch's records in the table's shape; without a key there is no session",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${eventsQuery(model, keyed(keys))}`,
    },
    retract: [
      {
        name: `affected sessions of ${model.name}`,
        purpose: "Sessions that lose a record",
        sql: `CREATE OR REPLACE TEMP TABLE ${affectedTable(model.name)} AS
SELECT DISTINCT ${[...keys.map((key) => `t.${ident(key)}`), "t._start", "t._end"].join(", ")}
FROM ${state} t JOIN (${removedEvents(model)}) r
ON ${keys.map((key) => `t.${ident(key)} = r.${ident(key)}`).join(" AND ")} AND r._t BETWEEN t._start AND t._end`,
      },
      {
        name: `changed sessions of ${model.name}`,
        purpose: "Sessions that are dropped",
        sql: `INSERT INTO ${changedTable(model.name)} SELECT ${id} FROM ${affectedTable(model.name)}`,
      },
      {
        name: `drop affected sessions of ${model.name}`,
        purpose: "They are computed anew from the clean zone",
        sql: `DELETE FROM ${state} t WHERE EXISTS (
  SELECT 1 FROM ${affectedTable(model.name)} a WHERE ${sameKeys(keys, "a", "t")} AND a._start = t._start)`,
      },
    ],
    affectedEvents: {
      name: `affected events of ${model.name}`,
      purpose: "All records of the sessions that lost one",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(model.name)} AS\n${eventsQuery(
        model,
        `${keyed(keys)} AND EXISTS (SELECT 1 FROM ${affectedTable(model.name)} a WHERE ${sameKeys(keys, "a", "e")} ` +
          "AND e._t BETWEEN a._start AND a._end)",
      )}`,
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

function mergeStatements(model: TableModel, keys: string, gap: number): Statement[] {
  const columns = stateColumns(model);
  const names = columns.map(({ name }) => ident(name));
  const state = stateTable(model.name);
  const [minis, touched] = [ident(`minis_${model.name}`), ident(`touched_${model.name}`)];
  const joined = ident(`joined_${model.name}`);
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
      name: `touched sessions of ${model.name}`,
      purpose: "Stored sessions within the gap of one of the batch",
      sql: `CREATE OR REPLACE TEMP TABLE ${touched} AS
SELECT t.rowid AS _row, t.* FROM ${state} t
WHERE t._end >= getvariable('${low}') AND t._start <= getvariable('${high}') AND EXISTS (
  SELECT 1 FROM ${minis} m WHERE ${sameKey} AND t._end >= m._start - ${gap} AND t._start <= m._end + ${gap})`,
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
