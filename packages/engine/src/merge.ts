import type { ContractProgram, Program, Statement, TableProgram } from "@weir/compile";
import { ident } from "@weir/compile";
import type { Sql } from "./database.ts";

/** What `fresh_<contract>` shows while tables merge: a query for each contract that has records; none for the others. */
export type Fresh = ReadonlyMap<string, string>;

export const freshView = (contract: string): string => ident(`fresh_${contract}`);
export const changedTable = (table: string): string => ident(`changed_${table}`);

/** Makes `fresh_<contract>` the rows of a query. */
export const showFresh = (sql: Sql, contract: string, query: string): Promise<void> =>
  sql.run(`CREATE OR REPLACE TEMP VIEW ${freshView(contract)} AS ${query}`);

/** The contracts of a program's tables. */
export const contractsOf = (program: Program, tables: readonly TableProgram[]): ContractProgram[] =>
  program.contracts.filter(({ contract }) => tables.some(({ from }) => from.includes(contract.name)));

/** The tables that a batch with records of these contracts may change, directly or through others; inputs first. */
export function reachedTables(program: Program, contracts: ReadonlySet<string>): TableProgram[] {
  const reached = new Set<string>();
  return program.tables.filter(({ name, from, inputs, everyBatch = false }) => {
    const is =
      everyBatch ||
      from.some((contract) => contracts.has(contract)) ||
      inputs.some((input) => reached.has(input));
    if (is) reached.add(name);
    return is;
  });
}

/** Empties `changed_<table>` of tables and of those that they read. */
export async function forgetChanges(
  sql: Sql,
  program: Program,
  tables: readonly TableProgram[],
): Promise<void> {
  const names = new Set(tables.flatMap(({ name, inputs }) => [name, ...inputs]));
  for (const { name, changed } of program.tables) if (names.has(name)) await sql.run(changed.sql);
}

/** Whether the inputs of a table changed in what it sees of them. */
export async function hasChanges(sql: Sql, { inputs, watches = inputs }: TableProgram): Promise<boolean> {
  for (const watched of watches) {
    const rows = await sql.rows(`SELECT 1 AS one FROM ${changedTable(watched)} LIMIT 1`);
    if (rows.length > 0) return true;
  }
  return false;
}

/** Runs statements in their order, less those that need rows which are not there. */
export async function runStatements(sql: Sql, statements: readonly Statement[]): Promise<void> {
  for (const { sql: text, needs } of statements) {
    const isNeeded =
      needs === undefined || (await sql.rows(`SELECT 1 AS one FROM ${needs} LIMIT 1`)).length > 0;
    if (isNeeded) await sql.run(text);
  }
}

/** Runs a table's merge over `fresh_<contract>` and `changed_<input>` as they are. */
export async function mergeTable(sql: Sql, table: TableProgram): Promise<void> {
  if (table.events !== undefined) await sql.run(table.events.sql);
  await runStatements(sql, table.merge);
}

/**
 * Brings tables up to date with a batch, each after those that it reads.
 *
 * @param present contracts that have records, as `fresh_<contract>` shows
 */
export async function mergeTables(sql: Sql, program: Program, present: ReadonlySet<string>): Promise<void> {
  const tables = reachedTables(program, present);
  // A table over several contracts reads all of them.
  for (const { contract, emptyClean } of contractsOf(program, tables)) {
    if (!present.has(contract.name)) await showFresh(sql, contract.name, emptyClean);
  }
  await forgetChanges(sql, program, tables);
  for (const table of tables) {
    const isFed = table.everyBatch === true || table.from.some((contract) => present.has(contract));
    if (isFed || (await hasChanges(sql, table))) await mergeTable(sql, table);
  }
}
