import { rmSync } from "node:fs";
import { join } from "node:path";
import type { ContractProgram, Program, TableProgram } from "@weir/compile";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import { ofTable } from "../aside.ts";
import { beginChanges } from "../changes/gone.ts";
import { Database } from "../database.ts";
import type { Sql } from "../database.ts";
import { cleanHistory } from "../history.ts";
import type { Lake } from "../lake.ts";
import { contractsOf, forgetChanges, mergeTable, showFresh } from "../merge.ts";
import { prepareSchema } from "../schema.ts";
import { feedFiles, takeBack } from "./catch-up.ts";
import { readManifest, writeManifest } from "./manifest.ts";
import type { CleanManifest } from "./manifest.ts";

/** Files of the clean zone that tables are given at a time. */
const filesAChunk = 16;

export interface ShadowOptions {
  /** Of its own. */
  readonly directory: string;
  readonly lake: Lake;
  readonly program: Program;
  /** A component of the program. */
  readonly tables: readonly TableProgram[];
  readonly memoryLimit: string;
}

/** Where the tables of a shadow are. */
interface Position extends Record<string, number | boolean | null> {
  /** They have the records up to this commit; while they are built, they get there. */
  commit: number;
  /** The commit that they are being brought to. */
  target: number | null;
  /** Steps of building that are done. */
  step: number;
  built: boolean;
}

/** A step of building: a table is made, or given some files. */
interface Step {
  readonly table: TableProgram;
  readonly contract?: ContractProgram;
  readonly paths: readonly string[];
}

/**
 * Tables that are built beside the live ones, in a DuckDB file of their own whose catalog has the live one's names, so that the
 * program's statements run as they are.
 *
 * Invariant: each step of building, and each part of catching up, commits with the note that it is done. A shadow that was
 * interrupted anywhere goes on where it was; it reads nothing but files of the lake by their names, which a barrier keeps.
 */
export class Shadow {
  readonly #options: ShadowOptions;
  readonly #database: Database;
  readonly #sql: Sql;
  #isClosed = false;

  private constructor(options: ShadowOptions, database: Database, sql: Sql) {
    this.#options = options;
    this.#database = database;
    this.#sql = sql;
  }

  static fileOf(directory: string): string {
    return join(directory, "weir.duckdb");
  }

  /** Its file. */
  get file(): string {
    return Shadow.fileOf(this.#options.directory);
  }

  static async open(options: ShadowOptions): Promise<Shadow> {
    const { directory, program, memoryLimit } = options;
    const settings = { memoryLimit, keepBlocks: false };
    const database = await Database.open(Shadow.fileOf(directory), join(directory, "tmp"), settings);
    try {
      const sql = await database.connect();
      await prepareSchema(sql);
      await sql.run(`CREATE TABLE IF NOT EXISTS db.weir.position ("commit" UBIGINT, target UBIGINT, step UBIGINT, built BOOLEAN);
        CREATE TABLE IF NOT EXISTS db.weir.fed (path VARCHAR)`);
      for (const schema of ["db.main", "memory.main"]) {
        await sql.run(`SET search_path = '${schema}'`);
        for (const macro of program.setup) await sql.run(macro);
      }
      return new Shadow(options, database, sql);
    } catch (error) {
      database.abandon();
      throw error;
    }
  }

  /** Closes the file, with nothing left in its WAL. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#database.close();
  }

  static remove(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
  }

  /** Undefined before the first manifest. */
  async position(): Promise<Position | undefined> {
    const [position] = await this.#sql.rows<Position>(
      `SELECT "commit"::DOUBLE AS "commit", target::DOUBLE AS target, step::DOUBLE AS step, built FROM db.weir.position`,
    );
    return position;
  }

