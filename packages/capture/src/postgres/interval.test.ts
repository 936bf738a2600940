import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CaptureRun, Crash, Journal, oneContentAnId, postgresMissing, seeded } from "@weir/testkit";
import type { CrashPoint, PostgresMajor } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import type { Capture } from "../capture.ts";
import type { Interval } from "../interval.ts";
import { Capturing } from "./capturing.fixture.ts";
import type { ChangeValue } from "./capturing.fixture.ts";
import type { PostgresCursor } from "./cursor.ts";
import { closeServers, expectEqual } from "./database.fixture.ts";
import { createPostgresInterval } from "./interval.ts";
import { postgres } from "./source.ts";

afterAll(closeServers);

let past: Past | undefined;
afterEach(async () => {
  await past?.close();
  past = undefined;
});

const january: Interval = { fromMs: Date.UTC(2026, 0, 1), toMs: Date.UTC(2026, 1, 1) };

/** A database that is captured, and what is read of an interval of it. */
class Past {
  readonly live: Capturing;
  readonly journal = new Journal("db");
  readonly #directory = mkdtempSync(join(tmpdir(), "weir-interval-"));

  readonly #major: PostgresMajor;

  private constructor(live: Capturing, major: PostgresMajor) {
    this.live = live;
    this.#major = major;
  }

  /** Captures until the tables' first rows are there. */
  static async on(major: PostgresMajor, sql: string, tables = ["public.*"]): Promise<Past> {
    past = new Past(await Capturing.on(major, sql, { tables, snapshot: { rows: 20 } }), major);
    return past;
  }

  get cursor(): PostgresCursor {
    return this.live.journal.cursor as unknown as PostgresCursor;
  }

  async captured(tables: Readonly<Record<string, readonly string[]>>): Promise<void> {
    this.live.start();
    await this.live.upToDate(tables);
    await this.live.until(() =>
      expect(this.live.journal.status).toMatchObject({ state: "streaming", tablesToRead: 0 }),
    );
  }

  interval(column = "updated_at", tables?: readonly string[], cursor: unknown = this.cursor) {
    const cursorFile = join(this.#directory, "db.json");
    if (cursor !== undefined) writeFileSync(cursorFile, JSON.stringify(cursor));
    const { database, slot } = this.live;
    const spec = postgres({ url: database.url, tables: ["public.*"], slot, snapshot: { rows: 20 } });
    return createPostgresInterval(spec, january, { source: "db", column, tables, cursorFile });
  }

  async read(column?: string, crash?: CrashPoint, tables?: readonly string[]): Promise<CaptureRun> {
    const { run } = this.#runOf(column, crash, tables);
    await run.ended;
    return run;
  }

  /** Starts reading, and leaves it to the test. */
  begin(crash?: CrashPoint): CaptureRun {
    return this.#runOf(undefined, crash, undefined).run;
  }

  #runOf(column: string | undefined, crash: CrashPoint | undefined, tables: readonly string[] | undefined) {
    const capture = this.interval(column, tables);
    const asCapture: Capture = { check: () => Promise.resolve([]), run: (context) => capture.run(context) };
    return { run: new CaptureRun(asCapture, this.journal, crash) };
  }

  /** Keys that were read. */
  keys(stream: string): string[] {
    return this.journal.records
      .flatMap(({ value }) => (value?.["stream"] === stream ? [value as unknown as ChangeValue] : []))
      .map(({ key }) => (JSON.parse(key) as string[])[0] ?? "")
      .toSorted((a, b) => Number(a) - Number(b));
  }

  /** What both have, folded, is what the tables hold. */
  async expectEqual(tables: Readonly<Record<string, readonly string[]>>): Promise<void> {
    const records = [...this.live.journal.records, ...this.journal.records];
    await expectEqual(this.live.database, records, tables);
    oneContentAnId(records);
  }

  /** Changes that the stream does not tell of, as if they had been lost. */
  async lose(sql: string): Promise<void> {
    const { database, slot } = this.live;
    await this.live.stop();
    await database.run(`ALTER PUBLICATION ${slot} SET (publish = 'insert')`);
    await database.run(sql);
    const kinds = `insert, update, delete${this.#major === 10 ? "" : ", truncate"}`;
    await database.run(`ALTER PUBLICATION ${slot} SET (publish = '${kinds}')`);
    this.live.start();
  }

