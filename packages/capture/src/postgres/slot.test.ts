import { Client } from "pg";
import { expectEqual, TestDatabase, closeServers, sharedServer } from "./database.fixture.ts";
import { PostgresServer, postgresMissing, until } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Capturing, slotOf } from "./capturing.fixture.ts";
import { connect } from "./connect.ts";
import type { PostgresCursor } from "./cursor.ts";
import { parseLsn } from "./lsn.ts";
import { createSlot } from "./slot.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
afterEach(async () => {
  await capturing?.close();
  capturing = undefined;
});

const t = { "public.t": ["id"] };
const filled =
  "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 40) n";

async function captured(on: Capturing): Promise<Capturing> {
  capturing = on;
  on.start();
  await on.upToDate(t);
  return on;
}

const cursorOf = ({ journal }: Capturing): PostgresCursor => journal.cursor as unknown as PostgresCursor;

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const skipped = test.skipIf(postgresMissing(major) !== undefined);
  const onNewer = test.skipIf(postgresMissing(major) !== undefined || major === 10);

  skipped(
    "only what is durable is acknowledged, while nothing becomes durable status goes on, and then all of it is",
    async () => {
      // With a timeout this short the server ends a connection that says nothing.
      const on = await captured(await Capturing.on(major, filled, {}, { wal_sender_timeout: "1s" }));
      on.journal.hold();
      await on.database.run("INSERT INTO t SELECT n, repeat('x', 10000) FROM generate_series(100, 6000) n");
      // Up to its commit the server may say that nothing came: that is acknowledged, and the transaction comes again.
      const [committed] = await on.database.run("SELECT pg_current_wal_lsn()::text AS lsn");
      await on.database.run("INSERT INTO t VALUES (6001, 'y')");
      const started = performance.now();
      await on.until(() => expect(performance.now() - started).toBeGreaterThan(4_000));
      const slot = await slotOf(on);
      expect(slot["active"]).toBe(true);
      expect(parseLsn(String(slot["confirmed_flush_lsn"])) < parseLsn(String(committed?.["lsn"]))).toBe(true);
      expect(parseLsn(String(slot["confirmed_flush_lsn"])) <= parseLsn(cursorOf(on).lsn)).toBe(true);
      on.journal.release();
      await on.upToDate(t);
      const [end] = await on.database.run("SELECT pg_current_wal_lsn()::text AS lsn");
      await on.until(async () => {
        const { confirmed_flush_lsn } = await slotOf(on);
        expect(parseLsn(String(confirmed_flush_lsn)) >= parseLsn(String(end?.["lsn"]))).toBe(true);
      });
    },
  );

  skipped("an idle database: its slot moves on while another database writes", async () => {
    const on = await captured(await Capturing.on(major, filled));
    const other = await TestDatabase.create(on.database.server);
    await other.run(
      "CREATE TABLE noise (n int, x text); INSERT INTO noise SELECT n, repeat('x', 500) FROM generate_series(1, 20000) n",
    );
    await on.until(async () => {
      await other.run("INSERT INTO noise SELECT n FROM generate_series(1, 100) n; CHECKPOINT");
      expect(Number((await slotOf(on))["retained"])).toBeLessThan(1_000_000);
    });
    await other.close();
  });

  skipped(
    "a slot that was moved on by somebody else: says what is lost; onGap snapshot reads everything again, keeping what there is until then",
    async () => {
      const on = await captured(await Capturing.on(major, filled));
      await on.database.run("INSERT INTO t VALUES (41, 'the last that is captured')");
      await on.upToDate(t);
      await on.stop();
      const { lsn, at } = cursorOf(on);
      await on.database.run("UPDATE t SET v = 'lost' WHERE id < 10; DELETE FROM t WHERE id > 30");
      // What another consumer of the slot would do.
      await on.database.run(
        `SELECT count(*) FROM pg_logical_slot_get_binary_changes('${on.slot}', NULL, NULL, 'proto_version', '1', 'publication_names', '${on.slot}')`,
      );
      expect(at).not.toBeNull();
      await expect(on.start().ended).rejects.toMatchObject({
        code: "postgres_slot_ahead",
        message: expect.stringMatching(
          `was moved to [0-9A-F]+/[0-9A-F]+ without us: .* bytes of write-ahead log after ${lsn} \\(last captured: committed ${at}\\)`,
        ),
      });
      on.options = { onGap: "snapshot", snapshot: { rows: 5 } };
      const before = on.journal.records.length;
      on.start();
      await on.upToDate(t);
      const ops = on.journal.records.slice(before).map(({ value }) => value?.["op"]);
      expect(ops.indexOf("truncate")).toBeGreaterThan(ops.lastIndexOf("snapshot"));
      await on.database.run("INSERT INTO t VALUES (1000, 'after')");
      await on.upToDate(t);
    },
  );

  skipped("a slot that is gone, one that is there before the first run, one of another plugin", async () => {
    const on = await captured(await Capturing.on(major, filled));
    await on.stop();
    await on.database.run(`SELECT pg_drop_replication_slot('${on.slot}'); DELETE FROM t WHERE id = 5`);
    await expect(on.start().ended).rejects.toMatchObject({ code: "postgres_slot_missing" });
    on.options = { onGap: "snapshot" };
    on.start();
    await on.upToDate(t);
    await on.stop();
    const fresh = new Capturing(on.database, {});
    await expect(fresh.start().ended).rejects.toMatchObject({ code: "postgres_slot_exists" });
    await on.database
      .run(
        `SELECT pg_drop_replication_slot('${on.slot}'); SELECT pg_create_logical_replication_slot('${on.slot}', 'test_decoding')`,
      )
      .catch(() => undefined);
    const [slot] = await on.database.run(
      `SELECT plugin FROM pg_replication_slots WHERE slot_name = '${on.slot}'`,
    );
    if (slot?.["plugin"] === "test_decoding") {
      await expect(on.start().ended).rejects.toMatchObject({ code: "postgres_slot_foreign" });
    }
  });

  skipped(
    "somebody else reads from the slot: an error that names the process",
    async () => {
      const on = await captured(await Capturing.on(major, filled));
      const second = new Capturing(on.database, {});
      second.journal.cursor = on.journal.cursor;
      await expect(second.start().ended).rejects.toMatchObject({
        code: "postgres_slot_active",
        message: expect.stringMatching(/^Process \d+/),
      });
    },
    60_000,
  );

  skipped("creating a slot does not wait for ever for a transaction that goes on, and names it", async () => {
    const database = await TestDatabase.create(await sharedServer(major), "");
    capturing = new Capturing(database);
    const busy = new Client({ connectionString: database.url, application_name: "nightly report" });
    await busy.connect();
    await busy.query("BEGIN; CREATE TABLE x (a int)");
    const wire = await connect({ url: database.url, name: "test" });
    await expect(createSlot(wire, major * 10_000, capturing.slot, 300)).rejects.toMatchObject({
      code: "postgres_slot_wait",
      message: expect.stringContaining("nightly report"),
    });
    await busy.query("COMMIT");
    await busy.end();
    await createSlot(wire, major * 10_000, capturing.slot, 30_000);
    await wire.close();
  });

  onNewer("the slot is one that a standby can take over", async () => {
    const on = await captured(await Capturing.on(major, filled));
    expect((await slotOf(on))["failover"]).toBe(true);
  });

  skipped(
    "the url leads to another cluster: refused; with onGap snapshot all is read, newer than before",
    async () => {
      const on = await captured(await Capturing.on(major, filled));
      await on.database.run("INSERT INTO t SELECT n, repeat('x', 2000) FROM generate_series(1000, 3000) n");
      await on.upToDate(t);
      await on.stop();
      const server = await PostgresServer.start({ major });
      try {
        const database = await TestDatabase.open(server, "postgres");
        await database.run(
          "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'elsewhere'), (2000, 'elsewhere')",
        );
        const moved = new Capturing(database, { slot: on.slot });
        moved.journal.cursor = on.journal.cursor;
        moved.journal.records.push(...on.journal.records);
        await expect(moved.start().ended).rejects.toMatchObject({ code: "postgres_system_changed" });
        moved.options = { slot: on.slot, onGap: "snapshot" };
        moved.start();
        await moved.upToDate(t);
        await database.run("UPDATE t SET v = 'changed' WHERE id = 1; DELETE FROM t WHERE id = 2000");
        await moved.upToDate(t);
        await moved.stop();
        await database.client.end();
      } finally {
        await server.close();
      }
    },
  );

  skipped("the server restarts: an error, and on from there", async () => {
    const server = await PostgresServer.start({ major });
    try {
      const database = await TestDatabase.open(server, "postgres");
      await database.run(filled);
      const on = new Capturing(database);
      const run = on.start();
      await on.upToDate(t);
      await database.run("INSERT INTO t VALUES (500, 'before')");
      await database.client.end();
      await server.stop("immediate");
      await expect(run.ended).rejects.toMatchObject({ code: "postgres_unreachable" });
      await expect(on.start().ended).rejects.toMatchObject({ code: "postgres_unreachable" });
      await server.run();
      const again = await TestDatabase.open(server, "postgres");
      await again.run("INSERT INTO t VALUES (501, 'after')");
      const back = on.start();
      await until(() => expectEqual(again, on.journal.records, t), { run: back });
      await on.stop();
      await again.client.end();
    } finally {
      await server.close();
    }
  });
});

