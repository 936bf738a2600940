/** For tests: every byte under a data directory, in the form in which a reader would see it. */
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";

/**
 * Where needles are: files as they are, Parquet decoded, tables of DuckDB files with what their WAL adds, and what in all of these
 * is base64. Not in `log/`.
 *
 * @returns `<file>: <needle>`, sorted
 */
export async function scan(dataDir: string, needles: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const entry of readdirSync(dataDir, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const name = relative(dataDir, path);
    if (!entry.isFile() || name.startsWith("log/")) continue;
    const note = (text: string): void => {
      for (const needle of needles) if (text.includes(needle)) found.add(`${name}: ${needle}`);
    };
    note(readFileSync(path).toString("latin1"));
    if (/\.parquet(\.tmp)?$/.test(name)) await eachText(path, note);
    if (name.endsWith(".duckdb")) await eachTextOfDatabase(path, note);
  }
  return [...found].sort();
}

async function eachText(path: string, note: (text: string) => void): Promise<void> {
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  try {
    noteRows(await rowsOf(connection, `SELECT * FROM read_parquet('${path}')`), note);
  } catch (error) {
    // A file that a crash left half written is no Parquet: its bytes were looked at.
    if (!path.endsWith(".tmp")) throw error;
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** Of a copy, as a database that is open is nobody else's. */
async function eachTextOfDatabase(path: string, note: (text: string) => void): Promise<void> {
  const aside = mkdtempSync(join(tmpdir(), "weir-scan-"));
  const copy = join(aside, "copied.duckdb");
  for (const ending of ["", ".wal"]) if (existsSync(path + ending)) cpSync(path + ending, copy + ending);
  const instance = await DuckDBInstance.create(copy);
  const connection = await instance.connect();
  try {
    const tables = await rowsOf(
      connection,
      "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary",
    );
    for (const [schema, table] of tables)
      noteRows(await rowsOf(connection, `SELECT * FROM "${String(schema)}"."${String(table)}"`), note);
  } finally {
    connection.closeSync();
    instance.closeSync();
    rmSync(aside, { recursive: true });
  }
}

type Connection = Awaited<ReturnType<DuckDBInstance["connect"]>>;

const rowsOf = async (connection: Connection, sql: string): Promise<unknown[][]> =>
  (await connection.runAndReadAll(sql)).getRowsJson();

function noteRows(rows: readonly unknown[][], note: (text: string) => void): void {
  for (const row of rows) {
    const text = JSON.stringify(row);
    note(text);
    // Within JSON within JSON.
    note(text.replaceAll("\\", ""));
    for (const [encoded] of text.matchAll(/[A-Za-z0-9+/]{16,}={0,2}/g))
      note(Buffer.from(encoded, "base64").toString("latin1"));
  }
}
