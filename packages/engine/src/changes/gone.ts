import { randomBytes } from "node:crypto";
import type { Program, TableProgram } from "@weir/compile";
import { ident, text } from "@weir/compile";
import type { Sql } from "../database.ts";
import { changedTable } from "../merge.ts";

/**
 * What followers of a table need beside the table itself: the keys of rows that went. What came or changed, the rows
 * tell (`_commit`), so that nothing is stored for it.
 *
 * `db.state._<table>__gone` has the key columns of rows that went, and the commit; `db.weir.changes` says for each table
 * which build it is, what the last commit was when it was built, and after which commit `_<table>__gone` is complete.
 */
export const goneTable = (table: string): string => `_${table}__gone`;
const goneState = (table: string): string => `db.state.${ident(goneTable(table))}`;

export const changesSchema =
  "CREATE TABLE IF NOT EXISTS db.weir.changes (name VARCHAR, build VARCHAR, built UBIGINT, kept UBIGINT)";

/** Condition that `a` and `b` have the same key. */
export const sameKey = (key: readonly string[], a: string, b: string): string =>
  key.map((column) => `${a}.${ident(column)} IS NOT DISTINCT FROM ${b}.${ident(column)}`).join(" AND ") ||
  "TRUE";

const lastCommit = `(SELECT coalesce(max("commit"), 0)::UBIGINT FROM db.weir.commits)`;

/** A new build of a table; within the transaction that builds it. */
export async function beginChanges(sql: Sql, { name, changed }: TableProgram): Promise<void> {
  await sql.run(changed.sql);
  await sql.run(`DROP TABLE IF EXISTS ${goneState(name)};
    CREATE TABLE ${goneState(name)} AS SELECT *, NULL::UBIGINT AS _commit FROM ${changedTable(name)} LIMIT 0;
    DELETE FROM db.weir.changes WHERE name = ${text(name)};
    INSERT INTO db.weir.changes VALUES (${text(name)}, '${randomBytes(4).toString("hex")}', ${lastCommit}, ${lastCommit})`);
}

/** Forgets a table that was dropped. */
export const endChanges = (sql: Sql, name: string): Promise<void> =>
  sql.run(`DROP TABLE IF EXISTS ${goneState(name)}; DELETE FROM db.weir.changes WHERE name = ${text(name)}`);

/** For tables whose state an older Weir made: nothing is known of what went before now. */
export async function prepareChanges(sql: Sql, program: Program): Promise<void> {
  const known = await sql.rows<{ name: string }>("SELECT name FROM db.weir.changes");
  for (const table of program.tables)
    if (!known.some(({ name }) => name === table.name)) await beginChanges(sql, table);
}

/**
 * Notes the keys in `changed_<table>` that have no row any more. Within the commit's transaction, each time that tables
 * were merged; `again` when they were merged before in the same commit.
 */
export async function recordGone(sql: Sql, tables: readonly TableProgram[], again: boolean): Promise<void> {
  for (const { name, key, inputs, stamped, keepsRows } of tables) {
    // An input that changed may take rows away that a merge of records alone would not.
    const onlyAdds = keepsRows === true && inputs.length === 0;
    if (stamped === undefined || (onlyAdds && !again)) continue;
    const gone = goneState(name);
    const isThere = (row: string): string =>
      `EXISTS (SELECT 1 FROM (${stamped}) _s WHERE _s._commit = getvariable('weir_commit') AND ${sameKey(key, "_s", row)})`;
    const isNoted = `EXISTS (SELECT 1 FROM ${gone} _g WHERE _g._commit = getvariable('weir_commit') AND ${sameKey(key, "_g", "_c")})`;
    if (again)
      await sql.run(`DELETE FROM ${gone} _g WHERE _commit = getvariable('weir_commit') AND ${isThere("_g")}`);
    await sql.run(`INSERT INTO ${gone} SELECT DISTINCT *, getvariable('weir_commit') FROM ${changedTable(name)} _c
      WHERE NOT ${isThere("_c")}${again ? ` AND NOT ${isNoted}` : ""}`);
  }
}

/** Forgets keys that went with a commit longer ago. */
export async function forgetGone(sql: Sql, program: Program, keptMs: number): Promise<void> {
  const { kept } = await sql.row<{ kept: string }>(
    `SELECT coalesce(max("commit"), 0)::VARCHAR AS kept FROM db.weir.commits
     WHERE committed_at < now()::TIMESTAMP - to_milliseconds(${keptMs})`,
  );
  await sql.run("BEGIN");
  try {
    for (const { name } of program.tables) {
      await sql.run(`DELETE FROM ${goneState(name)} WHERE _commit <= ${kept};
        UPDATE db.weir.changes SET kept = greatest(kept, ${kept}) WHERE name = ${text(name)}`);
    }
    await sql.run("COMMIT");
  } catch (error) {
    await sql.run("ROLLBACK");
    throw error;
  }
}
