import { mkdirSync, readdirSync, rmSync, statfsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBResult } from "@duckdb/node-api";
import { makeDirectory } from "./durable.ts";
import { engineError } from "./engine-error.ts";
import { attachState } from "./state-file.ts";

/** A value as DuckDB's JSON conversion gives it: numbers past 32 bits, decimals and times are strings. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** One connection: one statement at a time, in the order of the calls. */
export class Sql {
  readonly connection: DuckDBConnection;
  readonly #onClose: (sql: Sql) => void;
  /** Statements that have not ended. */
  #running = 0;
  #isClosing = false;

  constructor(connection: DuckDBConnection, onClose: (sql: Sql) => void = () => undefined) {
    this.connection = connection;
    this.#onClose = onClose;
  }

  /** Runs statements separated by `;`. */
  async run(sql: string): Promise<void> {
    await this.#statement(sql, () => this.connection.run(sql));
  }

  /** Rows of a query whose types the caller states and whose columns the query casts to them. */
  async rows<T extends Record<string, JsonValue>>(sql: string): Promise<T[]> {
    const reader = await this.#statement(sql, () => this.connection.runAndReadAll(sql));
    return reader.getRowObjectsJson() as T[];
  }

  async row<T extends Record<string, JsonValue>>(sql: string): Promise<T> {
    const [row] = await this.rows<T>(sql);
    if (row === undefined) throw statementError(new Error("the query gave no row"), sql);
    return row;
  }

  /**
   * A result to be read chunk by chunk, before anything else runs on the connection: that ends it early, without an error. An
   * appender runs a statement every 204,800 rows.
   */
  stream(sql: string): Promise<DuckDBResult> {
    return this.#statement(sql, () => this.connection.stream(sql));
  }

  /** A result to be read chunk by chunk that is there as a whole, so that the connection can append what is made of it. */
  held(sql: string): Promise<DuckDBResult> {
    return this.#statement(sql, () => this.connection.run(sql));
  }

