import { CaptureRun, Journal, until } from "@weir/testkit";
import type { Captured, CrashPoint, PostgresMajor } from "@weir/testkit";
import { TestDatabase, expectEqual, sharedServer } from "./database.fixture.ts";
import { createPostgresCapture } from "./postgres-capture.ts";
import type { PostgresCaptureOptions } from "./postgres-capture.ts";
import { postgres } from "./source.ts";
import type { PostgresOptions } from "./source.ts";

/** A change record's value. */
export interface ChangeValue {
  readonly id: string;
  readonly at: string;
  readonly stream: string;
  readonly op: string;
  readonly key: string;
  readonly version: string;
  readonly row: Record<string, string | null> | null;
  readonly unknown?: string[];
}

/** A database of its own that is captured, for one test. */
export class Capturing {
  readonly database: TestDatabase;
  readonly journal = new Journal("db");
  readonly slot: string;
  options: Partial<PostgresOptions>;
  #run: CaptureRun | undefined;

  readonly #times: Omit<PostgresCaptureOptions, "source">;

  constructor(
    database: TestDatabase,
    options: Partial<PostgresOptions> = {},
    times: Omit<PostgresCaptureOptions, "source"> = {},
  ) {
    this.#times = times;
    this.database = database;
    this.slot = `slot_${database.name}`;
    this.options = options;
  }

  static async on(
    major: PostgresMajor,
    sql: string,
    options: Partial<PostgresOptions> = {},
    settings: Readonly<Record<string, string | number>> = {},
  ): Promise<Capturing> {
    const database = await TestDatabase.create(await sharedServer(major, settings));
    if (sql !== "") await database.run(sql);
    return new Capturing(database, options);
  }

  get capture(): ReturnType<typeof createPostgresCapture> {
    const spec = postgres({
      url: this.database.url,
      tables: ["public.*"],
      slot: this.slot,
      heartbeat: 100,
      ...this.options,
    });
    return createPostgresCapture(spec, { source: "db", ...this.#times });
  }

  get run(): CaptureRun {
    if (this.#run === undefined) throw new Error("it was not started");
    return this.#run;
  }

  start(crash?: CrashPoint): CaptureRun {
    this.#run = new CaptureRun(this.capture, this.journal, crash);
    return this.#run;
  }

  async stop(): Promise<void> {
    await this.#run?.stop();
  }

  /** Changes of a stream, in the order in which they became durable. */
  changes(stream: string): ChangeValue[] {
    return this.journal.records.flatMap(({ value }: Captured) =>
      value?.["stream"] === stream ? [value as unknown as ChangeValue] : [],
    );
  }

  /** Resolves when these tables, by key columns, are captured as they are. */
  async upToDate(tables: Readonly<Record<string, readonly string[]>>): Promise<void> {
    await until(() => expectEqual(this.database, this.journal.records, tables), {
      run: this.run,
      timeoutMs: 120_000,
    });
  }

  /** Resolves when this no longer throws. */
  async until(act: () => void | Promise<void>): Promise<void> {
    await until(act, { run: this.run, timeoutMs: 120_000 });
  }

  async close(): Promise<void> {
    this.journal.release();
    await this.#run?.stop().catch(() => undefined);
    await this.database.close();
  }
}

/** The slot of a capture as the server has it. */
export async function slotOf({ database, slot }: Capturing): Promise<Record<string, unknown>> {
  const [row] = await database.run(
    `SELECT *, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS retained FROM pg_replication_slots WHERE slot_name = '${slot}'`,
  );
  return row ?? {};
}