  async close(): Promise<void> {
    await this.live.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const table = (rows: number): string => `
  CREATE TABLE t (id int PRIMARY KEY, v text, updated_at timestamptz);
  INSERT INTO t SELECT n, 'v' || n, '2026-01-15' FROM generate_series(1, ${rows}) n`;

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const skipped = test.skipIf(postgresMissing(major) !== undefined);

  skipped("an interval of each kind of column: its begin is in it, its end is not", async () => {
    const one = await Past.on(
      major,
      `CREATE TABLE a (id int PRIMARY KEY, at timestamptz, local timestamp, day date, note text);
       INSERT INTO a SELECT n, at, at AT TIME ZONE 'UTC', (at AT TIME ZONE 'UTC')::date FROM unnest(ARRAY[
         '2025-12-31 23:59:59.999999Z', '2026-01-01 00:00Z', '2026-01-31 23:59:59.999999Z', '2026-02-01 00:00Z'
       ]::timestamptz[]) WITH ORDINALITY AS x (at, n);
       INSERT INTO a VALUES (5, NULL, NULL, NULL), (6, 'infinity', 'infinity', 'infinity'), (7, '-infinity', '-infinity', '-infinity');
       CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)`,
    );
    await one.captured({ "public.a": ["id"], "public.b": ["id"] });
    for (const column of ["at", "local", "day"]) {
      one.journal.records.length = 0;
      one.journal.cursor = undefined;
      await one.read(column);
      expect(one.keys("public.a"), column).toEqual(["2", "3"]);
      expect(one.journal.status).toMatchObject({ parts: 1, partsDone: 1, rows: 2, problem: null });
    }
    expect(await one.interval("at").parts()).toEqual([{ name: "public.a", rows: expect.any(Number) }]);
    expect(await one.interval("note", ["public.*"]).parts()).toEqual([
      { name: "public.a", rows: null, leftOut: expect.stringContaining("neither a timestamp nor a date") },
      { name: "public.b", rows: null, leftOut: "it has no column note" },
    ]);
    await expect(one.read("note")).rejects.toMatchObject({ code: "interval_unavailable" });
    expect(() => one.interval("at", ["nonsense"])).toThrow(
      expect.objectContaining({ code: "invalid_usage" }),
    );
  });

  skipped(
    "rows that are changed while they are read, in transactions that come and go, end as the table has them",
    async () => {
      const one = await Past.on(major, table(300));
      await one.captured({ "public.t": ["id"] });
      await one.lose("UPDATE t SET v = 'lost ' || id WHERE id % 3 = 0; DELETE FROM t WHERE id = 300");
      await one.live.database.run("INSERT INTO t VALUES (1001, 'seen', '2026-01-16')");
      await one.live.until(() => expect(one.live.changes("public.t").at(-1)?.key).toBe('["1001"]'));
      await expect(one.expectEqual({ "public.t": ["id"] })).rejects.toThrow("is not what it is");
      // The row that was lost altogether is the business of a read with a fence.
      await one.live.database.run("INSERT INTO t VALUES (300, 'back', '2026-01-16')");

      const clients = await Promise.all([1, 2, 3].map(() => one.live.database.another()));
      const chances = seeded(major);
      await clients[0]?.query("BEGIN; UPDATE t SET v = 'open before it began' WHERE id <= 5");
      const run = one.begin();
      const reading = { isOver: false };
      void run.ended.finally(() => (reading.isOver = true)).catch(() => undefined);
      for (let i = 0; i < 200 && (!reading.isOver || i < 20); i++) {
        if (i === 5) await clients[0]?.query("COMMIT");
        const client = clients[1 + (i % 2)];
        const id = 6 + chances.below(290);
        const statements = [
          `UPDATE t SET v = 'w${i}' WHERE id = ${id}`,
          `UPDATE t SET updated_at = '2027-01-01' WHERE id = ${id}`,
          `DELETE FROM t WHERE id = ${id}`,
          `INSERT INTO t VALUES (${id}, 'again', '2026-01-20') ON CONFLICT (id) DO UPDATE SET v = 'again'`,
          `UPDATE t SET id = ${100_000 + i} WHERE id = ${id}`,
        ];
        await client?.query(
          `BEGIN; ${chances.pick(statements)}; ${chances.in100(80) ? "COMMIT" : "ROLLBACK"}`,
        );
      }
      await run.ended;
      for (const client of clients) await client.end();
      await one.live.until(() => one.expectEqual({ "public.t": ["id"] }));
      expect(one.journal.status).toMatchObject({ partsDone: 1, problem: null });
    },
  );
});

