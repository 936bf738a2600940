import type { Invariant, Statement } from "../program.ts";
import { ident } from "../sql.ts";
import { affectedTable, personColumns, stateTable } from "./events.ts";
import type { TableModel } from "./events.ts";
import { movedTable } from "./person.ts";

/**
 * When persons turn out to be one, stored rows of tables by person move to the label that the joined person has. The
 * label is changed in place; only rows that then meet others of the same key are taken out and merged with them, by the
 * monoid of the state, never from records. Reading whole rows is what costs: of 10 million sessions with five measures,
 * finding those of 1,000 labels by the key column takes 50 ms, fetching all their columns 4-7 s, as they are spread over
 * all of the table.
 */

/** The rows of `_<table>` or of a table beside it that have another key now: `_row`, that key, `_old<i>` the old persons. */
export const rekeyedTable = (name: string): string => ident(`rekeyed_${name}`);

/**
 * Leaves `rekeyed_<state>`.
 *
 * @param state the table that holds the rows, `model.name` or one beside it
 * @param others columns beside those of the key to have too
 */
export function rekeyedStatement(model: TableModel, state: string, others: readonly string[]): Statement {
  const persons = personColumns(model);
  const columns = [
    "t.rowid AS _row",
    ...model.by.map(({ column }) => {
      const i = persons.findIndex((person) => person.column === column);
      return i < 0 ? `t.${ident(column)}` : `coalesce(m${i}._to, t.${ident(column)}) AS ${ident(column)}`;
    }),
    ...persons.map(({ column }, i) => `t.${ident(column)} AS _old${i}`),
    ...others.map((column) => `t.${ident(column)}`),
  ];
  const joins = persons.map(
    ({ column, person }, i) =>
      `LEFT JOIN ${movedTable(person.people)} m${i} ON m${i}._from = t.${ident(column)}`,
  );
  return {
    name: `rows of ${state} with another person`,
    purpose: "Stored rows whose person became part of another, and their new key",
    sql: `CREATE OR REPLACE TEMP TABLE ${rekeyedTable(state)} AS
SELECT ${columns.join(", ")}
FROM ${stateTable(state)} t ${joins.join(" ")}
WHERE ${persons.map((_, i) => `m${i}._to IS NOT NULL`).join(" OR ")}`,
  };
}

/** The key columns of `rekeyed_<state>` as they were. */
export function oldKeys(model: TableModel): string[] {
  const persons = personColumns(model);
  return model.by.map(({ column }) => {
    const i = persons.findIndex((person) => person.column === column);
    return i < 0 ? ident(column) : `_old${i} AS ${ident(column)}`;
  });
}

/** `SET` of an UPDATE that gives rows the persons of `r`. */
export const setPersons = (model: TableModel): string =>
  personColumns(model)
    .map(({ column }) => `${ident(column)} = r.${ident(column)}`)
    .join(", ");

/** Whether one of the row's persons loses a record, in a retraction; the identity table's came first. */
export const ofAffectedPerson = (model: TableModel, row: string): string =>
  personColumns(model)
    .map(
      ({ column, person }) =>
        `${row}.${ident(column)} IN (SELECT person FROM ${affectedTable(person.people)})`,
    )
    .join(" OR ");

/** Whether an event is of such a person: by its ids, as the person may be another now. */
export const eventOfAffectedPerson = (model: TableModel): string =>
  personColumns(model)
    .map(
      ({ person }, i) =>
        `EXISTS (SELECT 1 FROM ${affectedTable(person.people)} a${i} WHERE a${i}.id_kind = e._k${i} AND a${i}.id = e._v${i})`,
    )
    .join(" OR ");

/** The identity tables of the key: when they take records back, so must this table. */
export const identitiesOf = (model: TableModel): string[] => [
  ...new Set(personColumns(model).map(({ person }) => person.people)),
];

/** Every person of the table's rows is one of its identity table. */
export const personInvariants = (model: TableModel): Invariant[] =>
  personColumns(model).map(({ column, person }) => ({
    name: `persons of ${model.name}.${column}`,
    breaches: `SELECT DISTINCT ${ident(column)} FROM ${stateTable(model.name)}
WHERE ${ident(column)} IS NOT NULL AND ${ident(column)} NOT IN (SELECT person FROM ${stateTable(person.people)})`,
  }));
