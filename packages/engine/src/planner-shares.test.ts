/** Which segments a batch takes of live streams and of backfills. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryStore } from "@weir/log";
import type { LogStore } from "@weir/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "./database.ts";
import { lineOf } from "./harness.fixture.ts";
import { Planner } from "./planner.ts";
import type { BatchPlan } from "./planner.ts";
import { prepareSchema } from "./schema.ts";
import { resolveSettings } from "./settings.ts";

const line = lineOf({ source: "web", sent: "c", text: JSON.stringify({ filler: "x".repeat(900) }) });
/** A little more than a segment takes in the log. */
const segment = Math.ceil(line.length * 10 * 1.06);
const settings = { ...resolveSettings(), batchBytes: segment * 40, commitAgeMs: 1000 };

let directory: string;
let store: LogStore;
let database: Database;
let planner: Planner;
let share = 0.25;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-planner-"));
  store = directoryStore(join(directory, "log"), { minFreeBytes: 0 });
  database = await Database.open(join(directory, "state.duckdb"), join(directory, "tmp"), {
    memoryLimit: "512MB",
  });
  const sql = await database.connect();
  await prepareSchema(sql);
  planner = new Planner(store, sql, settings, { of: (writers) => (writers.length === 0 ? 0 : share) });
  await planner.recover();
});
afterEach(async () => {
  await database.close();
  rmSync(directory, { recursive: true, force: true });
});

async function write(writer: string, segments: number): Promise<void> {
  const stream = await store.openWriter("web", writer);
  for (let i = 0; i < segments; i++) {
    await stream.append(
      Buffer.concat(Array.from({ length: 10 }, () => line)),
      new Uint32Array(10).fill(line.length),
    );
    await stream.seal();
  }
  await stream.close();
}

const taken = (plan: BatchPlan | undefined): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { writer } of plan?.segments ?? []) counts[writer] = (counts[writer] ?? 0) + 1;
  return counts;
};

/** Tells the planner what bytes cost: so many segments a second of work. */
function measured(segmentsPerSecond: number): void {
  const plan: BatchPlan = { batch: 0, segments: [] };
  const all = { ...plan, segments: [{ bytes: segment * segmentsPerSecond }] } as unknown as BatchPlan;
  for (let i = 0; i < 40; i++) planner.spent(all, { staged: 400, commit: 600 });
}

test("a backfill gets its share of the time between batches, live streams all that they have", async () => {
  measured(20);
  await write("c0", 8);
  await write("backfill-00000001", 60);
  expect(await planner.next(10_000, false)).toBeUndefined();
  expect(taken(await planner.next(11_000, false))).toEqual({ c0: 8, "backfill-00000001": 5 });
  // It is no reason for a batch before its time.
  await write("c0", 1);
  expect(await planner.next(11_100, false)).toBeUndefined();
  expect(await planner.next(12_000, false)).toBeUndefined();
  share = 0.1;
  expect(taken(await planner.next(12_100, false))).toEqual({ c0: 1, "backfill-00000001": 2 });
});

test("where live records fill every batch, a backfill gets on all the same", async () => {
  measured(1);
  share = 0.01;
  await write("c0", 60);
  await write("backfill-00000001", 3);
  expect(taken(await planner.next(10_000, false))).toEqual({ c0: 40, "backfill-00000001": 1 });
  expect(await planner.next(10_100, false)).toBeUndefined();
  expect(taken(await planner.next(11_100, false))).toEqual({ c0: 20, "backfill-00000001": 1 });
});

test("where nothing live comes, a backfill has a quarter of a batch at once", async () => {
  measured(1);
  await write("backfill-00000001", 25);
  expect(taken(await planner.next(10_000, false))).toEqual({ "backfill-00000001": 10 });
  expect(taken(await planner.next(10_001, false))).toEqual({ "backfill-00000001": 10 });
  expect(await planner.next(10_002, false)).toBeUndefined();
  expect(taken(await planner.next(11_002, false))).toEqual({ "backfill-00000001": 5 });
});
