import { entityModel } from "../entity-model.ts";
import type { EntityModel } from "../entity-model.ts";
import type { Statement, TableParts } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import type { EntitySpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import { foldQuery, isFull, order } from "./entity-fold.ts";
import { historyQuery } from "./entity-history.ts";
import { historyParts } from "./entity-prune.ts";
import { recordShape, recordsQuery } from "./entity-records.ts";
import { affectedTable, changedFrom, changedStatement, eventsView, stateTable } from "./events.ts";
import { freshView, removedTable } from "./rows.ts";

/**
 * Entities. The definition: the records of a thing, less those that a truncate with their version or a greater one fences,
 * are folded in the order of (version, id); see entity-fold.ts. The state is that fold for every thing that has such a record;
 * deleted ones stay as tombstones. All records are kept beside, in `_<table>__history`.
 *
 * What a batch brings to a thing goes one of four ways, each with the result of the definition:
 *   keep        the state is newer than all of it, and no older record matters to it: nothing to do
 *   replace     its newest record is newer than the state and says all there is to know: that is the state
 *   fold        all of it that matters is newer than the state: folded onto it
 *   recompute   otherwise: folded from the thing's history
 *
 * Measured with a million rows of 8 columns, one thread, CPU of a merge: 50 ms for 100 changes; for 20,000 changes 210 ms,
 * partial ones 600 ms, ones older than the state 280 ms, new rows 160 ms.
 */
export function entityProgram(name: string, spec: EntitySpec, scope: TableScope): TableParts {
  const model = entityModel(name, spec, scope.project, (contract) => scope.model(contract));
  const columns = recordShape(model).columns;
  const create = (table: string, purpose: string, more: readonly string[] = []): Statement => ({
    name: `state of ${table}`,
    purpose,
    sql: `CREATE TABLE ${stateTable(table)} (
  ${lines([...columns.filter((c) => more.length === 0 || c.name !== "_op").map((c) => `${ident(c.name)} ${c.type}`), ...more])}
)`,
  });
  const isStream = model.from.kind === "stream";
  const { history, fences } = besides(model);
  return {
    stateTables: [name, history, ...(isStream ? [fences] : [])],
    key: model.key,
    ...(model.from.kind === "stream" ? { stream: model.from.stream } : {}),
    create: [
      create(name, "One row a thing", ["_deleted BOOLEAN", "_full BOOLEAN", "_commit UBIGINT"]),
      create(history, "All records"),
      ...(isStream
        ? [
            {
              name: `fences of ${name}`,
              purpose: "Versions up to which everything is gone",
              sql: `CREATE TABLE ${stateTable(fences)} (_version VARCHAR, _id VARCHAR, _at TIMESTAMP)`,
            },
          ]
        : []),
    ],
    build: [],
    events: {
      name: `events of ${name}`,
      purpose: "The batch's records in the table's shape",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(name)} AS\n${recordsQuery(model, freshView)}`,
    },
    merge: mergeStatements(model),
    changed: bothChanged(model),
    retract: retractStatements(model),
    affectedEvents: {
      name: `affected events of ${name}`,
      purpose: "All records of the things that lost one, and all fences",
      sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(name)} AS\n${recordsQuery(
        model,
        freshView,
        `e._op = 'truncate' OR e._key IN (SELECT _key FROM ${affectedTable(name)})`,
      )}`,
    },
    stamped: viewQuery(model, ["_commit"]),
    history: historyParts(model, history, isStream ? fences : undefined),
    views: [
      { name, sql: viewQuery(model) },
      {
        name: `${name}_history`,
        sql: historyQuery(model, stateTable(history), isStream ? stateTable(fences) : undefined),
      },
    ],
  };
}

/** Things as they are now. */
function viewQuery(model: EntityModel, more: readonly string[] = []): string {
  const columns = model.columns.map((column) => ident(column.name));
  const own = ["_extra", "_misfit", "_unknown", "_version", "_at", ...more];
  return `SELECT ${[...columns, ...own].join(", ")} FROM ${stateTable(model.name)} WHERE NOT _deleted`;
}

/**
 * Names things whose history changed, as `changed_<table>` those that changed now: a late record may alter what was and not what
 * is.
 */