  /**
   * Closes the connection once its statement has ended: DuckDB 1.5 waits for itself for ever, or uses memory that it freed, when a
   * connection is closed between two statements of one text.
   */
  close(): void {
    this.#isClosing = true;
    if (this.#running > 0) return;
    this.connection.closeSync();
    this.#onClose(this);
  }

  /**
   * Interrupts what runs until work that uses the connection has ended, however it ends. Again and again: an interruption that comes
   * before a statement has begun is without effect.
   */
  async interrupt(work: Promise<unknown>): Promise<void> {
    const timer = setInterval(() => {
      if (!this.#isClosing) this.connection.interrupt();
    }, interruptEveryMs);
    await work.catch(() => undefined);
    clearInterval(timer);
  }

  async #statement<T>(sql: string, work: () => Promise<T>): Promise<T> {
    if (this.#isClosing) throw statementError(new Error("the connection is closed"), sql);
    this.#running++;
    try {
      return await work();
    } catch (error) {
      throw statementError(error, sql);
    } finally {
      this.#running--;
      if (this.#isClosing) this.close();
    }
  }
}

/** An error of a statement of our own: keeps the statement, which is what a reader of the log needs. */
function statementError(error: unknown, sql: string): Error {
  const told = engineError(error);
  if (told.code !== "engine_statement_failed") return told;
  return new WeirError("engine_statement_failed", `${told.message}\nin: ${sql.slice(0, 2000)}`, {
    cause: error,
  });
}

const interruptEveryMs = 20;
/** How long a database that closes waits for statements. */
const interruptedMs = 5_000;

export interface DatabaseSettings {
  /** As DuckDB reads it, such as "4GB". */
  readonly memoryLimit: string;
  /**
   * False for a database beside another one of the process: memory for blocks does not stay with it then (see {@link blockMemory}). For
   * that DuckDB reserves addresses, four fifths of the machine's memory, which count against what the process may allocate.
   */
  readonly keepBlocks?: boolean;
}

/**
 * One in-memory database for what a batch needs while it runs, and the state file attached as `db`. Only one
 * process can have a state file open.
 */
export class Database {
  readonly #instance: DuckDBInstance;
  /** Connections that are open. */
  readonly #open = new Set<Sql>();
  #closed: Promise<void> | undefined;

  private constructor(instance: DuckDBInstance) {
    this.#instance = instance;
  }

  /** @throws WeirError `engine_locked` with the owner's pid, `state_unreadable` */
  static async open(stateFile: string, tempDir: string, settings: DatabaseSettings): Promise<Database> {
    makeDirectory(dirname(stateFile));
    const ownTempDir = join(tempDir, String(process.pid));
    mkdirSync(ownTempDir, { recursive: true });
    const instance = await DuckDBInstance.create(":memory:", {
      // One thread a query, as queries run side by side: with two, a thread whose query another one works on spins. 16.4 us
      // of CPU a record with one, 19.3 with two, on two cores.
      threads: "1",
      memory_limit: settings.memoryLimit,
      ...(settings.keepBlocks === false ? {} : { block_allocator_memory: blockMemory(settings.memoryLimit) }),
      temp_directory: ownTempDir,
      max_temp_directory_size: spillLimit(ownTempDir),
      autoinstall_known_extensions: "false",
      autoload_known_extensions: "false",
    });
    const database = new Database(instance);
    const sql = await database.connect();
    try {
      // To the planner a table that the running transaction filled is empty, and for few rows it takes loops for an ASOF
      // join: 50,000 rows with 30,000 took 2.5 s, with this 0.07 s.
      await sql.run("SET GLOBAL asof_loop_join_threshold = 0");
      // Bigger than the default 16 MB: at full load that would checkpoint several times a second.
      await sql.run(
        `SET wal_autocheckpoint = '256MB'; SET TimeZone = 'UTC'; SET enable_progress_bar = false`,
      );
      // DuckDB frees an instance once nothing refers to it any more: a result that was not read to its end does, until it is
      // garbage. A checkpoint at that moment would write into a file that this process may have opened again.
      await sql.run("PRAGMA disable_checkpoint_on_shutdown");
      // A join that finds few rows of a large table, such as a batch's things, reads only where they are: up to so many at
      // once. With 100 of a million entities 17 ms of CPU, where with the default of 50 values it is 38.
      await sql.run("SET GLOBAL dynamic_or_filter_threshold = 1000");
      await attachState(sql.connection, stateFile);
      // What spilled to disk in a process that was killed: it held the state file, which is ours now.
      for (const name of readdirSync(tempDir)) {
        if (name !== basename(ownTempDir)) rmSync(join(tempDir, name), { recursive: true });
      }
    } catch (error) {
      database.abandon();
      throw attachError(error, stateFile);
    }
    sql.close();
    return database;
  }

  /**
   * From now on SQL reaches no files but those in `directory`: a query comes from whoever can reach the API, and must not
   * read what else the engine's user may read.
   */
  async confineTo(directory: string): Promise<void> {
    const sql = await this.connect();
    const directories = [directory, resolve(directory)].map((path) => `'${path.replaceAll("'", "''")}'`);
    await sql.run(
      `SET allowed_directories = [${directories.join(", ")}]; SET enable_external_access = false`,
    );
    sql.close();
  }

  /**
   * What does not fit into memory is encrypted on disk from now on: batches in work hold records as they were received. DuckDB asks
   * for its `unsafe` cryptography, which takes nonces from a random generator that is none for cryptography: what it reads
   * there again it has written a moment before, and nobody keeps.
   */
  async encryptTemporary(): Promise<void> {
    const sql = await this.connect();
    await sql.run("SET GLOBAL force_mbedtls_unsafe = true; SET GLOBAL temp_file_encryption = true");
    sql.close();
  }

  async connect(): Promise<Sql> {
    const sql = new Sql(await this.#instance.connect(), (closed) => this.#open.delete(closed));
    this.#open.add(sql);
    await sql.run("SET TimeZone = 'UTC'");
    return sql;
  }

  /** Closes every connection, and leaves the next start no WAL to go through. Once, however often it is called. */
  close(): Promise<void> {
    return (this.#closed ??= this.#close());
  }

  async #close(): Promise<void> {
    await this.#interruptAll();
    const sql = await this.connect();
    // Without it, because a query is still running: all that is committed is in the WAL.
    await sql.run("CHECKPOINT db").catch(() => undefined);
    this.abandon();
  }

  /** Closes every connection, those with a statement at work once it has ended. */
  abandon(): void {
    for (const sql of this.#open) sql.close();
    this.#instance.closeSync();
  }

  /** Again and again: an interruption that comes before a statement has begun is without effect, and some calls cannot be interrupted. */
  async #interruptAll(): Promise<void> {
    const from = performance.now();
    while (this.#open.size > 0) {
      for (const sql of this.#open) {
        sql.connection.interrupt();
        sql.close();
      }
      if (this.#open.size === 0 || performance.now() - from > interruptedMs) return;
      await delay(interruptEveryMs);
    }
  }
}

/**
 * Memory for blocks of tables and of what is sorted and joined, which stays with the process once it was used: a quarter of the limit,
 * 1 GB at most. Blocks that are allocated and freed with each batch are given back to the system and taken again otherwise, page by page:
 * of 21 to 25 us of CPU a record with tokens, 2 us.
 */
export function blockMemory(memoryLimit: string): string {
  const [, number = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT])i?B\s*$/i.exec(memoryLimit) ?? [];
  const megabytes = Number(number) * ({ K: 1 / 1024, M: 1, G: 1024, T: 1_048_576 }[unit.toUpperCase()] ?? 0);
  return `${Math.min(1024, Math.floor(megabytes / 4))}MB`;
}

/** How much may be set aside on disk: half of what is free. DuckDB would take 90 %, and leave the log too little to accept records. */
function spillLimit(directory: string): string {
  const { bavail, bsize } = statfsSync(directory);
  return `${Math.max(1, Math.floor((bavail * bsize) / 2 / 2 ** 20))}MiB`;
}

function attachError(error: unknown, stateFile: string): unknown {
  const message = error instanceof Error ? error.message : String(error);
  const owner = /PID (\d+)/.exec(message)?.[1];
  if (/lock/i.test(message) && owner !== undefined) {
    return new WeirError("engine_locked", `Process ${owner} has the state file open.`, {
      where: stateFile,
      remedy: `Stop process ${owner} first, or use another data directory.`,
      cause: error,
    });
  }
  return engineError(error, "state_unreadable", stateFile);
}
