import { typeAt } from "../model.ts";
import type { ContractModel } from "../model.ts";
import type { FieldType } from "../field-type.ts";
import type { Statement } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import type { RollupSpec, SessionsSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import { sqlType } from "./leaf.ts";
import { measureSql } from "./measures.ts";
import type { MeasureSql, StateColumn } from "./measures.ts";
import { freshView } from "./rows.ts";

/** A table ready for SQL: its contracts' columns brought to one shape. */
export interface TableModel {
  readonly name: string;
  readonly from: readonly ContractModel[];
  /** Dotted paths of the key, and the columns they become. */
  readonly by: readonly { readonly path: string; readonly column: string; readonly type: string }[];
  readonly measures: readonly TableMeasure[];
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
export const removedTable = (contract: string): string => ident(`removed_${contract}`);

export const stateColumns = (model: TableModel): StateColumn[] => model.measures.flatMap((m) => m.columns);

/** The name of the column that a dotted path becomes: its parts joined by `_`. */
export const columnOf = (path: string): string => path.replaceAll(".", "_");

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
    by: by.map((path) => {
      const type = firstType(from, path);
      return { path, column: columnOf(path), type: type === undefined ? "VARCHAR" : sqlType(type) };
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
 * `condition` may refer to `e`.
 */
export function eventsQuery(model: TableModel, condition?: string): string {
  const branches = model.from.map((contract) => {
    const keys = model.by.map(
      ({ path, column }) => `${pathSql(contract, path, firstType(model.from, path))} AS ${ident(column)}`,
    );
    const args = model.measures.flatMap(({ path, argument }) =>
      path === undefined ? [] : [`${pathSql(contract, path, firstType(model.from, path))} AS ${argument}`],
    );
    const id = `concat(${text(contract.name)}, chr(31), ${ident(contract.id)}::VARCHAR)`;
    // Ids are unique within a contract; where there are several, the name keeps ties apart.
    const tie = model.from.length > 1 ? id : `${ident(contract.id)}::VARCHAR`;
    const columns = [...keys, `epoch_us(${ident(contract.time)}) AS _t`, `${tie} AS _id`, ...args];
    return `SELECT ${lines(columns)}\nFROM ${freshView(contract.name)}`;
  });
  const union = branches.join("\nUNION ALL\n");
  return condition === undefined ? union : `SELECT * FROM (${union}) e WHERE ${condition}`;
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
