import { postgresMissing } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Capturing } from "./capturing.fixture.ts";
import type { ChangeValue } from "./capturing.fixture.ts";
import { closeServers } from "./database.fixture.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
afterEach(async () => {
  await capturing?.close();
  capturing = undefined;
});

/** Captures what exists, and returns what came after. */
async function after(on: Capturing, tables: Record<string, string[]>, sql: string): Promise<ChangeValue[]> {
  capturing = on;
  on.start();
  await on.upToDate(tables);
  const [stream = ""] = Object.keys(tables);
  const before = on.changes(stream).length;
  await on.database.run(sql);
  await on.upToDate(tables);
  return on.changes(stream).slice(before);
}

const brief = (changes: readonly ChangeValue[]): unknown[] =>
  changes.map(({ op, key, row, unknown }) => [
    op,
    key,
    row === null ? null : Object.keys(row),
    unknown ?? [],
  ]);

const big = (letter: string): string => `repeat('${letter}', 9000)`;
const toasted = `CREATE TABLE t (id int PRIMARY KEY, n int, long text, other text);
  ALTER TABLE t ALTER COLUMN long SET STORAGE EXTERNAL; ALTER TABLE t ALTER COLUMN other SET STORAGE EXTERNAL;
  INSERT INTO t VALUES (1, 1, ${big("a")}, ${big("b")}), (2, 1, ${big("c")}, 'short')`;
