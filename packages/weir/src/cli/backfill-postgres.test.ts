/** A past interval of a PostgreSQL table through the command, while an instance captures it. */

import { PostgresServer, postgresMissing } from "@weir/testkit";
import { Pool } from "pg";
import { afterEach, expect, onTestFinished, test } from "vitest";
import { Sandbox, until } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

const noPostgres = postgresMissing(18) !== undefined;

test.skipIf(noPostgres)(
  "rows of a PostgreSQL table whose column is in an interval, while it is captured",
  async () => {
    const server = await PostgresServer.start();
    onTestFinished(() => server.close());
    const pool = new Pool({ connectionString: server.url(), max: 1 });
    onTestFinished(() => pool.end());
    await pool.query(
      "CREATE TABLE orders (id int PRIMARY KEY, status text, updated_at timestamptz); INSERT INTO orders SELECT n, 'open', timestamptz '2026-01-01Z' + n * interval '1 day' FROM generate_series(1, 59) n",
    );
    sandbox = new Sandbox({
      "weir.config.ts": `
import { Type, defineProject, entity, postgres } from "weir";
export default defineProject({
  name: "shop",
  sources: { db: postgres({ url: "${server.url()}", tables: ["public.*"] }) },
  tables: { orders: entity({ from: "db.public.orders", key: "id", columns: { id: Type.Integer(), status: Type.String() } }) },
});
`,
    });
    const january = ["--from", "2026-01-01", "--to", "2026-02-01", "--column", "updated_at"];
    const instance = await sandbox.up();
    await until(() => instance.file().processes.some(({ status }) => status?.["state"] === "streaming"));
    await until(async () => (await sandbox.rows("SELECT count(*)::INTEGER FROM orders"))[0]?.[0] === 59);
    expect(await sandbox.json(["backfill", "db", ...january.slice(0, 4)])).toMatchObject({
      error: { code: "invalid_usage", remedy: expect.stringContaining("--column") },
    });
    expect(await sandbox.json(["backfill", "db", ...january, "--plan"])).toMatchObject({
      value: {
        unit: "tables",
        column: "updated_at",
        found: [{ name: "public.orders", rows: expect.any(Number) }],
      },
    });
    const running = sandbox.json(["backfill", "db", ...january, "--tables", "public.ord*"]);
    await pool.query("UPDATE orders SET status = 'paid' WHERE id <= 5");
    expect(await running).toMatchObject({ code: 0, value: { state: "done", partsDone: 1, rows: 30 } });
    await until(
      async () =>
        (await sandbox.rows("SELECT count(*)::INTEGER FROM orders WHERE status = 'paid'"))[0]?.[0] === 5,
    );
    expect(await sandbox.rows("SELECT count(*)::INTEGER FROM orders")).toEqual([[59]]);
  },
);
