import type { Program, TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import { FailedTable, ofTable, storeAside, storedAside, withReaders } from "./aside.ts";
import type { Aside } from "./aside.ts";
import { beginChanges, endChanges } from "./changes/gone.ts";
import type { Sql } from "./database.ts";
import { forgetBorder } from "./history-retention.ts";
import { cleanHistory, manifestPaths } from "./history.ts";
import type { Lake } from "./lake.ts";
import { historyRemoved } from "./removed-history.ts";
import type { RemovedHistory } from "./removed-history.ts";
import { contractsOf, forgetChanges, mergeTable, showFresh } from "./merge.ts";

/** Files of the clean zone that a table is built from at a time. */
const filesAChunk = 16;

/** What a start did to the tables. */
export interface PreparedTables {
  /** Names of those that were built, each after the tables that it reads. */
  readonly built: readonly string[];
  /** Those that could not be. */
  readonly aside: Aside;
}

/**
 * Brings the stored tables in line with the program, in one transaction: a table that is new or defined otherwise
 * than before is built from the clean zone, and so is one that was set aside; one that is gone is dropped. A table whose
 * SQL fails is set aside: it stays as it was, or empty if it was not.
 *
 * No table loses rows: where retention has removed records that a stored one was built from, it is not built anew (see
 * removed-history.ts). One that was set aside stays so. One that is new begins where the clean zone does, and `partial_tables` says so.
 *
 * @throws WeirError `history_removed`
 */
export async function prepareTables(
  sql: Sql,
  lake: Lake,
  program: Program,
  history: RemovedHistory,
): Promise<PreparedTables> {
  await sql.run(
    `SET VARIABLE weir_newest_us = (SELECT coalesce(max(newest_received_us), 0)::BIGINT FROM db.weir.commits);
     SET VARIABLE weir_commit = (SELECT coalesce(max("commit"), 0)::UBIGINT FROM db.weir.commits)`,
  );
  const aside = await beyondRepair(sql, program, history);
  for (;;) {
    const work = await workOf(sql, program, history, aside);
    if (work === undefined) return { built: [], aside };
    await sql.run("BEGIN");
    try {
      await doWork(sql, { lake, program, history }, work, aside);
      await sql.run("COMMIT");
      failpoint("engine.open.tables_committed");
      return { built: work.missing.map(({ name }) => name).filter((name) => !aside.has(name)), aside };
    } catch (error) {
      await sql.run("ROLLBACK");
      if (!(error instanceof FailedTable)) throw error;
      for (const [name, reason] of withReaders(program, error)) aside.set(name, reason);
    }
  }
}

/** Tables that are behind and cannot be built anew, as records that they were built from are gone; with their readers. */
async function beyondRepair(
  sql: Sql,
  program: Program,
  history: RemovedHistory,
): Promise<Map<string, string>> {
  const rows = await sql.rows<{ name: string; hash: string; reason: string }>(
    "SELECT t.name, t.hash, a.reason FROM db.weir.aside a JOIN db.weir.tables t USING (name)",
  );
  const found = new Map<string, string>();
  for (const table of program.tables) {
    const behind = rows.find(({ name, hash }) => name === table.name && hash === table.hash);
    if (behind === undefined || !history.wouldLose(table)) continue;
    const [reason = ""] = behind.reason.split(cannotBeBuilt);
    const failed = { table: table.name, message: `${reason}${cannotBeBuilt}` };
    for (const [name, why] of withReaders(program, failed)) found.set(name, why);
  }
  return found;
}

const cannotBeBuilt =
  " It cannot be built anew, as retention has removed records that it was built from: list it in retention.rebuildFromKept to have what comes of those that are left.";

/** What has to be dropped, with its state tables, and what has to be built. */
interface Work {
  readonly stale: readonly { readonly name: string; readonly state: readonly string[] }[];
  readonly missing: readonly TableProgram[];
}

/** @param aside tables that could not be built: as they are, if they are of the program, they stay */
async function workOf(
  sql: Sql,
  program: Program,
  history: RemovedHistory,
  aside: Aside,
): Promise<Work | undefined> {
  const stored = await sql.rows<{ name: string; hash: string; state: string[] }>(
    "SELECT name, hash, state_tables AS state FROM db.weir.tables",
  );
  const before = await storedAside(sql);
  const current = new Map(stored.map((table) => [table.name, table]));
  const wanted = new Map(program.tables.map((table) => [table.name, table]));
  const isBehind = (name: string): boolean => before.has(name) && !aside.has(name);
  const stale = stored.filter(({ name, hash }) => wanted.get(name)?.hash !== hash || isBehind(name));
  const missing = program.tables.filter(
    ({ name, hash }) => current.get(name)?.hash !== hash || isBehind(name),
  );
  const losing = missing.find((table) => current.has(table.name) && history.wouldLose(table));
  if (losing !== undefined) throw historyRemoved(losing, history.lostBy(losing), history.edgeOf(losing));
  const isNothing = stale.length === 0 && missing.length === 0 && before.size === 0;
  return isNothing ? undefined : { stale, missing };
}

interface TablesContext {
  readonly lake: Lake;
  readonly program: Program;
  readonly history: RemovedHistory;
}

async function doWork(
  sql: Sql,
  { lake, program, history }: TablesContext,
  { stale, missing }: Work,
  aside: Aside,
): Promise<void> {
  for (const table of stale) {
    for (const state of table.state) await sql.run(`DROP TABLE db.state.${ident(state)}`);
    await sql.run(`DELETE FROM db.weir.tables WHERE name = ${text(table.name)};
      DELETE FROM db.weir.partial_tables WHERE name = ${text(table.name)}; ${forgetBorder(table.name)}`);
    await endChanges(sql, table.name);
    failpoint("engine.open.table_dropped");
  }
  for (const table of missing) {
    await createTable(sql, table);
    if (!aside.has(table.name)) await buildTable(sql, lake, program, table);
    const since = history.edgeOf(table);
    if (since !== undefined)
      await sql.run(`INSERT INTO db.weir.partial_tables VALUES (${text(table.name)}, ${text(since)})`);
    await beginChanges(sql, table);
    failpoint("engine.open.table_built");
  }
  await sql.run("DELETE FROM db.weir.aside");
  await storeAside(sql, aside);
}

async function createTable(sql: Sql, table: TableProgram): Promise<void> {
  for (const statement of table.create) await sql.run(statement.sql);
  const state = table.stateTables.map(text).join(", ");
  await sql.run(`INSERT INTO db.weir.tables VALUES (${text(table.name)}, ${text(table.hash)}, [${state}])`);
}

/** @param table its state tables are there and empty */
async function buildTable(sql: Sql, lake: Lake, program: Program, table: TableProgram): Promise<void> {
  await forgetChanges(sql, program, [table]);
  await ofTable(table, async () => {
    for (const statement of table.build) await sql.run(statement.sql);
  });
  await feedHistory(sql, lake, program, table);
}

/**
 * Runs a table's statements over the whole clean zone, some files at a time; the order does not matter.
 *
 * @param table its state tables have what `build` left there, and the tables that it reads are as of the last commit
 */
async function feedHistory(sql: Sql, lake: Lake, program: Program, table: TableProgram): Promise<void> {
  const contracts = contractsOf(program, [table]);
  for (const contract of contracts) {
    const paths = await manifestPaths(sql, "clean", contract.contract.name);
    for (let at = 0; at < paths.length; at += filesAChunk) {
      for (const other of contracts) {
        const query =
          other === contract
            ? await cleanHistory(sql, lake, contract, paths.slice(at, at + filesAChunk))
            : other.emptyClean;
        await showFresh(sql, other.contract.name, query);
      }
      await mergeTable(sql, table);
      // Nobody reads what changed, and of a whole history that is much.
      await sql.run(table.changed.sql);
      failpoint("engine.open.table_part_fed");
    }
  }
}
