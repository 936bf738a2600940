import { setTimeout as sleep } from "node:timers/promises";
import { PostgresServer } from "@weir/testkit";
import { Pool } from "pg";
import { query, withWeir } from "./instance.ts";

export interface CaptureBenchOptions {
  readonly below: string;
  /** Rows that the table has before Weir starts; about 200 bytes each. */
  readonly rows: number;
  /** Updates after that, in transactions of 100. */
  readonly changes: number;
}

/** Rates from the start until every row, or change, shows in an entity; the database on the same machine. */
export interface CaptureBenchResult {
  readonly snapshotRowsPerSecond: number;
  /** Until the capture had them in the log. */
  readonly snapshotReadRowsPerSecond: number;
  readonly changesPerSecond: number;
  /** How fast the database alone made the changes, with Weir at work beside it. */
  readonly changesMadePerSecond: number;
}

/** A snapshot and a stream of changes of a real PostgreSQL, through `weir up`, into an entity. */
export async function benchCapture(options: CaptureBenchOptions): Promise<CaptureBenchResult> {
  const server = await PostgresServer.start({ settings: { shared_buffers: "256MB", max_wal_size: "8GB" } });
  const database = new Pool({ connectionString: server.url(), max: 2 });
  try {
    await database.query(`CREATE TABLE orders (id bigint PRIMARY KEY, customer_id bigint, total numeric(12,2), status text,
        placed_at timestamptz, due date, note text, address text, country text, channel text)`);
    await database.query(
      `INSERT INTO orders SELECT i, i % 100000, (i % 9999) / 100.0, 'placed', '2026-01-01'::timestamptz + i * interval '1 second',
         '2026-01-01'::date + (i % 365)::int, 'note of order ' || i, md5(i::text), 'NO', 'web' FROM generate_series(1, $1::bigint) i`,
      [options.rows],
    );
    return await withWeir(options.below, (url) => measure(url, database, options), {
      env: { BENCH_DB: server.url() },
      project: "capture-project",
    });
  } finally {
    await database.end();
    await server.close();
  }
}

async function measure(
  url: string,
  database: Pool,
  { rows, changes }: CaptureBenchOptions,
): Promise<CaptureBenchResult> {
  const start = performance.now();
  let read = 0;
  const shown = await until(async () => {
    if (read === 0 && (await rowsRead(url)) >= rows) read = performance.now();
    const [row] = await query(url, "SELECT count(*)::DOUBLE FROM orders");
    return Number(row?.[0]) === rows;
  });
  const from = performance.now();
  for (let made = 0; made < changes; made += 100) {
    const first = 1 + (made % Math.max(1, rows - 100));
    await database.query(
      "UPDATE orders SET total = total + 1, status = 'paid' WHERE id >= $1 AND id < $1 + 100",
      [first],
    );
  }
  const made = performance.now();
  await database.query("INSERT INTO orders (id, status) VALUES (0, 'last')");
  const streamed = await until(async () => {
    const [row] = await query(url, "SELECT count(*)::DOUBLE FROM orders WHERE status = 'last'");
    return Number(row?.[0]) === 1;
  });
  const perSecond = (count: number, ms: number): number => Math.round((count / ms) * 1000);
  return {
    snapshotRowsPerSecond: perSecond(rows, shown - start),
    snapshotReadRowsPerSecond: perSecond(rows, (read === 0 ? shown : read) - start),
    changesPerSecond: perSecond(changes, streamed - from),
    changesMadePerSecond: perSecond(changes, made - from),
  };
}

/** Rows that the capture has read, as `weir status` shows it. */
async function rowsRead(url: string): Promise<number> {
  const status = (await (await fetch(`${url}/api/status`)).json()) as {
    instance?: { processes: { status?: { rowsRead?: number } }[] };
  };
  return Math.max(0, ...(status.instance?.processes ?? []).map((one) => one.status?.rowsRead ?? 0));
}

/** When a condition holds, which is looked at twenty times a second. */
async function until(holds: () => Promise<boolean>): Promise<number> {
  const deadline = performance.now() + 600_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error("the rows did not arrive within ten minutes");
    await sleep(50);
  }
  return performance.now();
}
