import { rmSync } from "node:fs";
import { join, relative } from "node:path";
import { text } from "@weir/compile";
import { Database } from "../database.ts";
import type { JsonValue, Sql } from "../database.ts";
import { Lake } from "../lake.ts";
import type { LakeFile } from "../lake.ts";
import type { Vault } from "../privacy/vault.ts";

/** The place of a record in the log. Raw has each once. */
export const place = ["source", "writer", "number", "line"] as const;
const placeColumns = "source VARCHAR, writer VARCHAR, number UBIGINT, line UINTEGER";

/** Condition that two relations' rows are of one place. */
export const samePlace = (a: string, b: string): string =>
  place.map((column) => `${a}.${column} = ${b}.${column}`).join(" AND ");

/** How far a replay is before it builds tables. */
export type Phase = "derive" | "live" | "files" | "tables";

/**
 * What a replay keeps in a DuckDB file of its own, with files of its own beside it:
 *
 *   replay      the interval, in microseconds, [from, until); the commit `barrier` up to which its records were received; the phase; and
 *               the commit `reached` up to which `candidates` knows every record
 *               `undoes` another replay, whose records it is about, which are in `places`
 *   chunks      parts of raw files that are judged one after the other
 *   parts       files that chunks left: valid records by contract, what failed, and the outcome of each
 *   live_files, live_hidden   the manifest as of the barrier, and the positions that `superseded` had
 *   rewritten   live files that have rows of the interval, and the files without them; none where no other row is left
 *   removed     the live clean zone's rows of the interval; `hidden` where another record had taken their place
 *   quarantined what was in quarantine of the interval
 *   winners     of each contract and id the least valid record of the interval
 *   affected    ids whose live winner is not that very record. `vanished`, if it was of the interval and nothing of the interval
 *               that is valid now is as little: then a record outside may win that was a duplicate
 *   candidates  records with affected ids: those that may win are `eligible`; those `in_file` have a row, which is `hidden_at` a commit
 *               where another one wins
 *   results     files that take a place in the live manifest, and as of which commit
 */
const schema = [
  `CREATE TABLE places (${placeColumns})`,
  'CREATE TABLE replay ("from" BIGINT, until BIGINT, barrier UBIGINT, phase VARCHAR, reached UBIGINT, undoes UBIGINT)',
  "CREATE TABLE chunks (n UBIGINT, source VARCHAR, path VARCHAR, first BIGINT, last BIGINT, records UBIGINT, done BOOLEAN)",
  "CREATE TABLE parts (kind VARCHAR, contract VARCHAR, path VARCHAR, chunk VARCHAR)",
  'CREATE TABLE live_files (zone VARCHAR, name VARCHAR, path VARCHAR, "commit" UBIGINT, "rows" UBIGINT, low VARCHAR, high VARCHAR)',
  `CREATE TABLE live_hidden (contract VARCHAR, id VARCHAR, ${placeColumns}, "commit" UBIGINT)`,
  "CREATE TABLE rewritten (path VARCHAR)",
  `CREATE TABLE removed (contract VARCHAR, id VARCHAR, t BIGINT, c UBIGINT, ${placeColumns}, hidden BOOLEAN)`,
  `CREATE TABLE quarantined (${placeColumns}, contract VARCHAR, received_commit UBIGINT, attempts UINTEGER)`,
  `CREATE TABLE candidates (contract VARCHAR, id VARCHAR, t BIGINT, c UBIGINT, ${placeColumns}, rank UTINYINT, in_file BOOLEAN,
     eligible BOOLEAN, hidden_at UBIGINT)`,
  `CREATE TABLE results (zone VARCHAR, name VARCHAR, path VARCHAR, final VARCHAR, "rows" UBIGINT, bytes UBIGINT, crc32 UBIGINT,
     low VARCHAR, high VARCHAR, "commit" UBIGINT, step VARCHAR)`,
];

/** A file of the replay's own that is to be one of the lake. */
export interface ResultFile extends Record<string, string | number> {
  zone: string;
  name: string;
  /** In the replay's directory. */
  path: string;
  /** In the lake. */
  final: string;
  rows: number;
  bytes: number;
  crc32: number;
  low: string;
  high: string;
  commit: number;
}

export interface Interval {
  readonly from: number;
  readonly until: number;
  readonly barrier: number;
  /** The task that is undone, if any. */
  readonly undoes: number | null;
}

export class Workspace {
  readonly #database: Database;
  readonly sql: Sql;
  /** Where its files are. */
  readonly files: Lake;

  private constructor(database: Database, sql: Sql, files: Lake) {
    this.#database = database;
    this.sql = sql;
    this.files = files;
  }

