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
  const whole = inputs.map(({ alias, view }) => ({ alias, from: `SELECT * FROM (${view})` }));
  const recomputed = `SELECT _d.* FROM (${withInputs(spec, whole)}) _d
WHERE EXISTS (SELECT 1 FROM (${directKeys(inputs, unit)}) _a WHERE ${sameKeys(unit, "_a", "_d")})`;
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
      ...deepestFirst(inputs)
        .toReversed()
        .map((input) => cutStatement(name, input, unit)),
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
const linkColumns = ({ key, mapped }: Input): string[] => [...new Set([...key, ...mapped])];
const movedTable = (name: string, alias: string): string => ident(`moved_${name}__${alias}`);
const touchedTable = (name: string, alias: string): string => ident(`touched_${name}__${alias}`);
const cutTable = (name: string, alias: string): string => ident(`in_${name}__${alias}`);

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
  `WITH ${lines(relations.map(({ alias, from }) => `${ident(alias)} AS (${from})`))}
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

const inChanged = ({ changed, key }: Input, row: string): string =>
  `EXISTS (SELECT 1 FROM ${changedTable(changed)} _c WHERE ${sameKeys(key, "_c", row)})`;

/** `moved_<table>__<alias>`: where the changed rows of an input belonged and belong; then its links are set right. */
function movedStatements(name: string, input: Input): Statement[] {
  const columns = columnList(linkColumns(input));
  const links = stateTable(input.links);
  const moved = movedTable(name, input.alias);
  return [
    {
      name: `moved rows of ${name}.${input.alias}`,
      purpose: "Where changed rows belong now",
      sql: `CREATE OR REPLACE TEMP TABLE ${moved} AS SELECT ${columns} FROM (${input.view}) _i WHERE ${inChanged(input, "_i")}`,
    },
    {
      name: `touched keys of ${name}.${input.alias}`,
      purpose: "Where changed rows belong, and where they did",
      sql: `CREATE OR REPLACE TEMP TABLE ${ident(`before_${name}__${input.alias}`)} AS
SELECT ${columnList(input.mapped)} FROM ${links} _l WHERE ${inChanged(input, "_l")}`,
    },
    {
      name: `links of ${name}.${input.alias}`,
      purpose: "Set right",
      sql: `DELETE FROM ${links} _l WHERE ${inChanged(input, "_l")};
INSERT INTO ${links} SELECT ${columns} FROM ${moved}`,
    },
  ];
}

/** `touched_<table>__<alias>`: the mapped columns of input rows that changed, or that an input mapped through them needs. */
function touchedStatement(name: string, input: Input, inputs: readonly Input[]): Statement {
  const mapped = columnList(input.mapped);
  const own = input.isLinked
    ? [
        `SELECT ${mapped} FROM ${movedTable(name, input.alias)}`,
        `SELECT ${mapped} FROM ${ident(`before_${name}__${input.alias}`)}`,
      ]
    : [`SELECT ${mapped} FROM ${changedTable(input.changed)}`];
  const through = inputs
    .filter(({ via }) => via?.alias === input.alias)
    .map((deeper) => {
      const on = deeper.mapped.map(
        (column, i) => `_x.${ident(column)} IS NOT DISTINCT FROM _i.${ident(deeper.via?.columns[i] ?? "")}`,
      );
      return `SELECT ${input.mapped.map((column) => `_i.${ident(column)}`).join(", ")} FROM (${input.view}) _i
WHERE EXISTS (SELECT 1 FROM ${touchedTable(name, deeper.alias)} _x WHERE ${on.join(" AND ")})`;
    });
  return {
    name: `touched keys of ${name}.${input.alias}`,
    purpose: "Where changed rows belong, and where they did",
    sql: `CREATE OR REPLACE TEMP TABLE ${touchedTable(name, input.alias)} AS\n${[...own, ...through].join("\nUNION\n")}`,
  };
}

/** `in_<table>__<alias>`: the input's rows of the affected keys. */
function cutStatement(name: string, input: Input, unit: readonly string[]): Statement {
  const { via } = input;
  const carrier = via === undefined ? affectedTable(name) : cutTable(name, via.alias);
  const columns = via === undefined ? unit : via.columns;
  const on = columns.map(
    (column, i) => `_a.${ident(column)} IS NOT DISTINCT FROM _i.${ident(input.mapped[i] ?? column)}`,
  );
  return {
    name: `rows of ${name}.${input.alias}`,
    purpose: "Those of the affected keys",
    sql: `CREATE OR REPLACE TEMP TABLE ${cutTable(name, input.alias)} AS
SELECT * FROM (${input.view}) _i WHERE EXISTS (SELECT 1 FROM ${carrier} _a WHERE ${on.join(" AND ")})`,
  };
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
  const isAffected = `EXISTS (SELECT 1 FROM ${affectedTable(name)} _a WHERE ${sameKeys(unit, "_a", "_d")})`;
  const cut = inputs.map(({ alias }) => ({ alias, from: `SELECT * FROM ${cutTable(name, alias)}` }));
  const rows = (table: string): string =>
    `SELECT ${[...spec.key.map((column) => `_d.${ident(column)}`), "_d AS _row", "_d::VARCHAR AS _text"].join(", ")} FROM ${table} _d`;
  const inDiffering = `EXISTS (SELECT 1 FROM ${differs} _a WHERE ${sameKeys(spec.key, "_a", "_d")})`;
  return [
    {
      name: `rows of ${name}`,
      purpose: "The query over the rows of the affected keys",
      sql: `CREATE OR REPLACE TEMP TABLE ${next} AS\nSELECT _d.* FROM (${withInputs(spec, cut)}) _d WHERE ${isAffected}`,
    },
    {
      name: `stored rows of ${name}`,
      purpose: "What the affected keys had",
      sql: `CREATE OR REPLACE TEMP TABLE ${kept} AS SELECT _d.* EXCLUDE (_commit) FROM ${state} _d WHERE ${isAffected}`,
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
      sql: `DELETE FROM ${state} _d WHERE ${inDiffering};
INSERT INTO ${state} SELECT _d.*, getvariable('weir_commit') FROM ${next} _d WHERE ${inDiffering}`,
    },
    changedFrom(name, spec.key, differs, "Keys whose rows are not as before"),
  ];
}
