/** Records that are judged again by a project that changed since: what the zones, tables, ids and counts say then. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import type { TaskInfo } from "./ledger.ts";
import type { ReplayResult } from "./replay-task.ts";
import {
  after,
  at,
  before,
  hour,
  internals,
  records,
  replay,
  settled,
  start,
  state,
} from "./replay.fixture.ts";

let harness: Harness;
let fresh: Harness;
beforeEach(async () => {
  harness = new Harness({ internals });
  fresh = new Harness({ internals });
  await harness.open(before);
});
afterEach(async () => {
  await harness.end();
  await fresh.end();
});

const resultOf = (task: TaskInfo): ReplayResult => task.result as ReplayResult;
const differences = (task: TaskInfo): unknown[] =>
  resultOf(task).comparison.flatMap(({ view, onlyLive, onlyNew, different }) =>
    onlyLive + onlyNew + different === 0 ? [] : [[view, onlyLive, onlyNew, different]],
  );

test("everything replayed is what a new engine makes of it; records that come meanwhile are in it", async () => {
  let n = 0;
  const all = records(160, 7, () => (n++ % 9) + 0.5);
  for (let i = 0; i < 4; i++) await harness.load(all.slice(i * 30, (i + 1) * 30), `w${i % 2}`);
  await harness.open(after);
  await harness.load(all.slice(120, 130));
  const task = await replay(harness, { from: at(-1), to: at(9.9) });
  expect(task).toMatchObject({ state: "ready", error: null });
  expect(differences(task).length).toBeGreaterThan(1);
  // It waits; what comes then has ids of the interval, lesser and greater ones.
  await harness.load(all.slice(130, 160));
  const swapped = await settled(harness, (await harness.engine.tasks.swap(task.id)).id);
  expect(swapped).toMatchObject({ state: "done", error: null });
  await fresh.open(after);
  await fresh.load(all);
  expect(await state(harness)).toEqual(await state(fresh));
  // And what comes later meets the same ids.
  const later = records(60, 11, () => 9.95);
  await harness.load(later);
  await fresh.load(later);
  expect(await state(harness)).toEqual(await state(fresh));
  const again = await replay(harness, { from: at(-1), swap: "same" });
  expect(again).toMatchObject({ state: "done", error: null });
  expect(differences(again)).toEqual([]);
  expect(await state(harness)).toEqual(await state(fresh));
  await harness.open(after);
  expect(await state(harness)).toEqual(await state(fresh));
  // For undoing the last one.
  expect(readdirSync(join(harness.dataDir, "state", "shadow"))).toEqual([String(again.id)]);
});

interface Known {
  readonly record: LogRecord;
  readonly least: number;
  readonly most: number;
}
interface Body {
  readonly id: string;
  readonly at: string;
  readonly amount: number;
  readonly sku: string;
}
const textOf = (record: LogRecord): string => ("text" in record ? record.text : "");
const bodyOf = ({ record }: Known): Body => JSON.parse(textOf(record)) as Body;

/** The same in plain words: who wins each id, and how many are what. */
function oracle(
  known: readonly Known[],
  from: number,
  to: number,
  hashes: ReadonlyMap<string, bigint>,
): unknown {
  const isIn = ({ record: { receivedUs = 0 } }: Known): boolean =>
    receivedUs >= (start + from * hour) * 1000 && receivedUs < (start + to * hour) * 1000;
  const validBefore = (one: Known): boolean =>
    bodyOf(one).amount >= one.least && bodyOf(one).amount <= one.most;
  const validNow = (one: Known): boolean => bodyOf(one).amount >= 20 && bodyOf(one).amount <= 100;
  const isLess = (a: Known, b: Known): boolean => {
    const [x, y] = [bodyOf(a).at, bodyOf(b).at];
    const hash = (one: Known): bigint => hashes.get(textOf(one.record)) ?? 0n;
    return x === y ? hash(a) < hash(b) : x < y;
  };
  const least = (some: readonly Known[]): Known | undefined =>
    some.reduce<Known | undefined>(
      (low, one) => (low === undefined || isLess(one, low) ? one : low),
      undefined,
    );
  const winners: Known[] = [];
  for (const id of new Set(known.map((one) => bodyOf(one).id))) {
    const own = known.filter((one) => bodyOf(one).id === id);
    const live = least(own.filter(validBefore));
    const now = own.filter((one) => isIn(one) && validNow(one));
    const others = own.filter((one) => !isIn(one) && validBefore(one));
    const isVanished = live !== undefined && isIn(live) && !now.some((one) => !isLess(live, one));
    const winner = least([...now, ...(isVanished ? others.filter(validNow) : others)]);
    if (winner !== undefined) winners.push(winner);
  }
  const failed = known.filter((one) => !(isIn(one) ? validNow(one) : validBefore(one)));
  const skus = [...new Set(winners.map((one) => bodyOf(one).sku))].toSorted();
  return {
    sold: winners
      .map((one) => `${bodyOf(one).id} ${bodyOf(one).at.slice(0, 19).replace("T", " ")}`)
      .toSorted(),
    quarantine: failed.map(({ record }) => textOf(record)).toSorted(),
    totals: skus.map((sku) => {
      const own = winners.filter((one) => bodyOf(one).sku === sku);
      return [sku, own.length, own.reduce((sum_, one) => sum_ + bodyOf(one).amount, 0)];
    }),
    counts: {
      received: known.length,
      loaded: winners.length,
      duplicate: known.length - winners.length - failed.length,
      quarantined: failed.length,
    },
  };
}

async function seen(): Promise<unknown> {
  const [counts] = (await harness.engine.status()).counts;
  const { received: all, loaded, duplicate, quarantined } = counts ?? {};
  return {
    sold: (
      await harness.rows(
        `SELECT id || ' ' || strftime("at", '%Y-%m-%d %H:%M:%S') AS one FROM sold ORDER BY ALL`,
      )
    ).map(([one]) => one),
    quarantine: (await harness.rows("SELECT text FROM quarantine ORDER BY ALL")).map(([text]) => text),
    totals: await harness.rows("SELECT sku, n::DOUBLE, value::DOUBLE FROM totals ORDER BY ALL"),
    counts: { received: all, loaded, duplicate, quarantined },
  };
}

test.each([3, 23, 41])(
  "a part of what was received, against the records themselves (seed %i)",
  async (seed) => {
    let n = 0;
    const all = records(240, seed, () => (n++ * 5) % 9);
    const [early, live] = [all.slice(0, 180), all.slice(180)];
    for (let i = 0; i < 3; i++) await harness.load(early.slice(i * 60, (i + 1) * 60));
    await harness.open(after);
    await harness.load(live.slice(0, 20));
    const { id } = await replay(harness, { from: at(3), to: at(6) });
    await harness.load(live.slice(20, 60));
    const task = await settled(harness, (await harness.engine.tasks.swap(id)).id);
    expect(task).toMatchObject({ state: "done", error: null });
    expect(resultOf(task).ids).toBeGreaterThan(10);
    const known = [
      ...early.map((record) => ({ record, least: 0, most: 50 })),
      ...live.map((record) => ({ record, least: 20, most: 100 })),
    ];
    const rows = (await harness.rows("SELECT DISTINCT text, hash(text)::VARCHAR FROM raw")) as [
      string,
      string,
    ][];
    const hashes = new Map(rows.map(([text, hash]) => [text, BigInt(hash)]));
    // What came after the barrier is judged by today's project, wherever it was received.
    expect(await seen()).toEqual(oracle(known, 3, 6, hashes));
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  },
);