const t = { "public.t": ["id"] };

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const skipped = test.skipIf(postgresMissing(major) !== undefined);

  skipped("an unchanged TOAST column is unknown, not NULL and not missing", async () => {
    const changes = await after(
      await Capturing.on(major, toasted),
      t,
      `UPDATE t SET n = 2 WHERE id = 1; UPDATE t SET n = 3, other = NULL WHERE id = 1; UPDATE t SET n = 2 WHERE id = 2`,
    );
    expect(brief(changes)).toEqual([
      ["update", '["1"]', ["id", "n"], ["long", "other"]],
      ["update", '["1"]', ["id", "n", "other"], ["long"]],
      ["update", '["2"]', ["id", "n", "other"], ["long"]],
    ]);
  });

  skipped(
    "a change of key is a delete and an insert; what the stream leaves out is read from the table",
    async () => {
      const changes = await after(
        await Capturing.on(major, toasted),
        t,
        "BEGIN; UPDATE t SET id = 10 WHERE id = 1; UPDATE t SET id = 20 WHERE id = 2; COMMIT",
      );
      expect(brief(changes)).toEqual([
        ["delete", '["1"]', ["id"], []],
        ["insert", '["10"]', ["id", "n"], ["long", "other"]],
        ["delete", '["2"]', ["id"], []],
        ["insert", '["20"]', ["id", "n", "other"], ["long"]],
        ["update", '["10"]', ["id", "long", "other"], ["n"]],
        ["update", '["20"]', ["id", "long"], ["n", "other"]],
      ]);
      const versions = changes.map(({ version }) => version);
      expect(versions[4]?.startsWith(`${versions[1]?.slice(0, 17)}`)).toBe(true);
      expect([...versions].sort()).toEqual([
        versions[0],
        versions[1],
        versions[4],
        versions[2],
        versions[3],
        versions[5],
      ]);
    },
  );

  skipped("a key that changes twice, to a row that is gone, and many at once", async () => {
    const on = await Capturing.on(
      major,
      `${toasted}; INSERT INTO t SELECT n, n, ${big("z")} || n, NULL FROM generate_series(100, 700) n`,
    );
    await after(
      on,
      t,
      `UPDATE t SET id = 10 WHERE id = 1; UPDATE t SET id = 11 WHERE id = 10; UPDATE t SET id = 30 WHERE id = 2; DELETE FROM t WHERE id = 30;
       UPDATE t SET id = id + 1000 WHERE id >= 100`,
    );
  });

  skipped("replica identity FULL: the old row holds what the new one leaves out", async () => {
    const changes = await after(
      await Capturing.on(major, `${toasted}; ALTER TABLE t REPLICA IDENTITY FULL`),
      t,
      "UPDATE t SET n = 5 WHERE id = 1; UPDATE t SET id = 9 WHERE id = 2; DELETE FROM t WHERE id = 1",
    );
    expect(brief(changes)).toEqual([
      ["update", '["1"]', ["id", "n", "long", "other"], []],
      ["delete", '["2"]', ["id"], []],
      ["insert", '["9"]', ["id", "n", "long", "other"], []],
      ["delete", '["1"]', ["id"], []],
    ]);
  });

  skipped("a key that is itself stored out of line", async () => {
    const key = (letter: string): string => `repeat('${letter}', 2400)`;
    const changes = await after(
      await Capturing.on(
        major,
        `CREATE TABLE t (id text PRIMARY KEY, n int, x text); ALTER TABLE t ALTER COLUMN id SET STORAGE EXTERNAL;
         INSERT INTO t VALUES (${key("a")}, 1, 'x'), (${key("b")}, 2, 'x')`,
      ),
      t,
      `UPDATE t SET n = 3; DELETE FROM t WHERE id = ${key("b")}`,
    );
    expect(changes.map(({ op }) => op)).toEqual(["update", "update", "delete"]);
    expect(changes[0]?.row?.["id"]).toHaveLength(2400);
  });

  skipped("replica identity by an index, and changed while streaming", async () => {
    const on = await Capturing.on(
      major,
      `CREATE TABLE t (id int, code text NOT NULL, n int); CREATE UNIQUE INDEX codes ON t (code); ALTER TABLE t REPLICA IDENTITY USING INDEX codes;
       INSERT INTO t SELECT n, 'code ' || n, n FROM generate_series(1, 30) n`,
      { snapshot: { rows: 7 } },
    );
    const changes = await after(
      on,
      { "public.t": ["code"] },
      "UPDATE t SET n = 0 WHERE id < 3; UPDATE t SET code = 'changed' WHERE id = 5; DELETE FROM t WHERE id = 6",
    );
    expect(brief(changes).slice(2)).toEqual([
      ["delete", '["code 5"]', ["code"], []],
      ["insert", '["changed"]', ["id", "code", "n"], []],
      ["delete", '["code 6"]', ["code"], []],
    ]);
    await on.database.run("ALTER TABLE t ADD PRIMARY KEY (id); ALTER TABLE t REPLICA IDENTITY DEFAULT");
    await on.database.run("UPDATE t SET n = -1 WHERE id > 20; DELETE FROM t WHERE id = 29");
    await on.upToDate({ "public.t": ["id"] });
    await on.database.run("ALTER TABLE t REPLICA IDENTITY FULL");
    await on.database.run("UPDATE t SET n = -2 WHERE id > 22; UPDATE t SET id = 99 WHERE id = 1");
    await on.upToDate({ "public.t": ["id"] });
  });

  skipped(
    "a table without a key is not published, so that its users can go on; one with FULL is captured whole row by whole row",
    async () => {
      const on = await Capturing.on(
        major,
        `CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE loose (a int, b text); INSERT INTO loose VALUES (1, 'x');
       CREATE TABLE bag (a int, b text); ALTER TABLE bag REPLICA IDENTITY FULL; INSERT INTO bag VALUES (1, 'x'), (2, NULL)`,
      );
      capturing = on;
      on.start();
      await on.upToDate({ "public.t": ["id"], "public.bag": ["a", "b"] });
      await on.database.run(
        "UPDATE loose SET b = 'y'; DELETE FROM loose; UPDATE bag SET b = 'z' WHERE a = 2; DELETE FROM bag WHERE a = 1",
      );
      await on.upToDate({ "public.bag": ["a", "b"] });
      expect(on.changes("public.loose")).toEqual([]);
      expect(on.journal.said("public.loose is not captured")).toBe(true);
      const findings = await on.capture.check();
      expect(
        findings.map(({ severity, code, message }) => [severity, code, message.split(" ")[0]]),
      ).toContainEqual(["error", "postgres_table_without_key", "public.loose"]);
    },
  );

  skipped(
    "a table that loses its key is taken out of the publication, and read again once it has one",
    async () => {
      const on = await Capturing.on(
        major,
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 1), (2, 2)",
      );
      capturing = on;
      on.start();
      await on.upToDate(t);
      await on.database.run("ALTER TABLE t DROP CONSTRAINT t_pkey");
      await on.until(async () => {
        // As long as it is published the server refuses.
        await on.database.run("UPDATE t SET n = 5 WHERE id = 1");
      });
      await on.database.run("DELETE FROM t WHERE id = 2");
      await on.database.run("ALTER TABLE t ADD PRIMARY KEY (id)");
      await on.upToDate(t);
    },
  );

  skipped(
    "a version orders changes within a transaction and between them, and an id names one change",
    async () => {
      const on = await Capturing.on(
        major,
        "CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0)",
      );
      const changes = await after(
        on,
        t,
        `BEGIN; ${Array.from({ length: 40 }, (_, i) => `UPDATE t SET n = ${i}`).join("; ")}; COMMIT; UPDATE t SET n = 100; DELETE FROM t; INSERT INTO t VALUES (1, 7)`,
      );
      const versions = changes.map(({ version }) => version);
      expect(versions).toHaveLength(43);
      expect([...versions].sort()).toEqual(versions);
      expect(new Set(changes.map(({ id }) => id)).size).toBe(43);
      for (const version of versions) expect(version).toMatch(/^[0-9a-f]{16}-[0-9a-f]{8}$/);
    },
  );
});
