import type { Program, TableProgram } from "@weir/compile";
import { ident } from "@weir/compile";
import type { Sql } from "../database.ts";
import { cleanHistory, takenBackSince } from "../history.ts";
import type { Lake } from "../lake.ts";
import { contractsOf, mergeTables, presentRecords, showFresh } from "../merge.ts";
import { retractFromTables } from "../retract.ts";

interface Files {
  /** Paths by contract. */
  readonly files: ReadonlyMap<string, readonly string[]>;
}

/**
 * Gives tables the records of some files. They and the tables that they read are complete without these; the manifest is
 * that of `db.weir`, in whose transaction this runs.
 *
 * @param tables a component of the program
 * @throws FailedTable
 */
export async function feedFiles(
  sql: Sql,
  lake: Lake,
  program: Program,
  tables: readonly TableProgram[],
  { files }: Files,
): Promise<void> {
  const part = { ...program, tables };
  const fed = contractsOf(program, tables).filter(
    ({ contract }) => (files.get(contract.name) ?? []).length > 0,
  );
  for (const contract of fed) {
    const { name } = contract.contract;
    await showFresh(sql, name, await cleanHistory(sql, lake, contract, files.get(name) ?? []));
  }
  const names = new Set(fed.map(({ contract }) => contract.name));
  await mergeTables(sql, part, await presentRecords(sql, part, names));
}

/** Takes from tables what other records took the place of after commit `after`, up to `upTo`. */
export async function takeBack(
  sql: Sql,
  lake: Lake,
  program: Program,
  tables: readonly TableProgram[],
  after: number,
  upTo: number,
): Promise<void> {
  const losing = new Set<Program["contracts"][number]>();
  for (const contract of contractsOf(program, tables)) {
    const removed = `temp.${ident(`removed_${contract.contract.name}`)}`;
    await sql.run(
      `CREATE OR REPLACE TEMP TABLE ${ident(`removed_${contract.contract.name}`)} AS ${await takenBackSince(sql, lake, contract, after, upTo)}`,
    );
    const found = await sql.rows(`SELECT 1 AS one FROM ${removed} LIMIT 1`);
    if (found.length > 0) losing.add(contract);
  }
  if (losing.size > 0) await retractFromTables(sql, { program: { ...program, tables }, lake }, losing, []);
}

/**
 * Brings tables that have exactly the records up to commit `after` to that of the manifest, in one transaction.
 *
 * @throws FailedTable
 */
export async function catchUp(
  sql: Sql,
  lake: Lake,
  program: Program,
  tables: readonly TableProgram[],
  after: number,
  upTo: number,
): Promise<void> {
  const files = new Map<string, string[]>();
  const rows = await sql.rows<{ name: string; path: string }>(
    `SELECT name, path FROM db.weir.files WHERE zone = 'clean' AND "commit" > ${after} ORDER BY "commit", path`,
  );
  for (const { name, path } of rows) files.set(name, [...(files.get(name) ?? []), path]);
  await feedFiles(sql, lake, program, tables, { files });
  await takeBack(sql, lake, program, tables, after, upTo);
}