const changedHistory = ({ name }: EntityModel): string => `${name}_history`;
/** With the version of what came: nothing older has changed. NULL says that anything may have. */
const changedHistoryColumns = ({ key }: EntityModel): string[] => [...key, "_version"];

function bothChanged(model: EntityModel): Statement {
  const now = changedStatement(model.name, model.key.map(ident), stateTable(model.name));
  const columns = changedHistoryColumns(model).map(ident);
  const history = changedStatement(changedHistory(model), columns, stateTable(model.name));
  return { ...now, sql: `${now.sql};\n${history.sql}` };
}

/** The tables beside; no table of a project has such a name. */
const besides = ({ name }: EntityModel): { history: string; fences: string } => ({
  history: `_${name}__history`,
  fences: `_${name}__fences`,
});

const temporary = (what: string, { name }: EntityModel): string => ident(`${what}_${name}`);

function mergeStatements(model: EntityModel): Statement[] {
  const { name } = model;
  const columns = recordShape(model).columns.map((column) => ident(column.name));
  const batch = temporary("batch", model);
  const records = `${batch} WHERE _op <> 'truncate'`;
  return [
    {
      name: `batch of ${name}`,
      purpose: "The batch's records, and what orders them",
      sql: `CREATE OR REPLACE TEMP TABLE ${batch} AS
SELECT *, ${order()} AS _o, ${isFull(model)} AS _full FROM ${eventsView(name)}`,
    },
    ...(model.from.kind === "stream" ? fenceStatements(model) : []),
    {
      name: `history of ${name}`,
      purpose: "Keep every record",
      sql: `INSERT INTO ${stateTable(besides(model).history)} (${columns.join(", ")})
SELECT ${columns.join(", ")} FROM ${records}`,
    },
    changedFrom(changedHistory(model), changedHistoryColumns(model), records, "Things of the batch"),
    ...waysStatements(model),
    ...(model.from.kind === "stream" ? [unfoundedStatement(model)] : []),
    ...stateStatements(model),
  ];
}

/** Whether the batch brings a fence. */
const hasFence = (model: EntityModel): string => `${temporary("batch", model)} WHERE _op = 'truncate'`;

/** The variable with the greatest of all fences, and the one with the greatest of the batch; NULL where there is none. */
const fenceOf = ({ name }: EntityModel): string => `getvariable(${text(`${name}_fence`)})::VARCHAR`;
const newFenceOf = ({ name }: EntityModel): string => `getvariable(${text(`${name}_new_fence`)})::VARCHAR`;

/** The greatest fence is all that counts now: what it fences leaves the state, and nothing fenced enters it. */
function fenceStatements(model: EntityModel): Statement[] {
  const { name } = model;
  const fences = stateTable(besides(model).fences);
  const fenced = (relation: string): string => `${relation} WHERE _version <= ${newFenceOf(model)}`;
  const state = fenced(stateTable(name));
  // A fence ends what is older by version, and what is newer is in force from its time at the earliest.
  const history = `${fenced(stateTable(besides(model).history))} OR _at < (SELECT max(_at) FROM ${hasFence(model)})`;
  return [
    {
      name: `fences of ${name}`,
      purpose: "Remember up to which version everything is gone",
      sql: `INSERT INTO ${fences} SELECT _version, _id, _at FROM ${hasFence(model)};
SET VARIABLE ${ident(`${name}_fence`)} = (SELECT max(_version) FROM ${fences});
SET VARIABLE ${ident(`${name}_new_fence`)} = (SELECT max(_version) FROM ${hasFence(model)})`,
    },
    ...[
      changedFrom(name, model.key, state, "Things that are gone"),
      changedFrom(changedHistory(model), changedHistoryColumns(model), history, "Things that end elsewhere"),
      { name: `fence ${name}`, purpose: "Drop what is gone", sql: `DELETE FROM ${state}` },
    ].map((statement) => ({ ...statement, needs: hasFence(model) })),
  ];
}

/** Whether a record may be part of the state. */
const unfenced = (model: EntityModel, relation: string): string =>
  model.from.kind === "stream" ? `coalesce(${relation}._version > ${fenceOf(model)}, TRUE)` : "TRUE";

