import { typeAt } from "../model.ts";
import type { ContractModel } from "../model.ts";
import type { FieldType } from "../field-type.ts";
import type { Statement } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import type { KeyPart, RollupSpec, SessionsSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import { sqlType } from "./leaf.ts";
import { measureSql } from "./measures.ts";
import type { MeasureSql, StateColumn } from "./measures.ts";
import { idColumns, personColumn, personsView } from "./person.ts";
import type { PersonColumn } from "./person.ts";
import { freshView } from "./rows.ts";

/** A table ready for SQL: its contracts' columns brought to one shape. */
export interface TableModel {
  readonly name: string;
  readonly from: readonly ContractModel[];
  readonly by: readonly KeyColumn[];
  readonly measures: readonly TableMeasure[];
}

/** A column of the key: a field, or who the record is of. */
export interface KeyColumn {
  readonly column: string;
  readonly type: string;
  /** Dotted path of the field; undefined for a person. */
  readonly path?: string;
  readonly person?: PersonColumn;
}

export interface TableMeasure extends MeasureSql {
  readonly name: string;
  readonly argument: string;
  readonly path: string | undefined;
  readonly type: string | undefined;
}

export const stateTable = (name: string): string => `db.state.${ident(name)}`;
export const eventsView = (name: string): string => ident(`events_${name}`);
export const affectedTable = (name: string): string => ident(`affected_${name}`);
export const changedTable = (name: string): string => ident(`changed_${name}`);

export const stateColumns = (model: TableModel): StateColumn[] => model.measures.flatMap((m) => m.columns);

/** The name of the column that a dotted path becomes: its parts joined by `_`. */
export const columnOf = (path: string): string => path.replaceAll(".", "_");

export const keyColumnOf = (part: KeyPart): string =>
  typeof part === "string" ? columnOf(part) : part.column;

/** The columns of the key that hold persons, in order: the i-th one's ids are `_k<i>` and `_v<i>` of the events. */
export const personColumns = (model: TableModel): { column: string; person: PersonColumn }[] =>
  model.by.flatMap(({ column, person }) => (person === undefined ? [] : [{ column, person }]));

/** A dotted path as SQL; NULL of the type where the contract has no such field. */
function pathSql(contract: ContractModel, path: string, type: FieldType | undefined): string {
  if (typeAt(contract, path) !== undefined) return path.split(".").map(ident).join(".");
  return type === undefined ? "NULL" : `NULL::${sqlType(type)}`;
}

/** The type of a path: that of the first contract that has it. */
export const firstType = (from: readonly ContractModel[], path: string): FieldType | undefined =>
  from.map((contract) => typeAt(contract, path)).find((type) => type !== undefined);

/** @param distinctBeside see {@link measureSql} */
export function tableModel(
  name: string,
  spec: SessionsSpec | RollupSpec,
  scope: TableScope,
  distinctBeside: boolean,
): TableModel {
  const { by, measures } = spec;
  const from = spec.from.map((contract) => scope.model(contract.name));
  return {
    name,
    from,
    by: by.map((part) => {
      if (typeof part !== "string")
        return { column: part.column, type: "UUID", person: personColumn(part, scope) };
      const type = firstType(from, part);
      return { path: part, column: columnOf(part), type: type === undefined ? "VARCHAR" : sqlType(type) };
    }),
    measures: Object.entries(measures).map(([measureName, measure], index) => {
      const path = measure.measure === "count" ? undefined : measure.field;
      const type = path === undefined ? undefined : firstType(from, path);
      const argument = `_a${index}`;
      return {
        name: measureName,
        argument,
        path,
        type: type === undefined ? undefined : sqlType(type),
        ...measureSql(measureName, measure, type, argument, distinctBeside),
      };
    }),
  };
}

/**
 * The records of a table in one shape: key columns, `_t` (event time, us), `_id`, an argument column a measure. Here and in
 * all statements over them, names that start with `_` are the compiler's own: no field and no measure has such a name.
 *
 * @param condition may refer to `e`, and there to `_k<i>` and `_v<i>` too, the ids by which persons are found
 * @param persons where the persons of an identity table's ids are; of the batch's ids, unless other records are read
 */
export function eventsQuery(
  model: TableModel,
  condition?: string,
  persons: (people: string) => string = personsView,
): string {
  const union = model.from.map((contract) => recordsQuery(model, contract)).join("\nUNION ALL\n");
  const found = personColumns(model);
  if (found.length === 0)
    return condition === undefined ? union : `SELECT * FROM (${union}) e WHERE ${condition}`;
  const joins = found.map(
    ({ person }, i) =>
      `LEFT JOIN ${persons(person.people)} p${i} ON p${i}.id_kind = r._k${i} AND p${i}.id = r._v${i}`,
  );
  const columns = [
    ...model.by.map(({ column }) => ident(column)),
    "_t",
    "_id",
    ...model.measures.flatMap(({ path, argument }) => (path === undefined ? [] : [argument])),
  ];
  return `SELECT ${columns.join(", ")} FROM (
  SELECT ${[...found.map(({ column }, i) => `p${i}.person AS ${ident(column)}`), "r.*"].join(", ")} FROM (${union}) r
  ${joins.join("\n  ")}
) e${condition === undefined ? "" : ` WHERE ${condition}`}`;
}

function recordsQuery(model: TableModel, contract: ContractModel): string {
  const fields = model.by.flatMap(({ path, column }) =>
    path === undefined ? [] : [`${pathSql(contract, path, firstType(model.from, path))} AS ${ident(column)}`],
  );
  const ids = personColumns(model).flatMap(({ person }, i) => idColumns(person, contract, i));
  const args = model.measures.flatMap(({ path, argument }) =>
    path === undefined ? [] : [`${pathSql(contract, path, firstType(model.from, path))} AS ${argument}`],
  );
  const id = `concat(${text(contract.name)}, chr(31), ${ident(contract.id)}::VARCHAR)`;
  // Ids are unique within a contract; where there are several, the name keeps ties apart.
  const tie = model.from.length > 1 ? id : `${ident(contract.id)}::VARCHAR`;
  const columns = [...fields, ...ids, `epoch_us(${ident(contract.time)}) AS _t`, `${tie} AS _id`, ...args];
  return `SELECT ${lines(columns)}\nFROM ${freshView(contract.name)}`;
}

/** `a.x IS NOT DISTINCT FROM b.x` for each key column. */
export const sameKeys = (columns: readonly string[], a: string, b: string): string =>
  columns.map((column) => `${a}.${ident(column)} IS NOT DISTINCT FROM ${b}.${ident(column)}`).join(" AND ") ||
  "TRUE";

/**
 * `changed_<table>`, empty.
 *
 * @param key the key columns as a SELECT list over `from`; no columns for a table of one row
 */
export const changedStatement = (name: string, key: readonly string[], from?: string): Statement => ({
  name: `changed rows of ${name}`,
  purpose: "Keys of rows that the batch adds, changes or removes",
  sql: `CREATE OR REPLACE TEMP TABLE ${changedTable(name)} AS
SELECT ${key.length === 0 ? "1 AS one" : key.join(", ")}${from === undefined ? "" : ` FROM ${from}`} LIMIT 0`,
});

/** Adds the keys in `from` to `changed_<table>`. */
export const changedFrom = (
  name: string,
  key: readonly string[],
  from: string,
  purpose: string,
): Statement => ({
  name: `changed rows of ${name}`,
  purpose,
  sql: `INSERT INTO ${changedTable(name)} SELECT ${key.length === 0 ? "1" : key.map(ident).join(", ")} FROM ${from}`,
});
