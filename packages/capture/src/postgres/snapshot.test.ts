import { Client } from "pg";
import { postgresMissing, until } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Capturing } from "./capturing.fixture.ts";
import type { PostgresCursor } from "./cursor.ts";
import { closeServers } from "./database.fixture.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
afterEach(async () => {
  await capturing?.close();
  capturing = undefined;
});

/** Whether a row of the key columns b and a comes behind a key of a and b, in the order of a and b. */
function isBehind(key: string, [a, b]: readonly string[]): boolean {
  if (a === undefined || b === undefined) return true;
  const [rowB = "", rowA = ""] = JSON.parse(key) as string[];
  return Number(rowA) === Number(a) ? rowB > b : Number(rowA) > Number(a);
}

const snapshots = (on: Capturing, stream: string): string[] =>
  on.changes(stream).flatMap(({ op, key }) => (op === "snapshot" ? [key] : []));

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const skipped = test.skipIf(postgresMissing(major) !== undefined);

  skipped("killed while a table is read: the next run goes on behind the chunk that was saved", async () => {
    capturing = await Capturing.on(
      major,
      "CREATE TABLE t (b text, a int, v text, PRIMARY KEY (a, b)); INSERT INTO t SELECT 'b' || n % 7, n / 7, 'v' FROM generate_series(1, 3000) n",
      { snapshot: { rows: 5, connections: 1 } },
    );
    const chunksOf = capturing;
    let kills = 0;
    let behind: readonly string[] = [];
    for (;;) {
      const before = chunksOf.changes("public.t").length;
      // A position is saved four times a second while chunks are read; the process is gone right after the third.
      const run = chunksOf.start({ at: "cursor", call: 3, done: true });
      await Promise.race([
        run.ended.catch(() => undefined),
        until(() => expect(chunksOf.journal.status).toMatchObject({ state: "streaming" }), { run }).catch(
          () => undefined,
        ),
      ]);
      for (const { op, key } of chunksOf.changes("public.t").slice(before)) {
        if (op === "snapshot") expect(isBehind(key, behind), `${key} behind ${behind.join()}`).toBe(true);
      }
      if (!run.crashed) break;
      const { tables } = chunksOf.journal.cursor as unknown as PostgresCursor;
      behind = tables["public.t"]?.read?.after ?? behind;
      await chunksOf.database.run(
        `UPDATE t SET v = 'run ${kills}' WHERE a % 50 = ${kills}; DELETE FROM t WHERE a = ${400 - kills}`,
      );
      kills += 1;
    }
    await capturing.upToDate({ "public.t": ["b", "a"] });
    expect(kills).toBeGreaterThan(1);
    expect(behind).toHaveLength(2);
  });

  skipped("150 tables at once, written to while they are read", async () => {
    const names = Array.from({ length: 150 }, (_, i) => `t${i}`);
    capturing = await Capturing.on(
      major,
      names
        .map(
          (name, i) =>
            `CREATE TABLE ${name} (id int PRIMARY KEY, v text); INSERT INTO ${name} SELECT n, 'x' FROM generate_series(1, ${i % 20}) n`,
        )
        .join("; "),
      { snapshot: { connections: 4 } },
    );
    capturing.start();
    for (const name of names) {
      await capturing.database.run(
        `UPDATE ${name} SET v = 'y' WHERE id = 1; INSERT INTO ${name} VALUES (100, 'new'); DELETE FROM ${name} WHERE id = 2`,
      );
    }
    await capturing.upToDate(Object.fromEntries(names.map((name) => [`public.${name}`, ["id"]])));
    expect(capturing.journal.status).toMatchObject({ tables: 150 });
    await capturing.until(() =>
      expect(capturing?.journal.status).toMatchObject({ state: "streaming", tablesToRead: 0 }),
    );
  });

  skipped(
    "transactions that were open when the slot began, and when a table was added, are whole",
    async () => {
      capturing = await Capturing.on(
        major,
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY); INSERT INTO b VALUES (1)",
        {
          tables: ["public.a"],
        },
      );
      const open = new Client({ connectionString: capturing.database.url });
      await open.connect();
      // It holds the beginning up: the server waits for it before a slot is ready.
      await open.query("BEGIN; INSERT INTO a VALUES (1)");
      capturing.start();
      await capturing.until(async () => {
        const [row] = await (capturing as Capturing).database.run(
          "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        );
        expect(row?.["n"]).toBeGreaterThan(0);
      });
      await open.query("INSERT INTO a VALUES (2); COMMIT");
      await capturing.upToDate({ "public.a": ["id"] });
      await capturing.stop();
      await open.query("BEGIN; INSERT INTO b VALUES (2); INSERT INTO a VALUES (3)");
      capturing.options = { tables: ["public.*"] };
      capturing.start();
      await capturing.until(() => expect(capturing?.journal.status).toMatchObject({ tablesToRead: 1 }));
      await capturing.database.run("INSERT INTO b VALUES (10)");
      await open.query(
        "INSERT INTO b VALUES (3); DELETE FROM b WHERE id = 1; COMMIT; INSERT INTO b VALUES (4)",
      );
      await open.end();
      await capturing.upToDate({ "public.a": ["id"], "public.b": ["id"] });
      await capturing.database.run("INSERT INTO b VALUES (11)");
      await capturing.upToDate({ "public.b": ["id"] });
    },
  );

  skipped("a key whose type has an order of its own is read in that order", async () => {
    capturing = await Capturing.on(
      major,
      `CREATE SCHEMA ext; CREATE TYPE ext.backward AS (n int);
       ${["lt >", "le >=", "eq =", "ge <=", "gt <"]
         .map((pair) => {
           const [name, sign] = pair.split(" ");
           return `CREATE FUNCTION ext.${name}(a ext.backward, b ext.backward) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT (a).n ${sign} (b).n'`;
         })
         .join("; ")};
       CREATE FUNCTION ext.cmp(a ext.backward, b ext.backward) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT sign((b).n - (a).n)::int';
       CREATE OPERATOR ext.< (LEFTARG = ext.backward, RIGHTARG = ext.backward, FUNCTION = ext.lt);
       CREATE OPERATOR ext.<= (LEFTARG = ext.backward, RIGHTARG = ext.backward, FUNCTION = ext.le);
       CREATE OPERATOR ext.= (LEFTARG = ext.backward, RIGHTARG = ext.backward, FUNCTION = ext.eq);
       CREATE OPERATOR ext.>= (LEFTARG = ext.backward, RIGHTARG = ext.backward, FUNCTION = ext.ge);
       CREATE OPERATOR ext.> (LEFTARG = ext.backward, RIGHTARG = ext.backward, FUNCTION = ext.gt);
       CREATE OPERATOR CLASS ext.backward_ops DEFAULT FOR TYPE ext.backward USING btree AS
         OPERATOR 1 ext.<, OPERATOR 2 ext.<=, OPERATOR 3 ext.=, OPERATOR 4 ext.>=, OPERATOR 5 ext.>, FUNCTION 1 ext.cmp(ext.backward, ext.backward);
       CREATE TABLE t (k ext.backward, m int, PRIMARY KEY (k, m)); INSERT INTO t SELECT ROW(n / 3)::ext.backward, n % 3 FROM generate_series(1, 200) n`.replaceAll(
        "FUNCTION = ext",
        "PROCEDURE = ext",
      ),
      { snapshot: { rows: 17 } },
    );
    capturing.start();
    await capturing.upToDate({ "public.t": ["k", "m"] });
    expect(snapshots(capturing, "public.t")).toHaveLength(200);
  });

  skipped("bytes that are no text go to quarantine, with all that came with them", async () => {
    capturing = await Capturing.on(major, "");
    await capturing.close();
    const { TestDatabase, sharedServer } = await import("./database.fixture.ts");
    const database = await TestDatabase.create(
      await sharedServer(major),
      "ENCODING 'SQL_ASCII' TEMPLATE template0",
    );
    capturing = new Capturing(database);
    await database.run(
      "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'ok'), (2, E'\\xff'), (3, 'ü')",
    );
    capturing.start();
    await capturing.until(() =>
      expect(snapshots(capturing as Capturing, "public.t")).toEqual(['["1"]', '["3"]']),
    );
    await database.run("UPDATE t SET v = E'\\xfeA' WHERE id = 1; UPDATE t SET v = 'ok now' WHERE id = 2");
    await capturing.until(() =>
      expect(capturing?.changes("public.t").at(-1)?.row).toEqual({ id: "2", v: "ok now" }),
    );
    const bad = capturing.journal.records.filter(({ error }) => error !== undefined);
    expect(bad.map(({ error, detail }) => [error, detail])).toEqual([
      ["invalid_utf8", "public.t: a row with bytes that are not UTF-8"],
      ["invalid_utf8", "public.t: update with bytes in v that are not UTF-8"],
    ]);
    expect(Buffer.from(bad[0]?.bytes ?? [])).toEqual(Buffer.from([0x32, 0x09, 0xff, 0x0a]));
    expect(Buffer.from(bad[1]?.bytes ?? []).includes(Buffer.from([0xfe, 0x41]))).toBe(true);
  });

  skipped("a value too large for a record is left out, and said to be", async () => {
    capturing = await Capturing.on(
      major,
      "CREATE TABLE t (id int PRIMARY KEY, v text, w text); INSERT INTO t VALUES (1, repeat('x', 9000000), 'small')",
    );
    capturing.start();
    await capturing.until(() => expect(snapshots(capturing as Capturing, "public.t")).toEqual(['["1"]']));
    await capturing.database.run(
      "INSERT INTO t VALUES (2, repeat('y', 9000000), repeat(E'\\u0001', 1600000)), (3, repeat('y', 7000000), 'fits')",
    );
    await capturing.until(() => expect(capturing?.changes("public.t").at(-1)?.key).toBe('["3"]'));
    const rows = capturing.changes("public.t").filter(({ op }) => op !== "schema");
    expect(rows.map(({ row, unknown }) => [Object.keys(row ?? {}), unknown])).toEqual([
      [["id", "w"], ["v"]],
      [["id"], ["v", "w"]],
      [["id", "v", "w"], undefined],
    ]);
    expect(
      capturing.journal.records.flatMap(({ error, detail }) => (error === undefined ? [] : [detail])),
    ).toEqual([
      "public.t: values of v are left out of a row",
      "public.t: values of w, v are left out of a row",
    ]);
  });
});
