import { existsSync, linkSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
import { ident } from "@weir/compile";
import { failpoint } from "@weir/log";
import { syncPath } from "./durable.ts";

const unfinished = (path: string): string => `${path}.new-`;

/**
 * Opens a state file, as `db` where nothing else is said, creating it if there is none.
 *
 * It is created under another name, so that a state file is always a whole one: DuckDB refuses a file that it could not
 * finish, after a crash or on a full disk. The final name is a link and not a rename, as another process may have been
 * faster and have it open. Names left over are removed by whoever has the state file open.
 */
export async function attachState(connection: DuckDBConnection, path: string, catalog = "db"): Promise<void> {
  if (!existsSync(path)) await create(connection, path);
  await connection.run(`ATTACH ${quoted(path)} AS ${catalog}`);
  if (catalog === "db" && (await isRewriteDue(connection))) await rewrite(connection, path);
  for (const name of readdirSync(dirname(path))) {
    if (name.startsWith(basename(unfinished(path)))) rmSync(join(dirname(path), name));
  }
}

async function create(connection: DuckDBConnection, path: string): Promise<void> {
  const aside = `${unfinished(path)}${process.pid}`;
  rmSync(aside, { force: true });
  await connection.run(`ATTACH ${quoted(aside)} AS created`);
  failpoint("engine.open.state_created");
  await connection.run("DETACH created");
  syncPath(aside);
  try {
    linkSync(aside, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  }
  syncPath(dirname(path));
  failpoint("engine.open.state_linked");
  rmSync(aside, { force: true });
}

/** Whether something was erased since the file was written: see erase/ledger.ts. */
async function isRewriteDue(connection: DuckDBConnection): Promise<boolean> {
  const tables = await rowsOf(
    connection,
    "SELECT 1 FROM duckdb_tables() WHERE database_name = 'db' AND schema_name = 'privacy' AND table_name = 'meta'",
  );
  if (tables.length === 0) return false;
  return (await rowsOf(connection, "SELECT 1 FROM db.privacy.meta WHERE key = 'rewrite'")).length > 0;
}

/**
 * Writes the state file anew, with what its tables have and nothing else. DuckDB leaves the bytes of deleted rows where they were:
 * in row groups that have others, in blocks that are free, and in the WAL.
 *
 * The new file takes the old one's name in one step, once it is whole and durable, and the old one has no WAL that would be taken for
 * the new one's. A crash before leaves the old file, with the note that this is due.
 */
async function rewrite(connection: DuckDBConnection, path: string): Promise<void> {
  await forgetErased(connection);
  const aside = `${unfinished(path)}${process.pid}`;
  rmSync(aside, { force: true });
  await connection.run(`ATTACH ${quoted(aside)} AS fresh`);
  const tables = await rowsOf(
    connection,
    `SELECT schema_name, table_name, sql FROM duckdb_tables() WHERE database_name = 'db' AND NOT internal AND NOT temporary
     ORDER BY schema_name, table_name`,
  );
  for (const [schema = "", table = "", sql = ""] of tables) {
    const name = `${ident(schema)}.${ident(table)}`;
    await connection.run(`CREATE SCHEMA IF NOT EXISTS fresh.${ident(schema)}; USE fresh; ${sql}; USE memory;
      INSERT INTO fresh.${name} SELECT * FROM db.${name}`);
  }
  await connection.run(
    "DELETE FROM fresh.privacy.meta WHERE key = 'rewrite'; CHECKPOINT fresh; DETACH fresh",
  );
  syncPath(aside);
  failpoint("engine.open.state_copied");
  await connection.run("CHECKPOINT db");
  rmSync(`${path}.wal`, { force: true });
  // While it is open: who opens the name from here on has the new file.
  renameSync(aside, path);
  syncPath(dirname(path));
  await connection.run("DETACH db");
  failpoint("engine.open.state_rewritten");
  await connection.run(`ATTACH ${quoted(path)} AS db`);
}

/**
 * Identifiers that erased persons were asked for by, and the keys of rows that went with them. Who follows a table and has not heard
 * of those has to begin anew.
 */
async function forgetErased(connection: DuckDBConnection): Promise<void> {
  const last = `(SELECT max("commit") FROM db.privacy.erasures WHERE request IS NOT NULL AND state = 'erased')`;
  const followed = await rowsOf(
    connection,
    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'db' AND schema_name = 'state' AND suffix(table_name, '__gone')",
  );
  const deletes = followed.map(
    ([table = ""]) => `DELETE FROM db.state.${ident(table)} WHERE _commit <= ${last};`,
  );
  await connection.run(`BEGIN; ${deletes.join("\n")}
    UPDATE db.weir.changes SET kept = greatest(kept, coalesce(${last}, 0));
    UPDATE db.privacy.erasures SET request = NULL WHERE state <> 'requested';
    COMMIT`);
}

async function rowsOf(connection: DuckDBConnection, sql: string): Promise<string[][]> {
  return (await connection.runAndReadAll(sql)).getRowsJson() as string[][];
}

const quoted = (path: string): string => `'${path.replaceAll("'", "''")}'`;
