import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventText, randomOf } from "./events.ts";
import { drain, quantiles, query, runLoad, withWeir } from "./instance.ts";
import type { Quantiles } from "./instance.ts";

export interface BackfillBenchOptions {
  readonly below: string;
  /** Of live load, each time. */
  readonly seconds: number;
  /** Live events per second. */
  readonly rate: number;
  /** Rows of the past, in one file. */
  readonly rows: number;
}

export interface BackfillBenchResult {
  /** From the moment a client stamps a live event until a query sees it. */
  readonly aloneMs: Quantiles;
  readonly besideBackfillMs: Quantiles;
  /** p95 beside the backfill over p95 alone. */
  readonly slower: number;
  /** Rows of the backfill that were loaded per second while live events came, and with nothing else to do. */
  readonly rowsPerSecondBeside: number;
  readonly rowsPerSecondAlone: number;
  readonly verified: boolean;
}

const dayMs = 86_400_000;

/** Live events with and without a backfill beside them, in one instance. */
export const benchBackfill = (options: BackfillBenchOptions): Promise<BackfillBenchResult> =>
  withWeir(options.below, (url, _, dataDir) => measure(url, dataDir, options));

async function measure(
  url: string,
  dataDir: string,
  { seconds, rate, rows }: BackfillBenchOptions,
): Promise<BackfillBenchResult> {
  const file = join(dataDir, "past.ndjson");
  await writePast(file, rows);
  await runLoad(url, { seconds: Math.min(5, seconds / 4), rate, seed: 1 });
  await drain(url);
  const alone = await liveLatency(url, { seconds, rate, seed: 2 });
  const began = performance.now();
  const backfill = runBackfill(dataDir, file);
  await waitFor(async () => (await loadedRows(url)) > 0);
  const from = { rows: await loadedRows(url), at: performance.now() };
  const beside = await liveLatency(url, { seconds, rate, seed: 3 });
  const to = { rows: await loadedRows(url), at: performance.now() };
  const code = await backfill;
  const restMs = performance.now() - to.at;
  const verify = (await (await fetch(`${url}/api/verify`)).json()) as { ok: boolean };
  return {
    aloneMs: alone,
    besideBackfillMs: beside,
    slower: beside.p95 / alone.p95,
    rowsPerSecondBeside: ((to.rows - from.rows) / (to.at - from.at)) * 1000,
    rowsPerSecondAlone: to.rows >= rows ? NaN : ((rows - to.rows) / restMs) * 1000,
    verified: verify.ok && code === 0 && (await loadedRows(url)) === rows && began > 0,
  };
}

/** Rows of the backfill: their event times are of another year. */
async function loadedRows(url: string): Promise<number> {
  const [row] = await query(
    url,
    "SELECT count(*)::DOUBLE FROM product_viewed WHERE occurred_at < '2020-01-01'",
  );
  return Number(row?.[0] ?? 0);
}

/** Sends live events, and measures how long after each was stamped a query sees it. */
export async function liveLatency(
  url: string,
  load: { seconds: number; rate: number; seed: number },
): Promise<Quantiles> {
  const seen = new Map<number, number>();
  const watching = new AbortController();
  const startMs = Date.now();
  const first = await lastLive(url);
  const watch = (async () => {
    for (let reached = first; !watching.signal.aborted;) {
      const number = await lastLive(url);
      for (const now = Date.now(); reached < number;) seen.set(++reached, now);
      await sleep(25);
    }
  })();
  await runLoad(url, load);
  const wanted = Date.now();
  // Live events only: a drain would wait for the backfill.
  await waitFor(async () => {
    const rows = await query(
      url,
      `SELECT epoch_ms(max(occurred_at))::DOUBLE FROM product_viewed WHERE occurred_at >= make_timestamp(${startMs * 1000})`,
    );
    return Number(rows[0]?.[0] ?? 0) >= wanted - 1_000 || Date.now() - wanted > 10_000;
  });
  await sleep(200);
  watching.abort();
  await watch;
  const rows = await query(
    url,
    `SELECT _number::DOUBLE, epoch_ms(occurred_at)::DOUBLE, count(*)::DOUBLE FROM product_viewed
     WHERE _writer = 'c0' AND occurred_at >= make_timestamp(${startMs * 1000}) GROUP BY ALL`,
    5_000_000,
  );
  return quantiles(
    rows.map(([number, at, n]) => [(seen.get(Number(number)) ?? NaN) - Number(at), Number(n)]),
  );
}

async function lastLive(url: string): Promise<number> {
  const [row] = await query(
    url,
    "SELECT coalesce(max(number), 0)::DOUBLE FROM weir.offsets WHERE writer = 'c0'",
  );
  return Number(row?.[0] ?? 0);
}

async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(100);
}

async function writePast(file: string, rows: number): Promise<void> {
  const random = randomOf(7);
  const startMs = Date.UTC(2019, 0, 1);
  const out = createWriteStream(file);
  for (let i = 0; i < rows; i++) {
    const line = `${eventText(random, startMs + Math.floor((i / rows) * 90 * dayMs), 20_000)}\n`;
    if (!out.write(line)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
}

async function runBackfill(dataDir: string, file: string): Promise<number> {
  const root = join(import.meta.dirname, "..");
  const weir = join(root, "packages/weir/bin/weir.mjs");
  const project = join(root, "bench/project/weir.config.ts");
  const place = ["--project", project, "--data-dir", dataDir, "--json"];
  const child = spawn(process.execPath, [weir, "backfill", "web", "--files", file, ...place], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number];
  return code;
}
