import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { asked, at, jane, order, page, program, records, restartNames } from "./erase-shop.fixture.ts";

let harness: Harness;
beforeEach(async () => {
  restartNames();
  harness = new Harness();
  await harness.open(program);
  harness.engine.start();
});
afterEach(() => harness.end());

const problems = async (): Promise<unknown> => (await harness.engine.verify()).checks.filter(({ ok }) => !ok);

test("a person is gone from every table and zone, found by any identifier", async () => {
  const all = records();
  await harness.load(all);
  await harness.load(all);
  const plan = await harness.engine.erasures.plan(asked);
  expect(plan.identifiers).toEqual([
    { kind: "email", value: jane, via: "request" },
    { kind: "anonymous_id", value: "jane-phone", via: "people" },
    { kind: "customer", value: "7000001", via: "people" },
  ]);
  const done = await harness.engine.erasures.erase(asked);
  expect(done).toMatchObject({ id: "e1", state: "erased" });
  expect(await harness.rows("SELECT url, views::INT FROM by_url ORDER BY 1")).toEqual([["/a", 1]]);
  expect(await harness.rows("SELECT count(*)::INT FROM visits")).toEqual([[1]]);
  expect(await harness.rows("SELECT customer::INT FROM orders")).toEqual([[7_000_002]]);
  expect(await harness.rows("SELECT count(*)::INT FROM orders_history")).toEqual([[1]]);
  expect(await harness.rows("SELECT text FROM quarantine")).toEqual([
    [JSON.stringify({ who: { mail: `mary.${jane}` } })],
    [JSON.stringify({ who: { mail: `mary.${jane}` } })],
  ]);
  expect(await harness.rows("SELECT count(*)::INT FROM raw")).toEqual([[6]]);
  expect(await problems()).toEqual([]);
});

test("records of an erased person that come later are kept out, after a restart too, until the erasure is lifted", async () => {
  const all = records();
  await harness.load(all);
  await harness.engine.erasures.erase(asked);
  await harness.load(all);
  const state = async (): Promise<unknown[]> => [
    await harness.rows("SELECT url, views::INT FROM by_url ORDER BY 1"),
    await harness.rows("SELECT customer::INT FROM orders"),
    await harness.rows("SELECT count(*)::INT FROM quarantine"),
  ];
  const without = [[["/a", 1]], [[7_000_002]]];
  expect(await state()).toEqual([...without, [[2]]]);
  const counts =
    "SELECT sum(received)::INT, sum(loaded)::INT, sum(duplicate)::INT, sum(quarantined)::INT, sum(suppressed)::INT FROM weir.counts";
  expect(await harness.rows(counts)).toEqual([[20, 2, 2, 2, 14]]);
  expect(await problems()).toEqual([]);
  await harness.open(program);
  harness.engine.start();
  await harness.load([...all, order({ customer: 7_000_001 }), page({ anonymous_id: "jane-phone" })]);
  expect(await state()).toEqual([...without, [[3]]]);
  expect(await problems()).toEqual([]);
  await harness.engine.erasures.lift("e1");
  await harness.load(all.slice(0, 4));
  expect((await state())[0]).toEqual([
    ["/a", 2],
    ["/b", 1],
  ]);
  expect(await problems()).toEqual([]);
});

test("later records are kept out also where the project does not declare any more what names a person", async () => {
  const all = records();
  await harness.load(all);
  await harness.engine.erasures.erase(asked);
  await harness.open({ ...program, tables: [], subjects: [] });
  harness.engine.start();
  await harness.load(all);
  expect(await harness.rows("SELECT count(*)::INT FROM page")).toEqual([[1]]);
  await harness.open(program);
  expect(await harness.rows("SELECT url, views::INT FROM by_url")).toEqual([["/a", 1]]);
  expect(await problems()).toEqual([]);
});

test("the same request again gives the same erasure", async () => {
  await harness.load(records());
  const { id, commit } = await harness.engine.erasures.erase(asked);
  expect(
    await harness.engine.erasures.erase({ identifiers: [{ kind: "email", value: "JANE.doe@example.com" }] }),
  ).toMatchObject({ id, commit });
  expect(await harness.engine.erasures.list()).toHaveLength(1);
});

test("an id of an erased record is free: another record with it is loaded, whatever its time", async () => {
  const late = (minute: number, url: string): LogRecord =>
    page({ at: at(minute), anonymous_id: "joe-laptop", url }, "same");
  await harness.load([page({ at: at(50), anonymous_id: "jane-phone", email: jane, url: "/x" }, "same")]);
  await harness.engine.erasures.erase(asked);
  await harness.load([late(60, "/late")]);
  expect(await harness.rows("SELECT url FROM page")).toEqual([["/late"]]);
  await harness.load([late(10, "/early")]);
  expect(await harness.rows("SELECT url FROM page")).toEqual([["/early"]]);
  expect(await problems()).toEqual([]);
});

/** Files that have one of the words. Small values of small files are compressed in none of them. */
function whereIs(words: readonly string[]): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(harness.dataDir, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = readFileSync(path);
    if (words.some((word) => bytes.includes(word))) found.push(path.slice(harness.dataDir.length + 1));
  }
  return found;
}

test("after a restart and the log's retention no byte is left", async () => {
  const words = [jane, "Jane.Doe@example.com", "jane-phone", "7000001"];
  const isMary = (record: LogRecord): boolean => "text" in record && record.text.includes("mary");
  const all = records().filter((record) => !isMary(record));
  await harness.end();
  // Everything that was loaded may leave the log.
  harness = new Harness({ internals: { upkeepEveryMs: 20, replacedGraceMs: 0, logRetentionMs: 0 } });
  await harness.open(program);
  await harness.load(all);
  await harness.open(program);
  expect(whereIs(words)).toContain("state/weir.duckdb");
  harness.engine.start();
  await harness.engine.erasures.erase(asked);
  await harness.close();
  expect(whereIs(words)).toContain("state/weir.duckdb");
  await harness.open(program);
  harness.engine.start();
  // Those of others go on.
  await harness.load([page({ anonymous_id: "joe-laptop" })]);
  await vi.waitFor(
    async () => {
      expect(await harness.engine.erasures.show("e1")).toMatchObject({
        state: "complete",
        remaining: { files: 0, segments: 0, stateFile: false },
      });
    },
    { timeout: 120_000 },
  );
  expect(whereIs(words)).toEqual([]);
  expect(harness.events).toContainEqual({ kind: "erasure_complete", id: "e1" });
  await harness.load(all);
  await vi.waitFor(() => expect(whereIs(words)).toEqual([]), { timeout: 120_000 });
  expect(await problems()).toEqual([]);
});
