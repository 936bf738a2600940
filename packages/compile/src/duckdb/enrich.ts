import { recordPaths } from "../check/enrich.ts";
import { entityModel } from "../entity-model.ts";
import { typeAt } from "../model.ts";
import type { ContractModel } from "../model.ts";
import type { Statement, TableParts, TableProgram } from "../program.ts";
import { all, ident, lines } from "../sql.ts";
import type { EnrichSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import { historyQuery } from "./entity-history.ts";
import { historyBorder } from "./entity-prune.ts";
import { affectedTable, changedFrom, changedStatement, changedTable, columnOf } from "./events.ts";
import { eventsView, stateTable } from "./events.ts";
import { sqlType } from "./leaf.ts";
import { freshView, removedTable } from "./rows.ts";

/**
 * Enriched records: one row a record, with columns of its parent, the entity of the key that the record names.
 *
 * Invariant: each row has what the entity, as it stands, gives for the record: as it is, or as it was at the record's
 * event time. A batch brings new records, and changed parents: the rows of these are computed again, as are those
 * whose grace ends. Rows that come out as they were are left alone.
 *
 * A row that is held back (see `graceMs`) is in the state with `_visible` false.
 *
 * Of a history that is cut off at a border (see entity-prune.ts), nothing is taken for records that happened before it: those
 * that are there by then stay as they are, and of those that come later nobody knows (`_matched` NULL). Only where a parent
 * lost a record, its records are computed again, whenever they happened: its history has just been made of all its records.
 */
export function enrichProgram(name: string, spec: EnrichSpec, scope: TableScope): TableParts {
  const model = enrichModel(name, spec, scope);
  const { id, columns, taken } = model;
  const state = stateTable(name);
  const shown = [...columns, ...ofParent(model)];
  const visible = spec.graceMs === undefined ? "" : " WHERE _visible";
  return {
    stateTables: [name],
    create: [
      {
        name: `state of ${name}`,
        purpose: "One row a record",
        sql: `CREATE TABLE ${state} AS
SELECT ${lines([
          ...model.record.map(({ column, type }) => `NULL::${type} AS ${ident(column)}`),
          ...taken.map((column) => `_p.${ident(column.of)} AS ${ident(column.name)}`),
          "FALSE AS _matched",
          "_p._version AS _parent_version",
          "FALSE AS _visible",
          "NULL::BIGINT AS _received",
          "NULL::UBIGINT AS _commit",
        ])}
FROM (${model.current}) _p LIMIT 0`,
      },
    ],
    build: [],
    events: eventsStatement(model),
    merge: mergeStatements(model),
    changed: changedStatement(name, [ident(id)], state),
    reachMs: 0,
    retract: [
      {
        name: `affected records of ${name}`,
        purpose: "Ids that lose a record",
        sql: `CREATE OR REPLACE TEMP TABLE ${affectedTable(name)} AS
SELECT DISTINCT ${ident(id)} FROM ${removedTable(model.contract.name)}`,
      },
      {
        name: `drop affected records of ${name}`,
        purpose: "They are computed anew from the clean zone",
        sql: `DELETE FROM ${state} _t WHERE EXISTS (SELECT 1 FROM ${affectedTable(name)} _a WHERE _a.${ident(id)} = _t.${ident(id)})`,
      },
      changedFrom(name, [id], affectedTable(name), "Records that are dropped"),
    ],
    affectedEvents: eventsStatement(
      model,
      `EXISTS (SELECT 1 FROM ${affectedTable(name)} _a WHERE _a.${ident(id)} = _f.${ident(id)})`,
    ),
    views: [{ name, sql: `SELECT ${shown.map(ident).join(", ")} FROM ${state}${visible}` }],
    key: [id],
    stamped: `SELECT ${[...shown.map(ident), "_commit"].join(", ")} FROM ${state}${visible}`,
    time: model.time,
    ...(model.asOf === undefined ? {} : { concerns: unknownQuery(model) }),
    invariants: [{ name: `parents of ${name}`, breaches: breachesQuery(model) }],
    watches: [model.watched],
    ...(spec.graceMs === undefined ? {} : { everyBatch: true }),
  };
}

interface EnrichModel {
  readonly name: string;
  readonly contract: ContractModel;
  readonly id: string;
  readonly time: string;
  /** The record's columns: id, time, what it is matched by, what is kept. */
  readonly record: readonly { readonly path: string; readonly column: string; readonly type: string }[];
  readonly columns: readonly string[];
  readonly taken: readonly { readonly of: string; readonly name: string }[];
  /** Columns of the record, and the parent's that they equal. */
  readonly on: readonly { readonly column: string; readonly parent: string }[];
  /** What of the parent's changes matters: those of its rows, or of its history. */
  readonly watched: string;
  /** The query behind the parent's view. */
  readonly current: string;
  /** How parents were; undefined where they are taken as they are. */
  readonly asOf: ParentHistory | undefined;
  readonly graceUs: number | undefined;
}

interface ParentHistory {
  /** SQL timestamp from when on it is whole. */
  readonly border: string;
  /** The tables of the parents' records, and of their fences where there can be some. */
  readonly records: string;
  readonly fences: string | undefined;
  /** The query of every state that parents had, by their records. */
  states(records: string): string;
}

function enrichModel(name: string, spec: EnrichSpec, scope: TableScope): EnrichModel {
  const contract = scope.model(spec.from.name);
  const parent = scope.inputs.get(spec.to);
  if (parent === undefined) throw new Error(`unreachable: no table ${spec.to}`);
  const record = recordPaths(spec, contract).map((path) => {
    const type = typeAt(contract, path);
    if (type === undefined) throw new Error(`unreachable: no field ${path}`);
    return { path, column: columnOf(path), type: sqlType(type) };
  });
  return {
    name,
    contract,
    id: contract.id,
    time: contract.time,
    record,
    columns: record.map(({ column }) => column),
    taken: spec.take.map((of) => ({ of, name: `${spec.prefix}${of}` })),
    on: Object.entries(spec.on).map(([path, column]) => ({ column: columnOf(path), parent: column })),
    watched: spec.asOf ? `${spec.to}_history` : spec.to,
    current: parent.views[0]?.sql ?? "",
    asOf: spec.asOf ? parentHistory(spec, scope, parent) : undefined,
    graceUs: spec.graceMs === undefined ? undefined : spec.graceMs * 1000,
  };
}

function parentHistory({ to }: EnrichSpec, scope: TableScope, { stateTables }: TableProgram): ParentHistory {
  const spec = scope.project.tables[to];
  if (spec?.kind !== "entity") throw new Error(`unreachable: ${to} is no entity`);
  const model = entityModel(to, spec, scope.project, (contract) => scope.model(contract));
  const [, records = "", fenceTable] = stateTables;
  const fences = fenceTable === undefined ? undefined : stateTable(fenceTable);
  return {
    border: historyBorder(to),
    records: stateTable(records),
    fences,
    states: (some) => historyQuery(model, some, fences),
  };
}

/** @param condition on `_f`, a record of the contract */
function eventsStatement({ name, contract, record }: EnrichModel, condition = "TRUE"): Statement {
  const columns = record.map(({ path, column }) => {
    const parts = path.split(".").map(ident);
    return `_f.${parts.join(".")} AS ${ident(column)}`;
  });
  return {
    name: `events of ${name}`,
    purpose: "The batch's records in the table's shape",
    sql: `CREATE OR REPLACE TEMP VIEW ${eventsView(name)} AS
SELECT ${lines([...columns, "epoch_us(_f._received_at) AS _received"])}
FROM ${freshView(contract.name)} _f WHERE ${condition}`,
  };
}

/** What a row has of the parent, or says of it. */
const ofParent = ({ taken }: EnrichModel): string[] => [
  ...taken.map((column) => column.name),
  "_matched",
  "_parent_version",
];

const packed = (columns: readonly string[], of: string): string =>
  `struct_pack(${columns.map((column) => `${ident(column)} := ${of}.${ident(column)}`).join(", ")})`;

function mergeStatements(model: EnrichModel): Statement[] {
  const { name, id, columns, on } = model;
  const state = stateTable(name);
  const [todo, next] = [ident(`todo_${name}`), ident(`next_${name}`)];
  const own = columns.map(ident);
  const results = [...ofParent(model), "_visible"].map(ident);
  const result = (of: string): string => packed([...ofParent(model), "_visible"], of);
  const { asOf } = model;
  const isOfChanged = all([
    ...on.map(({ column, parent }) => `_c.${ident(parent)} = _t.${ident(column)}`),
    ...(asOf === undefined
      ? []
      : [
          `_t.${ident(model.time)} >= _c._since`,
          `(_t.${ident(model.time)} >= ${borderVariable(name)} OR _c._since = '-infinity')`,
        ]),
  ]);
  const changed = asOf === undefined ? changedTable(model.watched) : ident(`since_${name}`);
  // Of older ones DuckDB then reads nothing.
  const recent =
    asOf !== undefined
      ? `(SELECT rowid, * FROM ${state} WHERE ${ident(model.time)} >= getvariable('${name}_since')::TIMESTAMP)`
      : state;
  const again = [
    `${recent} _t SEMI JOIN ${changed} _c ON ${isOfChanged}`,
    ...(model.graceUs === undefined
      ? []
      : [
          `(SELECT rowid, * FROM ${state} WHERE NOT _visible AND _received <= ${dueUs(model.graceUs)}) _t
  ANTI JOIN ${changed} _c ON ${isOfChanged}`,
        ]),
  ];
  const stored = [...own, ...results, "_received"].join(", ");
  return [
    ...(asOf === undefined ? [] : [sinceStatement(model, asOf)]),
    {
      name: `records to match of ${name}`,
      purpose: "New ones, those of changed parents, and those whose grace ends",
      sql: `CREATE OR REPLACE TEMP TABLE ${todo} AS
SELECT NULL::BIGINT AS _row, ${own.join(", ")}, _received, FALSE AS _whole, NULL AS _was FROM ${eventsView(name)}
UNION ALL
${again
  .map(
    (rows, i) =>
      `SELECT _t.rowid, ${own.map((column) => `_t.${column}`).join(", ")}, _t._received, ${i === 0}, ${result("_t")} FROM ${rows}`,
  )
  .join("\nUNION ALL\n")}`,
    },
    ...parentStatements(model, todo),
    {
      name: `matched records of ${name}`,
      purpose: "With their parents; those that are as before are left out",
      sql: `CREATE OR REPLACE TEMP TABLE ${next} AS
SELECT * FROM (${matchedQuery(model, todo, ident(`parents_${name}`), borderVariable(name))}) _n
WHERE _row IS NULL OR ${result("_n")} IS DISTINCT FROM _was OR ${result("_n")}::VARCHAR IS DISTINCT FROM _was::VARCHAR`,
    },
    {
      name: `merge ${name}`,
      purpose: "Put the rows in the place of those before",
      sql: `DELETE FROM ${state} WHERE rowid IN (SELECT _row FROM ${next});
INSERT INTO ${state} (${stored}, _commit) SELECT ${stored}, getvariable('weir_commit') FROM ${next}`,
    },
    changedFrom(name, [id], next, "Records that are new or have other columns of their parent"),
  ];
}

/**
 * `since_<table>`: from when on each changed parent may have been otherwise than was known. That is no time before any of
 * its records from the oldest that came on, in the order of versions, nor before a fence from there on: what is in force begins
 * when its record happened, or later where older ones say so (see `historyQuery`).
 */
function sinceStatement(
  { name, on, watched }: EnrichModel,
  { records, fences, border }: ParentHistory,
): Statement {
  const since = ident(`since_${name}`);
  const keys = on.map(({ parent }) => ident(parent));
  const ofKey = on.map(({ parent }) => `_h.${ident(parent)} = _o.${ident(parent)}`);
  const fence =
    fences === undefined
      ? "NULL"
      : `(SELECT min(_at) FROM ${fences} WHERE _version >= (SELECT min(_version) FROM ${changedTable(watched)}))`;
  return {
    name: `times of changed parents of ${name}`,
    purpose: "From when on each may have been otherwise",
    sql: `CREATE OR REPLACE TEMP TABLE ${since} AS
SELECT ${keys.map((key) => `_o.${key}`).join(", ")},
  CASE WHEN bool_or(_o._all) THEN '-infinity'::TIMESTAMP ELSE least(min(_h._at), ${fence}) END AS _since
FROM (
  SELECT ${keys.join(", ")}, min(_version) AS _oldest, bool_or(_version IS NULL) AS _all
  FROM ${changedTable(watched)} GROUP BY ALL
) _o LEFT JOIN ${records} _h ON ${all([...ofKey, "_h._version >= _o._oldest"])}
GROUP BY ALL;
SET VARIABLE ${ident(`${name}_since`)} = (SELECT min(_since) FROM ${since});
SET VARIABLE ${ident(`${name}_border`)} = ${border}`,
  };
}

/** From when on the parents' history is whole; see `sinceStatement`. */
const borderVariable = (name: string): string => `getvariable('${name}_border')::TIMESTAMP`;

/** The newest time of receipt at which a record's grace has ended. */
const dueUs = (graceUs: number): string => `getvariable('weir_newest_us') - ${graceUs}`;

/** `parents_<table>`: the parents that the records name, as they are or in every state that they had. */
function parentStatements(model: EnrichModel, todo: string): Statement[] {
  const { name, on } = model;
  const [keys, parents] = [ident(`keys_${name}`), ident(`parents_${name}`)];
  const isNamed = all(on.map(({ parent }) => `_k.${ident(parent)} = _p.${ident(parent)}`));
  return [
    {
      name: `parents to find of ${name}`,
      purpose: "Their keys",
      sql: `CREATE OR REPLACE TEMP TABLE ${keys} AS
SELECT DISTINCT ${on.map(({ column, parent }) => `${ident(column)} AS ${ident(parent)}`).join(", ")} FROM ${todo}
WHERE ${all(on.map(({ column }) => `${ident(column)} IS NOT NULL`))}`,
    },
    {
      name: `parents of ${name}`,
      purpose: model.asOf === undefined ? "As they are" : "Every state that they had",
      sql: `CREATE OR REPLACE TEMP TABLE ${parents} AS\n${parentsQuery(model, `SEMI JOIN ${keys} _k ON ${isNamed}`)}`,
    },
  ];
}

/** @param some a join that leaves only some of the parents `_p` */
function parentsQuery({ on, taken, current, asOf }: EnrichModel, some = ""): string {
  const columns = [...new Set([...on.map(({ parent }) => parent), ...taken.map(({ of }) => of)])].map(ident);
  if (asOf === undefined) return `SELECT ${[...columns, "_version"].join(", ")} FROM (${current}) _p ${some}`;
  return `SELECT ${[...columns, "_version", "_op", "valid_from AS _from", "valid_to AS _to"].join(", ")}
FROM (${asOf.states(`(SELECT _p.* FROM ${asOf.records} _p ${some})`)})
WHERE valid_to IS NULL OR valid_to > valid_from`;
}

/** Rows that do not have what the parents as they stand give. */
function breachesQuery(model: EnrichModel): string {
  const { name, columns } = model;
  const was = packed(ofParent(model), "_t");
  const kept = model.asOf === undefined ? "" : ` WHERE _t.${ident(model.time)} >= ${model.asOf.border}`;
  const todo = `(SELECT ${columns.map(ident).join(", ")}, _received, NULL AS _row, TRUE AS _whole, ${was} AS _was FROM ${stateTable(name)} _t${kept})`;
  return `SELECT 1 FROM (${matchedQuery(model, todo, `(${parentsQuery(model)})`, "'-infinity'")}) _n
WHERE ${packed(ofParent(model), "_n")} IS DISTINCT FROM _was`;
}

/** How many rows nobody knows the parent of any more. */
const unknownQuery = ({ name, watched }: EnrichModel): string =>
  `SELECT count(*) || ' of its records are older than what is kept of ${watched}, and have nothing of their parents.' AS concern
FROM ${stateTable(name)} WHERE _matched IS NULL HAVING count(*) > 0`;

/**
 * The records of `todo` in the shape of the state, with `_row` and `_was`.
 *
 * @param border SQL timestamp from when on the parents' history is whole, where they are taken as they were; for records with `_whole` it is in any case
 */
function matchedQuery(model: EnrichModel, todo: string, parents: string, border = ""): string {
  const { columns, taken, on, time, graceUs } = model;
  const equal = on.map(({ column, parent }) => `_e.${ident(column)} = _p.${ident(parent)}`);
  const isAsOf = model.asOf !== undefined;
  // Of the states that began before, the last; intervals of one parent do not overlap.
  const join = isAsOf
    ? `ASOF LEFT JOIN ${parents} _p ON ${all([...equal, `_e.${ident(time)} >= _p._from`])}`
    : `LEFT JOIN ${parents} _p ON ${all(equal)}`;
  const isMatched = isAsOf
    ? `CASE WHEN _e._whole OR _e.${ident(time)} >= ${border}
      THEN _p._from IS NOT NULL AND (_p._to IS NULL OR _e.${ident(time)} < _p._to) AND _p._op <> 'delete' END`
    : `_p.${ident(on[0]?.parent ?? "")} IS NOT NULL`;
  const found = isAsOf ? "coalesce(_matched, TRUE)" : "_matched";
  const visible = graceUs === undefined ? "TRUE" : `${found} OR _received <= ${dueUs(graceUs)}`;
  return `SELECT ${[...columns, ...ofParent(model)].map(ident).join(", ")},
  ${visible} AS _visible, _received, _row, _was
FROM (
  SELECT _e.*, ${isMatched} AS _matched,
    ${lines([
      ...taken.map((column) => `CASE WHEN _matched THEN _p.${ident(column.of)} END AS ${ident(column.name)}`),
      "CASE WHEN _matched THEN _p._version END AS _parent_version",
    ])}
  FROM ${todo} _e ${join}
)`;
}