/**
 * Stored rows are found by the hash of their key, and what else is needed of them by their place in the table: 4 and 15 ms
 * of CPU for 100 of a million things, 8 and 60 ms for 20,000. A join on the key and the versions reads all of them, 40 ms
 * for 100; an index makes the whole merge of 20,000 seven times as dear (800 ms).
 */
function waysStatements(model: EntityModel): Statement[] {
  const { name } = model;
  const state = stateTable(name);
  const [batch, found] = [temporary("batch", model), temporary("found", model)];
  const key = model.key.map((column) => `c.${ident(column)}`).join(", ");
  return [
    {
      name: `stored things of ${name}`,
      purpose: "Where the state has rows of the batch's things, or such as have their hash",
      sql: `CREATE OR REPLACE TEMP TABLE ${found} AS
SELECT t.rowid AS _row FROM ${state} t WHERE t._hash IN (SELECT _hash FROM ${batch} WHERE _op <> 'truncate')`,
    },
    {
      name: `ways of ${name}`,
      purpose: "What the batch's records mean to the state of each thing",
      sql: `CREATE OR REPLACE TEMP TABLE ${temporary("todo", model)} AS
SELECT b._key, b._hash, b._newest, c._row, c._o AS _current, CASE
  WHEN c._full AND c._o > b._newest THEN 'keep'
  WHEN b._newest_full AND (c._o IS NULL OR b._newest > c._o) THEN 'replace'
  WHEN c._o IS NULL OR c._full OR c._o < b._oldest THEN 'fold'
  ELSE 'recompute' END AS _how, ${key}
FROM (
  SELECT _key, _hash, max(_o) AS _newest, min(_o) AS _oldest, arg_max(_full, _o) AS _newest_full
  FROM ${batch} b WHERE _op <> 'truncate' AND ${unfenced(model, "b")} GROUP BY _key, _hash
) b LEFT JOIN (
  SELECT t.rowid AS _row, t._key, t._full, ${order("t.")} AS _o, ${model.key.map((column) => `t.${ident(column)}`).join(", ")}
  FROM ${state} t JOIN ${found} f ON t.rowid = f._row
) c ON c._key = b._key`,
    },
  ];
}

/** A fence that comes late may end a record below states that are newer, and that have a value from it. */
function unfoundedStatement(model: EntityModel): Statement {
  const [todo, history] = [temporary("todo", model), stateTable(besides(model).history)];
  const key = model.key.map((column) => `t.${ident(column)}`).join(", ");
  return {
    name: `unfounded states of ${model.name}`,
    purpose: "States newer than the fence that were folded from what it fences",
    needs: hasFence(model),
    sql: `INSERT INTO ${todo}
SELECT t._key, t._hash, ${order("t.")}, t.rowid, ${order("t.")}, 'recompute', ${key} FROM ${stateTable(model.name)} t
WHERE NOT t._full AND t._key IN (SELECT _key FROM ${history} WHERE _version <= ${newFenceOf(model)})
  AND t._key NOT IN (SELECT _key FROM ${todo});
UPDATE ${todo} SET _how = 'recompute' WHERE _how = 'fold'`,
  };
}

