import type { Statement, TableParts, TableProgram } from "../program.ts";
import { ident, lines } from "../sql.ts";
import type { DeriveMapping, DeriveSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import {
  affectedTable,
  changedFrom,
  changedStatement,
  changedTable,
  sameKeys,
  stateTable,
} from "./events.ts";
import { partnered } from "./partners.ts";

/**
 * Derived tables: a query over other tables, computed anew for the keys that a batch touches.
 *
 * Invariant: the table holds the rows that the query gives over the whole inputs, provided that its rows of a key depend
 * on the input rows of that key alone (what `keys` says). A batch finds the keys of every input row that came, changed
 * or went, runs the query over the inputs cut down to those keys, and puts its rows in the place of the stored ones.
 *
 * An input row that went, or changed its key, tells its old key only to who remembers: for each input whose key columns
 * do not carry the derived key, a link a row is stored beside the table.
 *
 * Keys match with IS NOT DISTINCT FROM, so NULL is a key as any other: whatever joins the query makes, no row that they
 * could find is missing.
 */
export function deriveProgram(name: string, spec: DeriveSpec, scope: TableScope): TableParts {
  const inputs = derivedInputs(name, spec, scope);
  const linked = inputs.filter(({ isLinked }) => isLinked);
  const unit = unitOf(spec);
  const state = stateTable(name);
  const whole = inputs.map(({ alias, view }) => ({ alias, from: `(${view})` }));
  const recomputed = `SELECT _i.* FROM (${withInputs(spec, whole)}) _i
SEMI JOIN (${directKeys(inputs, unit)}) _a ON ${sameKeys(unit, "_a", "_i")}`;
  return {
    stateTables: [name, ...linked.map(({ links }) => links)],
    create: [
      {
        name: `state of ${name}`,
        purpose: "The columns of the query",
        sql: `CREATE TABLE ${state} AS\nSELECT _d.*, NULL::UBIGINT AS _commit FROM (${withInputs(spec, whole)}) _d LIMIT 0`,
      },
      ...linked.map((input) => ({
        name: `links of ${name}.${input.alias}`,
        purpose: "Where each input row was last seen to belong",
        sql: `CREATE TABLE ${stateTable(input.links)} AS SELECT ${columnList(linkColumns(input))} FROM (${input.view}) LIMIT 0`,
      })),
    ],
    build: [
      {
        name: `build ${name}`,
        purpose: "The query over the whole inputs",
        sql: `INSERT INTO ${state}
SELECT *, getvariable('weir_commit') FROM (${recomputed})`,
      },
      ...linked.map((input) => ({
        name: `build links of ${name}.${input.alias}`,
        purpose: "Where each input row belongs",
        sql: `INSERT INTO ${stateTable(input.links)} SELECT ${columnList(linkColumns(input))} FROM (${input.view})`,
      })),
    ],
    merge: [
      ...linked.flatMap((input) => movedStatements(name, input)),
      ...deepestFirst(inputs).map((input) => touchedStatement(name, input, inputs)),
      {
        name: `affected keys of ${name}`,
        purpose: "Keys of every input row that came, changed or went",
        sql: `CREATE OR REPLACE TEMP TABLE ${affectedTable(name)} AS\n${directKeys(inputs, unit, name)}`,
      },
      ...replaceStatements(name, spec, inputs, unit),
    ],
    changed: changedStatement(name, spec.key.map(ident), state),
    retract: [],
    views: [{ name, sql: `SELECT * EXCLUDE (_commit) FROM ${state}` }],
    key: spec.key,
    stamped: `SELECT * FROM ${state}`,
    recomputed,
    userSql: {
      text: spec.sql,
      key: spec.key,
      inputs: inputs.map(({ alias, view, mapped, viaColumns }) => ({
        name: alias,
        view,
        columns: [...mapped, ...viaColumns],
      })),
    },
  };
}

/** An input of a derived table. */
interface Input {
  readonly alias: string;
  /** The query behind its table's view. */
  readonly view: string;
  readonly changed: string;
  /** Columns that name a row of it. */
  readonly key: readonly string[];
  /** Columns that tell where a row belongs: the derived key's, in the order of the unit, or those that `via` is joined on. */
  readonly mapped: readonly string[];
  /** Columns of it that other inputs are joined on. */
  readonly viaColumns: readonly string[];
  readonly via: { readonly alias: string; readonly columns: readonly string[] } | undefined;
  /** Whether a row's key does not tell where it belongs. */
  readonly isLinked: boolean;
  /** The state table of its links. */
  readonly links: string;
}

/** The key columns that the inputs carry: what is computed anew at a time. */
export function unitOf(spec: DeriveSpec): readonly string[] {
  const direct = Object.values(spec.keys).find((mapping) => mapping.via === undefined);
  return spec.key.filter((column) => direct !== undefined && Object.hasOwn(direct.columns, column));
}

function derivedInputs(name: string, spec: DeriveSpec, scope: TableScope): Input[] {
  const unit = unitOf(spec);
  return Object.entries(spec.from).map(([alias, table]) => {
    const program = inputProgram(scope, table);
    const mapping = mappingOf(spec, alias);
    const mapped =
      mapping.via === undefined
        ? unit.map((column) => mapping.columns[column] ?? column)
        : Object.values(mapping.on);
    return {
      alias,
      view: program.views[0]?.sql ?? "",
      changed: table,
      key: program.key,
      mapped,
      viaColumns: Object.values(spec.keys).flatMap((other) =>
        other.via === alias ? Object.keys(other.on) : [],
      ),
      via: mapping.via === undefined ? undefined : { alias: mapping.via, columns: Object.keys(mapping.on) },
      isLinked: !mapped.every((column) => program.key.includes(column)),
      links: `_${name}__${alias}`,
    };
  });
}

function inputProgram(scope: TableScope, table: string): TableProgram {
  const program = scope.inputs.get(table);
  if (program === undefined) throw new Error(`unreachable: no table ${table}`);
  return program;
}

function mappingOf(spec: DeriveSpec, alias: string): DeriveMapping {
  const mapping = spec.keys[alias];
  if (mapping === undefined) throw new Error(`unreachable: no mapping of ${alias}`);
  return mapping;
}

const columnList = (columns: readonly string[]): string => columns.map(ident).join(", ");
const same = (columns: readonly string[]): (readonly [string, string])[] =>
  columns.map((column) => [column, column]);
const linkColumns = ({ key, mapped }: Input): string[] => [...new Set([...key, ...mapped])];
const movedTable = (name: string, alias: string): string => ident(`moved_${name}__${alias}`);
const beforeTable = (name: string, alias: string): string => ident(`before_${name}__${alias}`);
const touchedTable = (name: string, alias: string): string => ident(`touched_${name}__${alias}`);

/** Inputs that reach the key through others come before those. */
function deepestFirst(inputs: readonly Input[]): Input[] {
  const depth = ({ via }: Input): number => {
    const next = inputs.find(({ alias }) => alias === via?.alias);
    return next === undefined ? 0 : 1 + depth(next);
  };
  return inputs.toSorted((a, b) => depth(b) - depth(a));
}

/** The user's query over relations named as its inputs are. */
const withInputs = (spec: DeriveSpec, relations: readonly { alias: string; from: string }[]): string =>
  `WITH ${lines(relations.map(({ alias, from }) => `${ident(alias)} AS ${from}`))}
SELECT * FROM (
${spec.sql}
)`;

/** The keys of all rows of the inputs that carry the key, as the unit's columns; of a batch's rows where `name` is given. */
function directKeys(inputs: readonly Input[], unit: readonly string[], name?: string): string {
  return inputs
    .filter(({ via }) => via === undefined)
    .map(({ alias, view, mapped }) => {
      const columns = unit.map((column, i) => `${ident(mapped[i] ?? column)} AS ${ident(column)}`);
      return `SELECT ${columns.join(", ")} FROM ${name === undefined ? `(${view})` : touchedTable(name, alias)}`;
    })
    .join("\nUNION\n");
}

/** `moved_<table>__<alias>` and `before_...`: where the changed rows of an input belong and did; then its links are set right. */
function movedStatements(name: string, input: Input): Statement[] {
  const columns = columnList(linkColumns(input));
  const links = stateTable(input.links);
  const [moved, before] = [movedTable(name, input.alias), beforeTable(name, input.alias)];
  const changed = changedTable(input.changed);
  return [
    {
      name: `moved rows of ${name}.${input.alias}`,
      purpose: "Where changed rows belong now",
      sql: `CREATE OR REPLACE TEMP TABLE ${moved} AS\n${partnered(columns, `(${input.view})`, same(input.key), changed)}`,
    },
    {
      name: `rows before of ${name}.${input.alias}`,
      purpose: "Where changed rows belonged",
      sql: `CREATE OR REPLACE TEMP TABLE ${before} AS\n${partnered(`_i.rowid AS _row, ${columnList(input.mapped)}`, links, same(input.key), changed)}`,
    },
    {
      name: `links of ${name}.${input.alias}`,
      purpose: "Set right",
      sql: `DELETE FROM ${links} WHERE rowid IN (SELECT _row FROM ${before});
INSERT INTO ${links} SELECT ${columns} FROM ${moved}`,
    },
  ];
}

/** `touched_<table>__<alias>`: the mapped columns of input rows that changed, or that an input mapped through them needs. */
function touchedStatement(name: string, input: Input, inputs: readonly Input[]): Statement {
  const mapped = columnList(input.mapped);
  const own = input.isLinked
    ? [movedTable(name, input.alias), beforeTable(name, input.alias)]
    : [changedTable(input.changed)];
  const through = inputs
    .filter(({ via }) => via?.alias === input.alias)
    .map((deeper) =>
      partnered(
        input.mapped.map((column) => `_i.${ident(column)}`).join(", "),
        `(${input.view})`,
        deeper.mapped.map((column, i) => [deeper.via?.columns[i] ?? "", column]),
        touchedTable(name, deeper.alias),
      ),
    );
  return {
    name: `touched keys of ${name}.${input.alias}`,
    purpose: "Where changed rows belong, and where they did",
    sql: `CREATE OR REPLACE TEMP TABLE ${touchedTable(name, input.alias)} AS
SELECT DISTINCT * FROM (
${[...own.map((table) => `SELECT ${mapped} FROM ${table}`), ...through].join("\nUNION ALL\n")}
)`,
  };
}

/**
 * The inputs' rows of the affected keys, for the user's query. Materialized within it: DuckDB reads only the columns that the
 * query uses, where temporary tables would hold all (600,000 rows with five columns more: 25 and 69 ms).
 */
function cutInputs(
  name: string,
  inputs: readonly Input[],
  unit: readonly string[],
): { alias: string; from: string }[] {
  return deepestFirst(inputs)
    .toReversed()
    .map(({ alias, view, via, mapped }) => {
      const carrier = via === undefined ? affectedTable(name) : ident(via.alias);
      const columns = via === undefined ? unit : via.columns;
      const on = columns.map((column, i) => [mapped[i] ?? column, column] as const);
      return { alias, from: `MATERIALIZED (${partnered("_i.*", `(${view})`, on, carrier)})` };
    });
}

/**
 * Puts the query's rows of the affected keys in the place of the stored ones where they differ. Rows are compared as
 * values and as texts: 0 and -0 are equal values.
 */
function replaceStatements(
  name: string,
  spec: DeriveSpec,
  inputs: readonly Input[],
  unit: readonly string[],
): Statement[] {
  const state = stateTable(name);
  const [next, kept, differs] = [ident(`next_${name}`), ident(`kept_${name}`), ident(`differs_${name}`)];
  const affected = affectedTable(name);
  const query = `(${withInputs(spec, cutInputs(name, inputs, unit))})`;
  const rows = (table: string): string =>
    `SELECT ${[...spec.key.map((column) => `_d.${ident(column)}`), "_d AS _row", "_d::VARCHAR AS _text"].join(", ")} FROM ${table} _d`;
  return [
    {
      name: `rows of ${name}`,
      purpose: "The query over the rows of the affected keys",
      sql: `CREATE OR REPLACE TEMP TABLE ${next} AS
SELECT _i.* FROM ${query} _i SEMI JOIN ${affected} _a ON ${sameKeys(unit, "_a", "_i")}`,
    },
    {
      name: `stored rows of ${name}`,
      purpose: "What the affected keys had",
      sql: `CREATE OR REPLACE TEMP TABLE ${kept} AS\n${partnered("_i.* EXCLUDE (_commit)", state, same(unit), affected)}`,
    },
    {
      name: `differing keys of ${name}`,
      purpose: "Keys whose rows are not as before",
      sql: `CREATE OR REPLACE TEMP TABLE ${differs} AS SELECT DISTINCT ${columnList(spec.key)} FROM (
  (${rows(next)} EXCEPT ALL ${rows(kept)}) UNION ALL (${rows(kept)} EXCEPT ALL ${rows(next)}))`,
    },
    {
      name: `merge ${name}`,
      purpose: "Put the new rows in the place of the old",
      sql: `DELETE FROM ${state} WHERE rowid IN (${partnered("_i.rowid", state, same(spec.key), differs)});
INSERT INTO ${state} SELECT _i.*, getvariable('weir_commit') FROM ${next} _i SEMI JOIN ${differs} _a ON ${sameKeys(spec.key, "_a", "_i")}`,
    },
    changedFrom(name, spec.key, differs, "Keys whose rows are not as before"),
  ];
}