describe("PostgreSQL 18", () => {
  const skipped = test.skipIf(postgresMissing(18) !== undefined);
  const major = 18;

  skipped("killed at any append or save: the next run goes on, and once it is done it is done", async () => {
    const one = await Past.on(
      major,
      `${table(150)}; CREATE TABLE u AS SELECT * FROM t; ALTER TABLE u ADD PRIMARY KEY (id)`,
    );
    const tables = { "public.t": ["id"], "public.u": ["id"] };
    await one.captured(tables);
    await one.lose("UPDATE t SET v = 'lost'; UPDATE u SET v = 'lost'");
    for (const at of ["append", "cursor"] as const)
      for (const done of [true, false])
        for (const call of [1, 2, 3])
          await expect(one.read(undefined, { at, call, done })).rejects.toBeInstanceOf(Crash);
    await one.read();
    await one.live.until(() => one.expectEqual(tables));
    expect(one.journal.status).toMatchObject({ parts: 2, partsDone: 2, problem: null });
    const { length } = one.journal.records;
    await one.read();
    expect(one.journal.records.length).toBe(length);
  });

  skipped("a table whose columns change while it is read is read as it is now", async () => {
    const one = await Past.on(major, table(200));
    await one.captured({ "public.t": ["id"] });
    await expect(one.read(undefined, { at: "cursor", call: 4, done: true })).rejects.toBeInstanceOf(Crash);
    await one.live.database.run(
      "ALTER TABLE t ADD COLUMN w text DEFAULT 'w'; ALTER TABLE t DROP COLUMN v; UPDATE t SET w = 'x' WHERE id = 1",
    );
    await one.live.upToDate({ "public.t": ["id"] });
    await one.read();
    await one.live.until(() => one.expectEqual({ "public.t": ["id"] }));
  });

  skipped("where live capture and the server do not fit, nothing is read", async () => {
    const one = await Past.on(major, table(3));
    const refused = { code: "interval_unavailable" };
    await expect(one.interval("updated_at", undefined, undefined).parts()).rejects.toMatchObject(refused);
    await one.captured({ "public.t": ["id"] });
    const { cursor } = one;
    for (const wrong of [
      { ...cursor, state: "creating" },
      { ...cursor, system: "1" },
      { ...cursor, database: "another" },
    ]) {
      await expect(one.interval("updated_at", undefined, wrong).parts()).rejects.toMatchObject(refused);
    }
    // A server that was restored to an earlier state.
    await one.live.stop();
    one.live.journal.cursor = { ...cursor, lsn: "FFFF/0" } as never;
    await one.read();
    expect(one.journal.records).toEqual([]);
    expect(one.journal.status).toMatchObject({
      partsFailed: 1,
      problem: expect.stringContaining("restored to an earlier state"),
    });
  });

  skipped("when versions begin anew, what was read before does not count as read", async () => {
    const one = await Past.on(major, table(60));
    await one.captured({ "public.t": ["id"] });
    await expect(one.read(undefined, { at: "cursor", call: 2, done: true })).rejects.toBeInstanceOf(Crash);
    await one.live.stop();
    one.journal.records.length = 0;
    one.live.journal.cursor = { ...one.cursor, epoch: 1 } as never;
    await one.read();
    expect(one.keys("public.t")).toHaveLength(60);
    const versions = one.journal.records.map(({ value }) => (value as unknown as ChangeValue).version);
    expect(versions.every((version) => version.startsWith("01"))).toBe(true);
  });
});
