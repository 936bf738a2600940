import type { ContractProgram, Program, Statement, TableProgram } from "@weir/compile";
import { ident } from "@weir/compile";
import { ofTable } from "./aside.ts";
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

/** The contracts that a batch has new records of and, where tables read single streams of one, the streams. */
export interface Present {
  readonly contracts: ReadonlySet<string>;
  readonly streams: ReadonlyMap<string, ReadonlySet<string>>;
}

/**
 * What a batch brings to the tables. A database of 150 tables may have as many entities, of which a batch touches a few: the
 * statements of all the others would take a second of every commit.
 *
 * @param contracts those that have records, as `fresh_<contract>` shows
 */
export async function presentRecords(
  sql: Sql,
  program: Program,
  contracts: ReadonlySet<string>,
): Promise<Present> {
  const read = program.tables.flatMap(({ from, stream }) => (stream === undefined ? [] : from));
  const streams = new Map<string, ReadonlySet<string>>();
  for (const contract of new Set(read.filter((name) => contracts.has(name)))) {
    const rows = await sql.rows<{ stream: string }>(`SELECT DISTINCT stream FROM ${freshView(contract)}`);
    streams.set(contract, new Set(rows.map(({ stream }) => stream)));
  }
  return { contracts, streams };
}

/** Whether a batch has records that a table reads. */
const isFed = (
  { from, stream, everyBatch = false }: TableProgram,
  { contracts, streams }: Present,
): boolean =>
  everyBatch ||
  from.some(
    (contract) =>
      contracts.has(contract) && (stream === undefined || streams.get(contract)?.has(stream) === true),
  );

/** The tables that those which are fed change, they themselves and through others; inputs first. */
export function reachedTables(program: Program, fed: (table: TableProgram) => boolean): TableProgram[] {
  const reached = new Set<string>();
  return program.tables.filter((table) => {
    const is = fed(table) || table.inputs.some((input) => reached.has(input));
    if (is) reached.add(table.name);
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

/** Runs a table's merge over `fresh_<contract>` and `changed_<input>` as they are. @throws FailedTable */
export async function mergeTable(sql: Sql, table: TableProgram): Promise<void> {
  await ofTable(table, async () => {
    if (table.events !== undefined) await sql.run(table.events.sql);
    await runStatements(sql, table.merge);
  });
}

/**
 * Brings tables up to date with a batch, each after those that it reads.
 *
 * @returns the tables that it may have changed, whose `changed_<table>` there are
 */
export async function mergeTables(sql: Sql, program: Program, present: Present): Promise<TableProgram[]> {
  const tables = reachedTables(program, (table) => isFed(table, present));
  // A table over several contracts reads all of them.
  for (const { contract, emptyClean } of contractsOf(program, tables)) {
    if (!present.contracts.has(contract.name)) await showFresh(sql, contract.name, emptyClean);
  }
  await forgetChanges(sql, program, tables);
  for (const table of tables) {
    if (isFed(table, present) || (await hasChanges(sql, table))) await mergeTable(sql, table);
  }
  return tables;
}