test.skipIf(postgresMissing(18) !== undefined)(
  "a slot that the server gave up: a warning with an estimate at half of the budget, then everything is read again by itself",
  async () => {
    const server = await PostgresServer.start({
      major: 18,
      settings: { max_slot_wal_keep_size: "48MB", min_wal_size: "32MB", max_wal_size: "32MB" },
    });
    try {
      const database = await TestDatabase.open(server, "postgres");
      await database.run(`${filled}; CREATE TABLE noise (x text)`);
      const on = new Capturing(database);
      on.start();
      await on.upToDate(t);
      on.journal.hold();
      await database.run("UPDATE t SET v = 'held back' WHERE id = 1");
      const noise = "INSERT INTO noise SELECT repeat('x', 1000) FROM generate_series(1, 2000)";
      await on.until(async () => {
        await database.run(noise);
        expect(on.journal.said("of the write-ahead log that max_slot_wal_keep_size allows it")).toBe(true);
      });
      expect(on.journal.messages.find(({ message }) => message.includes("loses it in"))).toBeDefined();
      await until(async () => {
        await database.run(`${noise}; SELECT pg_switch_wal(); CHECKPOINT`);
        expect(await slotOf(on)).toMatchObject({ wal_status: "lost" });
      });
      await database.run("DELETE FROM t WHERE id > 20");
      on.journal.release();
      await on.stop().catch(() => undefined);
      on.start();
      await on.upToDate(t);
      expect(on.journal.said("The server gave up the replication slot")).toBe(true);
      await database.run("INSERT INTO t VALUES (900, 'after')");
      await on.upToDate(t);
      await on.stop();
      await database.client.end();
    } finally {
      await server.close();
    }
  },
);