  /** Begins with the clean zone as of a commit. */
  begin(manifest: CleanManifest): Promise<void> {
    return this.#inTransaction(async () => {
      await writeManifest(this.#sql, manifest);
      await this.#sql.run(`INSERT INTO db.weir.position VALUES (${manifest.commit}, NULL, 0, FALSE)`);
    });
  }

  /** Rows and files that building reads, each as often as it does. */
  async work(): Promise<{ readonly rows: number; readonly steps: readonly Step[] }> {
    const { program, tables } = this.#options;
    const manifest = await this.manifest();
    const steps: Step[] = [];
    let rows = 0;
    for (const table of tables) {
      steps.push({ table, paths: [] });
      for (const contract of contractsOf(program, [table])) {
        const files = manifest.files.filter((file) => file.contract === contract.contract.name);
        for (let at = 0; at < files.length; at += filesAChunk)
          steps.push({
            table,
            contract,
            paths: files.slice(at, at + filesAChunk).map(({ path }) => path),
          });
        rows += files.reduce((sum, file) => sum + file.rows, 0);
      }
    }
    return { rows, steps };
  }

  manifest(): Promise<CleanManifest> {
    const { program, tables } = this.#options;
    return readManifest(
      this.#sql,
      contractsOf(program, tables).map(({ contract }) => contract.name),
    );
  }

  /** Does one step of building. @param number how many are done. @throws FailedTable */
  async build(steps: readonly Step[], number: number): Promise<void> {
    const step = steps[number];
    await this.#inTransaction(async () => {
      if (step !== undefined) await this.#build(step);
      const built = number + 1 >= steps.length;
      await this.#sql.run(`UPDATE db.weir.position SET step = ${number + 1}, built = ${built}`);
    });
    failpoint("engine.task.shadow_step");
  }

  async #build({ table, contract, paths }: Step): Promise<void> {
    const { lake, program } = this.#options;
    if (contract === undefined) for (const statement of table.create) await this.#sql.run(statement.sql);
    await forgetChanges(this.#sql, program, [table]);
    if (contract === undefined) {
      await ofTable(table, async () => {
        for (const statement of table.build) await this.#sql.run(statement.sql);
      });
      await beginChanges(this.#sql, table);
      return;
    }
    for (const other of contractsOf(program, [table])) {
      const query =
        other === contract ? await cleanHistory(this.#sql, lake, contract, paths) : other.emptyClean;
      await showFresh(this.#sql, other.contract.name, query);
    }
    await mergeTable(this.#sql, table);
  }

  /** Turns to a later state of the clean zone. */
  aim(manifest: CleanManifest): Promise<void> {
    return this.#inTransaction(async () => {
      await writeManifest(this.#sql, manifest);
      await this.#sql.run(`UPDATE db.weir.position SET target = ${manifest.commit}; DELETE FROM db.weir.fed`);
    });
  }

  /**
   * Does a part of the way to the commit that it was turned to.
   *
   * @returns rows that it read; undefined once it is there
   * @throws FailedTable
   */
  async follow(): Promise<number | undefined> {
    const position = await this.position();
    if (position === undefined || position.target === null) return undefined;
    const { lake, program, tables } = this.#options;
    const { commit, target } = position;
    const manifest = await this.manifest();
    const fed = new Set((await this.#sql.rows<{ path: string }>("FROM db.weir.fed")).map(({ path }) => path));
    const left = manifest.files.filter((file) => file.commit > commit && !fed.has(file.path));
    const some = left.slice(0, filesAChunk);
    const files = new Map<string, string[]>();
    for (const file of some) files.set(file.contract, [...(files.get(file.contract) ?? []), file.path]);
    await this.#inTransaction(async () => {
      await feedFiles(this.#sql, lake, program, tables, { files });
      if (some.length < left.length) {
        await this.#sql.run(
          `INSERT INTO db.weir.fed VALUES ${some.map(({ path }) => `(${text(path)})`).join(", ")}`,
        );
        return;
      }
      await takeBack(this.#sql, lake, program, tables, commit, target);
      await this.#sql.run(
        `UPDATE db.weir.position SET "commit" = target, target = NULL; DELETE FROM db.weir.fed`,
      );
    });
    failpoint("engine.task.shadow_followed");
    return some.reduce((sum, { rows }) => sum + rows, 0);
  }

  async #inTransaction(work: () => Promise<void>): Promise<void> {
    await this.#sql.run("SET search_path = 'memory.main'; BEGIN");
    try {
      const { commit, newest } = await this.#sql.row<{ commit: string; newest: string }>(
        `SELECT coalesce(max("commit"), 0)::VARCHAR AS "commit", coalesce(max(newest_received_us), 0)::VARCHAR AS newest
         FROM db.weir.commits`,
      );
      await this.#sql.run(
        `SET VARIABLE weir_commit = ${commit}::UBIGINT; SET VARIABLE weir_newest_us = ${newest}::BIGINT`,
      );
      await work();
      await this.#sql.run("COMMIT");
    } catch (error) {
      await this.#sql.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
    await this.#dropTemporary();
  }

  /** What statements leave holds memory; see commit.ts. */
  async #dropTemporary(): Promise<void> {
    const tables = await this.#sql.rows<{ name: string }>(
      "SELECT table_name AS name FROM duckdb_tables() WHERE temporary AND NOT internal",
    );
    for (const { name } of tables) await this.#sql.run(`DROP TABLE temp."${name.replaceAll('"', '""')}"`);
  }
}
