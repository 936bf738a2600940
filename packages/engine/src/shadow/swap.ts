import type { Program, TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { beginChanges } from "../changes/gone.ts";
import type { Sql } from "../database.ts";
import { pruneAgain } from "../history-retention.ts";
import type { Lake } from "../lake.ts";
import { dropBarrier, setBarrier } from "./barriers.ts";
import { catchUp } from "./catch-up.ts";

/** How a shadow's file is attached to the live database, for as long as one reads it. */
export const shadowCatalog = "weir_shadow";

const newName = (task: number, state: string): string => `_new${task}_${state}`;
const oldName = (task: number, state: string): string => `_old${task}_${state}`;
const stateTables = (tables: readonly TableProgram[]): string[] =>
  tables.flatMap(({ stateTables: names }) => names);

/** Has a shadow's tables beside the live ones while work runs. */
export async function withShadow<T>(sql: Sql, file: string, work: () => Promise<T>): Promise<T> {
  await sql.run(`ATTACH ${text(file)} AS ${shadowCatalog} (READ_ONLY)`);
  try {
    return await work();
  } finally {
    await sql.run(`DETACH ${shadowCatalog}`);
  }
}

/** Copies a shadow's tables into the live file, under names that nothing reads. */
export async function copyIn(
  sql: Sql,
  task: number,
  tables: readonly TableProgram[],
  file: string,
): Promise<void> {
  await withShadow(sql, file, async () => {
    for (const name of stateTables(tables)) {
      const target = `db.state.${ident(newName(task, name))}`;
      await sql.run(`DROP TABLE IF EXISTS ${target};
        CREATE TABLE ${target} AS FROM ${shadowCatalog}.state.${ident(name)}`);
    }
  });
}

export interface SwapContext {
  readonly program: Program;
  readonly lake: Lake;
  readonly tables: readonly TableProgram[];
}

/**
 * Puts the copied tables in the place of the live ones, which are kept, and gives them what came since. Within a commit's
 * transaction; afterwards the tables are new builds to whoever follows them.
 *
 * @param after the commit that the copied tables are of
 * @param commit this one
 * @throws FailedTable
 */
export async function swapIn(
  sql: Sql,
  { program, lake, tables }: SwapContext,
  task: number,
  after: number,
  commit: number,
): Promise<void> {
  for (const name of stateTables(tables)) {
    await sql.run(`ALTER TABLE db.state.${ident(name)} RENAME TO ${ident(oldName(task, name))};
      ALTER TABLE db.state.${ident(newName(task, name))} RENAME TO ${ident(name)}`);
  }
  await sql.run(pruneAgain(tables));
  await catchUp(sql, lake, program, tables, after, commit);
  for (const table of tables) await beginChanges(sql, table);
  // Until the tables before are given up, what came after them stays apart.
  await sql.run(setBarrier(task, commit, false));
}

/** Puts the tables before a swap back, and gives them what came since. @param after the commit of the swap */
export async function swapBack(
  sql: Sql,
  { program, lake, tables }: SwapContext,
  task: number,
  after: number,
  commit: number,
): Promise<void> {
  for (const name of stateTables(tables)) {
    await sql.run(`DROP TABLE db.state.${ident(name)};
      ALTER TABLE db.state.${ident(oldName(task, name))} RENAME TO ${ident(name)}`);
  }
  await sql.run(pruneAgain(tables));
  await catchUp(sql, lake, program, tables, after, commit);
  for (const table of tables) await beginChanges(sql, table);
  await sql.run(dropBarrier(task));
}

/** Whether the tables before a task's swap are kept. */
export async function isKept(sql: Sql, task: number, tables: readonly TableProgram[]): Promise<boolean> {
  const names = stateTables(tables).map((name) => text(oldName(task, name)));
  const { n } = await sql.row<{ n: number }>(
    `SELECT count(*)::DOUBLE AS n FROM duckdb_tables() WHERE database_name = 'db' AND schema_name = 'state' AND table_name IN (${names.join(", ")})`,
  );
  return n === names.length;
}

/** Tasks that have tables beside the live ones. */
export const besideKinds = "('rebuild', 'replay')";

/**
 * Forgets every table beside the live ones, built or kept, the rows that were shown of them, and the tasks that are at it; in a transaction that takes records
 * out of the live ones for good. Their files go with the sweep that follows.
 *
 * @param but a task that goes on
 */
export async function forgetBeside(sql: Sql, why: string, but = 0): Promise<void> {
  await dropLeft(sql, new Set(), new Set());
  await sql.run(`DELETE FROM db.weir.barriers;
    UPDATE db.weir.tasks SET result = NULL WHERE kind IN ${besideKinds} AND id <> ${but};
    UPDATE db.weir.tasks SET state = 'failed', ended_at = now()::TIMESTAMP, error = ${text(why)}
    WHERE kind IN ${besideKinds} AND id <> ${but} AND state IN ('waiting', 'running', 'ready')`);
}

/**
 * Drops the tables that tasks left beside the live ones, less those that are still needed.
 *
 * @param copies tasks whose copied tables are needed
 * @param kept tasks whose tables before the swap are
 */
export async function dropLeft(
  sql: Sql,
  copies: ReadonlySet<number>,
  kept: ReadonlySet<number>,
): Promise<void> {
  const tables = await sql.rows<{ name: string }>(
    "SELECT table_name AS name FROM duckdb_tables() WHERE database_name = 'db' AND schema_name = 'state'",
  );
  for (const { name } of tables) {
    const [, kind, digits] = /^_(new|old)(\d+)_/.exec(name) ?? [];
    if (kind === undefined || (kind === "new" ? copies : kept).has(Number(digits))) continue;
    await sql.run(`DROP TABLE db.state.${ident(name)}`);
  }
}
