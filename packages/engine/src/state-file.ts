import { existsSync, linkSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { DuckDBConnection } from "@duckdb/node-api";
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

const quoted = (path: string): string => `'${path.replaceAll("'", "''")}'`;
