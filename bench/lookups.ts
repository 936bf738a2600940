import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { eventText, randomOf } from "./events.ts";
import { drain, portOf, query, runClient, runLoad, withWeir } from "./instance.ts";
import type { LookupLoadOptions, LookupLoadResult } from "./lookup-load.ts";

export interface LookupsOptions {
  readonly below: string;
  readonly seconds: number;
  /** Rows that the session table has before. */
  readonly rows: number;
  /** Events per second that are ingested meanwhile. */
  readonly ingest: number;
  /** Lookups per second. */
  readonly rate: number;
  /** Answer from the tables themselves instead of from mirrors. */
  readonly scan?: boolean;
}

export interface LookupsResult extends LookupLoadResult {
  readonly ingested: number;
  readonly memoryBytesOfIndex: number;
  readonly verified: boolean;
}

/** Lookups at a fixed rate by key and by prefix, in a table of many rows and one of few, while events are ingested. */
export const benchLookups = (options: LookupsOptions): Promise<LookupsResult> =>
  withWeir(
    options.below,
    (url) => measure(url, options),
    options.scan === true ? { env: { WEIR_BENCH_LOOKUP_MEMORY: "0" } } : {},
  );

async function measure(url: string, options: LookupsOptions): Promise<LookupsResult> {
  const { below, seconds, rows, ingest, rate, scan = false } = options;
  await fill(url, rows);
  const paths = await addresses(url);
  const folder = mkdtempSync(join(below, "weir-lookups-"));
  const file = join(folder, "options.json");
  const ask = (duration: number, warmSeconds = 0): Promise<LookupLoadResult> => {
    const port = portOf(url);
    const given: LookupLoadOptions = { port, seconds: duration, warmSeconds, rate, connections: 64, paths };
    writeFileSync(file, JSON.stringify(given));
    return runClient<LookupLoadResult>("lookup-load.ts", [file]);
  };
  try {
    // Mirrors are made when a table is first looked up, and processes compile their hot paths.
    await ask(1);
    if (!scan) await live(url);
    const warm = Math.min(5, seconds / 4);
    await Promise.all([runLoad(url, { seconds: warm, rate: ingest, seed: 1 }), ask(warm)]);
    const [sent, asked] = await Promise.all([
      runLoad(url, { seconds: warm + seconds + 1, rate: ingest, seed: 2 }),
      ask(warm + seconds, warm),
    ]);
    await drain(url);
    const verify = (await (await fetch(`${url}/api/verify`)).json()) as { ok: boolean };
    const lookups = await statusOf(url);
    return {
      ...asked,
      ingested: sent.acknowledged / sent.seconds,
      memoryBytesOfIndex: lookups.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0),
      verified: verify.ok && asked.failed === 0 && asked.backwards === 0,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** One session a person, as many as asked for. */
async function fill(url: string, rows: number): Promise<void> {
  const random = randomOf(5);
  const startMs = Date.now() - 3_600_000;
  const batch = 1_000;
  const post = async (from: number): Promise<void> => {
    const events = Array.from({ length: Math.min(batch, rows - from) }, (_, i) => {
      const text = eventText(random, startMs + (from + i) * 0.5, 20_000);
      return text.replace(/"anonymous_id":"[^"]*"/, `"anonymous_id":"person-${from + i}"`);
    });
    const response = await fetch(`${url}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: `${events.join("\n")}\n`,
    });
    if (response.status === 202) return;
    await sleep(500);
    await post(from);
  };
  for (let from = 0; from < rows; from += batch * 4)
    await Promise.all([0, 1, 2, 3].filter((i) => from + i * batch < rows).map((i) => post(from + i * batch)));
  await drain(url);
}

/** What is asked for: sessions by id, sessions by person, and windows of a product. */
async function addresses(url: string): Promise<Record<string, string[]>> {
  const sample = 20_000;
  const sessions = await query(
    url,
    `SELECT session_id, anonymous_id FROM visits USING SAMPLE ${sample}`,
    sample,
  );
  const windows = await query(
    url,
    `SELECT sku, window_start::VARCHAR FROM views_per_minute USING SAMPLE ${sample}`,
    sample,
  );
  const text = (value: string | number | undefined): string => encodeURIComponent(String(value));
  return {
    key: sessions.map(([id]) => `/api/tables/visits?key=${text(id)}`),
    prefix: sessions.map(([, person]) => `/api/tables/visits?prefix.anonymous_id=${text(person)}`),
    composite: windows.map(
      ([sku, at]) => `/api/tables/views_per_minute?sku=${text(sku)}&window_start=${text(at)}`,
    ),
  };
}

async function statusOf(url: string): Promise<{ state: string; memoryBytes: number }[]> {
  const status = (await (await fetch(`${url}/api/status`)).json()) as {
    lookups: { state: string; memoryBytes: number }[];
  };
  return status.lookups;
}

async function live(url: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    const lookups = await statusOf(url);
    if (lookups.every(({ state }) => state === "live")) return;
    await sleep(100);
  }
  throw new Error("the tables are not mirrored within a minute");
}
