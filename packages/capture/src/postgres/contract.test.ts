import { captureContract, postgresMissing } from "@weir/testkit";
import type { PostgresMajor, Subject } from "@weir/testkit";
import { afterAll, describe, test } from "vitest";
import { TestDatabase, closeServers, expectEqual, sharedServer } from "./database.fixture.ts";
import { createPostgresCapture } from "./postgres-capture.ts";
import { postgres } from "./source.ts";

afterAll(closeServers);

const tables = { "public.orders": ["id"], "shop.items": ["order_id", "sku"] };

async function start(major: PostgresMajor): Promise<Subject> {
  const database = await TestDatabase.create(await sharedServer(major));
  await database.run(`
    CREATE TABLE orders (id bigint PRIMARY KEY, note text, total numeric(12, 2), at timestamptz, long text);
    CREATE SCHEMA shop;
    CREATE TABLE shop.items (order_id bigint, sku text, quantity int, PRIMARY KEY (order_id, sku));
    ALTER TABLE orders ALTER COLUMN long SET STORAGE EXTERNAL;
    INSERT INTO orders SELECT n, 'order ' || n, n / 7.0, timestamptz '2026-01-01' + n * interval '1 s', repeat('x', 3000) || n
    FROM generate_series(1, 50) n;
    INSERT INTO shop.items SELECT n, 'sku-' || m, m FROM generate_series(1, 50) n, generate_series(1, 3) m`);
  const spec = postgres({
    url: database.url,
    tables: ["public.*", "shop.*"],
    slot: `slot_${database.name}`,
    heartbeat: 200,
    snapshot: { rows: 20 },
  });
  let changes = 0;
  return {
    source: "db",
    capture: () => createPostgresCapture(spec, { source: "db" }),
    change: async () => {
      const n = 1000 * ++changes;
      await database.run(`
        INSERT INTO orders SELECT ${n} + g, 'new', g, now(), repeat('y', 3000) || g FROM generate_series(1, 10) g;
        UPDATE orders SET note = 'changed ${n}' WHERE id % 5 = ${changes % 5};
        UPDATE orders SET id = id + 1000000 WHERE id = ${n + 1};
        DELETE FROM orders WHERE id = ${n + 2};
        DELETE FROM shop.items WHERE order_id = ${changes};
        INSERT INTO shop.items VALUES (${n}, E'a "quoted"\\n\\tkey \\\\ ü', ${n})`);
    },
    fill: async (records) => {
      await database.run(
        `INSERT INTO orders (id, note) SELECT n, repeat('fill', 500) FROM generate_series(1000000, ${1000000 + records}) n`,
      );
    },
    verify: (records) => expectEqual(database, records, tables),
    disturb: async () => {
      await database.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'weir%' AND datname = current_database()",
      );
    },
    close: () => database.close(),
  };
}

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const missing = postgresMissing(major);
  if (missing !== undefined) return test.skip(`skipped: ${missing}`, () => {});
  for (const { title, run } of captureContract(() => start(major), {
    mostWaiting: 15_000,
    fill: 20_000,
    ...(major === 10 ? { crashCalls: [2] } : {}),
    spoils: false,
  })) {
    test(title, run);
  }
});
