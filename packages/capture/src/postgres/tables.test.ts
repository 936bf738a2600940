import { postgresMissing } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Capturing } from "./capturing.fixture.ts";
import { closeServers } from "./database.fixture.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
afterEach(async () => {
  await capturing?.close();
  capturing = undefined;
});

const ops = (on: Capturing, stream: string): string[] => on.changes(stream).map(({ op }) => op);

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const skipped = test.skipIf(postgresMissing(major) !== undefined);
  const onNewer = test.skipIf(postgresMissing(major) !== undefined || major === 10);

  async function start(
    sql: string,
    options: ConstructorParameters<typeof Capturing>[1] = {},
  ): Promise<Capturing> {
    capturing = await Capturing.on(major, sql, options);
    capturing.start();
    return capturing;
  }

  skipped("TRUNCATE: every row is gone, and what comes after stays", async () => {
    const on = await start(
      "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 50); INSERT INTO b SELECT generate_series(1, 50)",
    );
    const tables = { "public.a": ["id"], "public.b": ["id"] };
    await on.upToDate(tables);
    await on.database.run("TRUNCATE a, b; INSERT INTO a VALUES (7)");
    await on.upToDate(tables);
    expect(ops(on, "public.b")).toContain("truncate");
  });

  skipped("partitions are their table: rows move between them, they come, go and are truncated", async () => {
    const pk = major === 10 ? "" : ", PRIMARY KEY (id)";
    const own = major === 10 ? "(PRIMARY KEY (id))" : "";
    const on = await start(
      `CREATE TABLE t (id int, v text${pk}) PARTITION BY RANGE (id);
       CREATE TABLE low PARTITION OF t ${own} FOR VALUES FROM (0) TO (100); CREATE TABLE high PARTITION OF t ${own} FOR VALUES FROM (100) TO (200);
       INSERT INTO t SELECT n, 'v' FROM generate_series(0, 199, 3) n`,
      { snapshot: { rows: 10 } },
    );
    const tables = { "public.t": ["id"] };
    await on.upToDate(tables);
    if (major > 10) await on.database.run("UPDATE t SET id = 152 WHERE id = 3");
    await on.database.run(
      "UPDATE t SET v = 'changed' WHERE id % 2 = 0; DELETE FROM low WHERE id = 9; INSERT INTO high VALUES (151, 'direct')",
    );
    await on.upToDate(tables);
    expect(on.journal.records.map(({ value }) => value?.["stream"])).not.toContain("public.low");
    await on.database.run(`
      CREATE TABLE more (id int NOT NULL, v text, PRIMARY KEY (id)); INSERT INTO more VALUES (250, 'was there before');
      ALTER TABLE t ATTACH PARTITION more FOR VALUES FROM (200) TO (300); INSERT INTO t VALUES (260, 'after')`);
    await on.upToDate(tables);
    await on.database.run("TRUNCATE low");
    await on.upToDate(tables);
    await on.database.run("ALTER TABLE t DETACH PARTITION high; INSERT INTO t VALUES (270, 'x')");
    await on.upToDate({ ...tables, "public.high": ["id"] });
    await on.database.run("TRUNCATE t");
    await on.upToDate(tables);
  });

  skipped("changes of definitions: what no row event tells of is read", async () => {
    const on = await start(
      "CREATE TABLE t (id int PRIMARY KEY, a text, b int); INSERT INTO t SELECT n, 'a' || n, n FROM generate_series(1, 20) n",
      { snapshot: { rows: 6 } },
    );
    const tables = { "public.t": ["id"] };
    await on.upToDate(tables);
    for (const sql of [
      "ALTER TABLE t ADD COLUMN c int DEFAULT 5",
      "ALTER TABLE t ADD COLUMN d text DEFAULT md5(random()::text)",
      "ALTER TABLE t ADD COLUMN e text; UPDATE t SET e = 'e' WHERE id < 5",
      "ALTER TABLE t ALTER COLUMN b TYPE numeric(10, 2) USING b / 3.0",
      "ALTER TABLE t ALTER COLUMN a TYPE text USING upper(a) || '!'",
      'ALTER TABLE t RENAME COLUMN a TO "A name"',
      "ALTER TABLE t DROP COLUMN b",
      "ALTER TABLE t DROP COLUMN c; ALTER TABLE t ADD COLUMN c text DEFAULT 'another'",
      "BEGIN; UPDATE t SET e = 'before'; ALTER TABLE t ADD COLUMN f date DEFAULT '2026-11-21'; UPDATE t SET e = 'after' WHERE id < 3; COMMIT",
    ]) {
      await on.database.run(sql);
      await on.upToDate(tables);
    }
    const reads = on.journal.messages.filter(({ message }) => message.includes("is read again"));
    expect(reads.length).toBeLessThan(12);
    await on.database.run(
      "ALTER TABLE t ALTER COLUMN e SET STATISTICS 500; UPDATE t SET e = 'x'; COMMENT ON TABLE t IS 'x'; CREATE INDEX ON t (e)",
    );
    await on.database.run("VACUUM t");
    const before = reads.length;
    await on.upToDate(tables);
    expect(on.journal.messages.filter(({ message }) => message.includes("is read again"))).toHaveLength(
      before,
    );
  });

  skipped("tables that are made, renamed, replaced and dropped while streaming", async () => {
    const on = await start("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one')");
    await on.upToDate({ "public.t": ["id"] });
    await on.database.run(
      "CREATE TABLE late (id int PRIMARY KEY, v text); INSERT INTO late SELECT n, 'late' FROM generate_series(1, 100) n",
    );
    await on.upToDate({ "public.late": ["id"] });
    await on.database.run(
      "UPDATE late SET v = 'changed' WHERE id < 10; ALTER TABLE late RENAME TO later; UPDATE later SET v = 'renamed' WHERE id = 50",
    );
    await on.upToDate({ "public.later": ["id"] });
    await on.database.run(`
      BEGIN; ALTER TABLE t RENAME TO t_old; CREATE TABLE t (id bigint PRIMARY KEY, w text); INSERT INTO t VALUES (5, 'five'); COMMIT;
      DROP TABLE t_old; DROP TABLE later`);
    await on.upToDate({ "public.t": ["id"] });
    await on.until(() => {
      expect(ops(on, "public.late").at(-1)).toBe("truncate");
      expect(ops(on, "public.later").at(-1)).toBe("truncate");
    });
  });

  skipped(
    "the list of tables changes between runs: new ones are read while the others stream, others are left",
    async () => {
      const on = await start(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, v text); INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 'x'), (2, 'x')",
        { tables: ["public.a"] },
      );
      await on.upToDate({ "public.a": ["id"] });
      expect(ops(on, "public.b")).toEqual([]);
      await on.stop();
      on.options = { tables: ["public.?"] };
      on.start();
      await on.database.run("INSERT INTO a VALUES (2); UPDATE b SET v = 'y' WHERE id = 2");
      await on.upToDate({ "public.a": ["id"], "public.b": ["id"] });
      await on.stop();
      on.options = { tables: ["public.*", "!public.a"] };
      on.start();
      await on.database.run("INSERT INTO a VALUES (3); INSERT INTO b VALUES (3, 'z')");
      await on.upToDate({ "public.b": ["id"] });
      expect(ops(on, "public.a")).not.toContain("truncate");
      expect(on.changes("public.a").map(({ key }) => key)).not.toContain('["3"]');
      await on.database.run("DELETE FROM a WHERE id = 1; DELETE FROM b WHERE id = 1");
      await on.stop();
      on.options = { tables: ["public.*"] };
      on.start();
      await on.upToDate({ "public.a": ["id"], "public.b": ["id"] });
    },
  );

  skipped("names of any kind, and children of tables by inheritance on their own", async () => {
    const on = await start(
      `CREATE SCHEMA "A b.c"; CREATE TABLE "A b.c"."T""x" ("I d" int PRIMARY KEY, "__proto__" text, "1" int); INSERT INTO "A b.c"."T""x" VALUES (1, 'p', 1);
       CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent); INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)`,
      { tables: ["A b?c.*", "public.*"] },
    );
    await on.until(() => expect(ops(on, 'A b.c.T"x')).toEqual(["schema", "snapshot"]));
    await on.database.run(`UPDATE "A b.c"."T""x" SET "1" = 2; INSERT INTO child VALUES (3)`);
    await on.until(() => {
      expect(JSON.stringify(on.changes('A b.c.T"x').at(-1)?.row)).toBe('{"1":"2","I d":"1","__proto__":"p"}');
      const keys = new Set(on.changes("public.child").map(({ key }) => key));
      expect(keys).toEqual(new Set(["[]", '["2"]', '["3"]']));
      expect(on.changes("public.parent").map(({ key }) => key)).toEqual(["[]", '["1"]']);
    });
  });

  onNewer(
    "generated columns: stored ones are captured, others are not; column lists and row filters of a publication that was there",
    async () => {
      const on = await Capturing.on(
        major,
        `CREATE TABLE t (id int PRIMARY KEY, a int, s int GENERATED ALWAYS AS (a * 2) STORED, v int GENERATED ALWAYS AS (a * 3) VIRTUAL);
       INSERT INTO t VALUES (1, 1); CREATE TABLE f (id int PRIMARY KEY, a int, secret text); INSERT INTO f VALUES (1, 1, 's'), (2, -1, 's')`,
        { tables: ["public.t"] },
      );
      capturing = on;
      on.start();
      await on.upToDate({ "public.t": ["id"] });
      await on.database.run("UPDATE t SET a = 5");
      await on.upToDate({ "public.t": ["id"] });
      expect(on.changes("public.t").at(-1)?.row).toEqual({ id: "1", a: "5", s: "10" });
      await on.stop();
      await on.database.run(
        "CREATE PUBLICATION mine FOR TABLE f (id, a) WHERE (a > 0), t WITH (publish_generated_columns = stored)",
      );
      on.options = { tables: ["public.f", "public.t"], publication: "mine" };
      on.start();
      await on.database.run("INSERT INTO f VALUES (3, 3, 's'), (4, -4, 's')");
      await on.until(() => {
        const rows = on
          .changes("public.f")
          .flatMap(({ op, row }) => (op === "schema" || row === null ? [] : [row]));
        expect(new Set(rows.map((row) => JSON.stringify(row)))).toEqual(
          new Set(['{"id":"1","a":"1"}', '{"id":"3","a":"3"}']),
        );
      });
    },
  );
});