function stateStatements(model: EntityModel): Statement[] {
  const { name } = model;
  const state = stateTable(name);
  const [batch, todo, folding, news] = ["batch", "todo", "folding", "news"].map((what) =>
    temporary(what, model),
  );
  const columns = recordShape(model).columns.map((column) => ident(column.name));
  const stored = columns.filter((column) => column !== ident("_op"));
  const replaced = `${todo} WHERE _row IS NOT NULL AND _how <> 'keep'`;
  const into = [...stored, "_deleted", "_full", "_commit"].join(", ");
  return [
    {
      name: `records to fold of ${name}`,
      purpose: "The state and what is newer than it, or all of a thing's history",
      needs: `${todo} WHERE _how IN ('fold', 'recompute')`,
      sql: `CREATE OR REPLACE TEMP TABLE ${folding} AS
${foldingQuery(model)}`,
    },
    {
      name: `newest records of ${name}`,
      purpose: "They say all there is to know",
      // The same record may come twice once its id was forgotten.
      sql: `CREATE OR REPLACE TEMP TABLE ${news} AS
SELECT DISTINCT ON (b._key) ${stored.map((column) => `b.${column}`).join(", ")}, b._op = 'delete' AS _deleted, b._full,
  getvariable('weir_commit') AS _commit
FROM ${batch} b JOIN ${todo} d ON b._key = d._key AND b._o = d._newest WHERE d._how = 'replace'`,
    },
    {
      name: `fold ${name}`,
      purpose: "Each column's last known value",
      needs: `${todo} WHERE _how IN ('fold', 'recompute')`,
      sql: `INSERT INTO ${news} (${into})
SELECT ${stored.join(", ")}, FALSE, FALSE, getvariable('weir_commit') FROM (${foldQuery(model, folding ?? "")})`,
    },
    changedFrom(name, model.key, replaced, "Things that were there"),
    {
      name: `take out states of ${name}`,
      purpose: "They are put back as they are now",
      sql: `DELETE FROM ${state} WHERE rowid IN (SELECT _row FROM ${replaced})`,
    },
    {
      name: `put in states of ${name}`,
      purpose: "As they are now",
      sql: `INSERT INTO ${state} (${into}) SELECT ${into} FROM ${news}`,
    },
    changedFrom(name, model.key, news ?? "", "Things that came or changed"),
  ];
}

function foldingQuery(model: EntityModel): string {
  const [batch, todo] = [temporary("batch", model), temporary("todo", model)];
  const columns = recordShape(model).columns.map((column) => ident(column.name));
  const of = (relation: string): string => columns.map((column) => `${relation}.${column}`).join(", ");
  const state = columns.map((column) =>
    column === ident("_op") ? "CASE WHEN t._deleted THEN 'delete' END AS _op" : `t.${column}`,
  );
  return `SELECT ${state.join(", ")}, ${order("t.")} AS _o
FROM ${stateTable(model.name)} t JOIN ${todo} d ON t.rowid = d._row WHERE d._how = 'fold'
UNION ALL
SELECT ${of("b")}, b._o FROM ${batch} b JOIN ${todo} d ON b._key = d._key
WHERE d._how = 'fold' AND b._op <> 'truncate' AND ${unfenced(model, "b")} AND (d._current IS NULL OR b._o > d._current)
UNION ALL
SELECT ${of("h")}, ${order("h.")} FROM ${stateTable(besides(model).history)} h JOIN ${todo} d ON h._hash = d._hash AND h._key = d._key
WHERE d._how = 'recompute' AND ${unfenced(model, "h")}`;
}

function retractStatements(model: EntityModel): Statement[] {
  const { name } = model;
  const { history, fences } = besides(model);
  const affected = affectedTable(name);
  const removed = `(${recordsQuery(model, removedTable)})`;
  const isStream = model.from.kind === "stream";
  // Of fences only the greatest shows in the state: with one gone, anything may come back.
  const all = `
UNION SELECT _key FROM ${stateTable(history)} WHERE EXISTS (SELECT 1 FROM ${removed} WHERE _op = 'truncate')`;
  return [
    {
      name: `affected things of ${name}`,
      purpose: "Things that lose a record",
      sql: `CREATE OR REPLACE TEMP TABLE ${affected} AS
SELECT DISTINCT _key FROM ${removed} WHERE _op <> 'truncate'${isStream ? all : ""}`,
    },
    changedFrom(
      name,
      model.key,
      `${stateTable(name)} WHERE _key IN (SELECT _key FROM ${affected})`,
      "Things that lose a record",
    ),
    changedFrom(
      changedHistory(model),
      changedHistoryColumns(model),
      `(SELECT * REPLACE (NULL AS _version) FROM ${stateTable(history)}) WHERE _key IN (SELECT _key FROM ${affected})`,
      "Things that lose a record",
    ),
    ...[name, history].map((table) => ({
      name: `drop affected things of ${table}`,
      purpose: "They are computed anew from the clean zone",
      sql: `DELETE FROM ${stateTable(table)} WHERE _key IN (SELECT _key FROM ${affected})`,
    })),
    ...(isStream
      ? [
          {
            name: `drop fences of ${name}`,
            purpose: "They are read again from the clean zone",
            sql: `DELETE FROM ${stateTable(fences)}`,
          },
        ]
      : []),
  ];
}