  /** @param directory the task's own */
  static async open(
    directory: string,
    memoryLimit: string,
    vault?: Pick<Vault, "prepare">,
  ): Promise<Workspace> {
    const file = join(directory, "replay.duckdb");
    const database = await Database.open(file, join(directory, "replay-tmp"), {
      memoryLimit,
      keepBlocks: false,
    });
    try {
      const sql = await database.connect();
      await sql.run("USE db.main");
      await vault?.prepare(sql);
      const tables = await sql.rows(
        "SELECT 1 AS one FROM duckdb_tables() WHERE database_name = 'db' AND table_name = 'replay'",
      );
      const workspace = new Workspace(database, sql, Lake.open(join(directory, "files")));
      if (tables.length === 0) await workspace.inTransaction(() => sql.run(schema.join(";")));
      return workspace;
    } catch (error) {
      database.abandon();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  async inTransaction<T>(work: () => Promise<T>): Promise<T> {
    await this.sql.run("BEGIN");
    try {
      const result = await work();
      await this.sql.run("COMMIT");
      return result;
    } catch (error) {
      await this.sql.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }

  /** Does work of which nothing is to stay, but what it gives. */
  async inTrial<T>(work: () => Promise<T>): Promise<T> {
    await this.sql.run("BEGIN");
    try {
      return await work();
    } finally {
      await this.sql.run("ROLLBACK").catch(() => undefined);
    }
  }

  async phase(): Promise<Phase | undefined> {
    const [row] = await this.sql.rows<{ phase: string }>("SELECT phase FROM replay");
    return row?.phase as Phase | undefined;
  }

  setPhase(phase: Phase): Promise<void> {
    return this.sql.run(`UPDATE replay SET phase = '${phase}'`);
  }

  interval(): Promise<Interval & Record<string, number | null>> {
    return this.sql.row(
      `SELECT "from"::DOUBLE AS "from", until::DOUBLE AS until, barrier::DOUBLE AS barrier,
         undoes::DOUBLE AS undoes FROM replay`,
    );
  }

  /** The condition that a row of a zone, of a file up to the barrier, is of the records that are replayed. */
  async ofReplay(zone: LakeFile["zone"], row: string): Promise<string> {
    const { from, until, undoes } = await this.interval();
    const prefix = zone === "clean" ? "_" : "";
    if (undoes === null) {
      const received = `${row}.${prefix}received_at`;
      return `${received} >= make_timestamp(${from}) AND ${received} < make_timestamp(${until})`;
    }
    const same = place.map((column) => `p.${column} = ${row}.${prefix}${column}`).join(" AND ");
    return `EXISTS (SELECT 1 FROM places p WHERE ${same})`;
  }

  /** A file of the replay as the lake would name it, to be read where files of the lake are. */
  inLake(lake: Lake, path: string): string {
    return relative(lake.root, this.files.path(path));
  }

  /** Paths of files that chunks left, to be read; undefined where there are none. */
  async parts(kind: string, contract = ""): Promise<string | undefined> {
    const rows = await this.sql.rows<{ path: string }>(
      `SELECT path FROM parts WHERE kind = ${text(kind)} AND contract = ${text(contract)} ORDER BY path`,
    );
    if (rows.length === 0) return undefined;
    return `[${rows.map(({ path }) => text(this.files.path(path))).join(", ")}]`;
  }

  /** Notes a file that is to be one of the lake, in place of one with the same path. @param final its path in the lake */
  async addResult(file: LakeFile, final: string, commit: number, step: string): Promise<void> {
    if (file.rows === 0) {
      rmSync(this.files.path(file.path), { force: true });
      return;
    }
    await this.sql.run(`DELETE FROM results WHERE path = ${text(file.path)};
      INSERT INTO results VALUES (${text(file.zone)}, ${text(file.name)}, ${text(file.path)}, ${text(final)}, ${file.rows},
        ${file.bytes}, ${file.crc32}, ${text(file.minTime)}, ${text(file.maxTime)}, ${commit}, ${text(step)})`);
  }

  results(zone?: LakeFile["zone"]): Promise<ResultFile[]> {
    return this.sql.rows<ResultFile>(
      `SELECT zone, name, path, final, "rows"::DOUBLE AS "rows", bytes::DOUBLE AS bytes, crc32::DOUBLE AS crc32, low, high,
         "commit"::DOUBLE AS "commit" FROM results ${zone === undefined ? "" : `WHERE zone = '${zone}'`} ORDER BY "commit", path`,
    );
  }

  /** Fills a table with rows, many at a time. */
  async fill(table: string, rows: readonly string[]): Promise<void> {
    for (let at = 0; at < rows.length; at += rowsAtOnce)
      await this.sql.run(`INSERT INTO ${table} VALUES ${rows.slice(at, at + rowsAtOnce).join(", ")}`);
  }

  has(query: string): Promise<boolean> {
    return this.sql
      .rows<Record<string, JsonValue>>(`SELECT 1 AS one FROM (${query}) LIMIT 1`)
      .then((rows) => rows.length > 0);
  }
}

const rowsAtOnce = 1_000;
