/** What goes from the lake, what stays, and what tables may still compute anew. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { compileProject, count, entity, identity, rollup, sum } from "@weir/compile";
import type { Program, TableSpec } from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import { afterEach, expect, test, vi } from "vitest";
import { Harness } from "./harness.fixture.ts";
import { resolveRetention } from "./keep.ts";
import type { ResolvedRetention } from "./keep.ts";
import { RemovedHistory } from "./removed-history.ts";

const Sold = contract("sold", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    who: Type.String(),
    other: Type.Optional(Type.String()),
    price: decimal({ precision: 9, scale: 2 }),
  }),
});

const daily = rollup({ from: Sold, window: "1d", by: "who", measures: { n: count(), value: sum("price") } });
const tables: Record<string, TableSpec> = {
  daily,
  totals: rollup({ from: Sold, by: "who", measures: { n: count() } }),
  last: entity({ from: Sold, key: "who" }),
};
const programOf = (specs: Record<string, TableSpec>): Program =>
  compileProject({ name: "p", sources: { web: { contracts: [Sold] } }, tables: specs });

const dayMs = 86_400_000;
const nowDay = Math.floor(Date.now() / dayMs);
/** A moment of the day that is so many days ago. */
const ago = (days: number, minutes = 0): string =>
  new Date((nowDay - days) * dayMs + minutes * 60_000).toISOString();

const forever: ResolvedRetention = {
  rawMs: undefined,
  quarantineMs: undefined,
  cleanMs: undefined,
  cleanOf: {},
  historyMs: undefined,
  historyOf: {},
  rebuildFromKept: [],
};

let harness: Harness | undefined;
afterEach(() => harness?.end());

/** A harness whose engines remove at once what is older. */
function keeping(keep: Partial<ResolvedRetention>): Harness {
  harness = new Harness({
    internals: { keep: { ...forever, ...keep }, upkeepEveryMs: 1, replacedGraceMs: 0 },
  });
  return harness;
}

const sale = (id: string, at: string, receivedDaysAgo = 0, more: object = {}) => ({
  source: "web",
  sent: "sold",
  text: JSON.stringify({ id, at, who: "ann", price: "1.50", ...more }),
  receivedUs: (nowDay - receivedDaysAgo) * dayMs * 1000 + 1,
});

async function untilRemoved(zone: string, rows: number): Promise<void> {
  await expect
    .poll(async () => (await harness?.engine.status())?.removed.find((one) => one.zone === zone)?.rows, {
      timeout: 20_000,
    })
    .toBe(rows);
}

const problems = async (): Promise<unknown[]> =>
  (await harness?.engine.verify())?.checks.filter(({ ok }) => !ok) ?? ["no engine"];
const tableRows = async (of = Object.keys(tables)): Promise<unknown[]> => {
  const rows: unknown[] = [];
  for (const table of of) rows.push(table, ...((await harness?.rows(`FROM ${table} ORDER BY ALL`)) ?? []));
  return rows;
};

test("each zone goes by its own time, tables keep what they have, and everything adds up", async () => {
  const { load, rows } = await begun({ rawMs: 40 * dayMs, quarantineMs: 20 * dayMs });
  await load([sale("a", ago(900), 50), { ...sale("b", "never", 50), sent: "sold" }]);
  await load([sale("c", ago(900), 30), sale("d", ago(1), 30), sale("e", "never", 30)]);
  await load([sale("f", ago(1), 1), sale("g", "never", 1), sale("a", ago(900), 1)]);
  await untilRemoved("raw", 2);
  await untilRemoved("quarantine", 2);
  expect(await rows("SELECT count(*)::INTEGER, min(received_at)::VARCHAR FROM raw")).toEqual([
    [6, expect.stringContaining(ago(30).slice(0, 10))],
  ]);
  expect(await rows("SELECT json_extract_string(text, '$.id') FROM quarantine")).toEqual([["g"]]);
  expect(await problems()).toEqual([]);
  await harness?.end();

  const clean = await begun({ cleanMs: 365 * dayMs });
  await clean.load([sale("a", ago(900)), sale("d", ago(1))]);
  await clean.load([sale("c", ago(900)), sale("f", ago(1))]);
  expect(await tableRows()).toEqual(await withoutRetention());
  await untilRemoved("clean", 2);
  expect(await clean.rows("SELECT id FROM sold ORDER BY id")).toEqual([["d"], ["f"]]);
  expect(await problems()).toEqual([]);
  // Late records go into their groups as ever, and then from the zone.
  await clean.load([sale("h", ago(900))]);
  await untilRemoved("clean", 3);
  expect(await clean.rows("SELECT n FROM totals")).toEqual([["5"]]);
  expect(await problems()).toEqual([]);
});

/** What the tables of the second part above hold where nothing is removed. */
async function withoutRetention(): Promise<unknown[]> {
  const kept = harness;
  harness = new Harness();
  const other = harness;
  await other.open(programOf(tables));
  await other.load([sale("a", ago(900)), sale("d", ago(1)), sale("c", ago(900)), sale("f", ago(1))]);
  const rows = await tableRows();
  await other.end();
  harness = kept;
  return rows;
}

async function begun(keep: Partial<ResolvedRetention>, specs = tables) {
  const made = keeping(keep);
  await made.open(programOf(specs));
  return {
    load: (records: Parameters<Harness["load"]>[0]) => made.load(records),
    rows: (sql: string) => made.rows(sql),
  };
}

test("a record keeps its place where a group that it is in may have lost others", async () => {
  const { load, rows } = await begun({ cleanMs: 365 * dayMs }, { daily });
  await load([sale("old", ago(366, 600)), sale("near", ago(364, 600)), sale("new", ago(5, 600))]);
  await untilRemoved("clean", 1);
  // The window of "near" is whole; the window of "old" is not, and "old" is gone.
  await load([
    sale("new", ago(5, 500), 0, { price: "7.00" }),
    sale("near", ago(364, 599), 0, { price: "8.00" }),
  ]);
  await load([sale("old", ago(366, 500), 0, { price: "9.00" })]);
  expect(await rows("SELECT n, value::VARCHAR FROM daily ORDER BY window_start")).toEqual([
    ["1", "1.50"],
    ["1", "8.00"],
    ["1", "7.00"],
  ]);
  expect((await harness?.engine.status())?.counts).toMatchObject([{ received: 6, loaded: 3, duplicate: 3 }]);
  expect(await problems()).toEqual([]);
});

test("by groups without a beginning no record is taken back once the zone has lost one", async () => {
  const { load, rows } = await begun({ cleanMs: 365 * dayMs });
  await load([sale("new", ago(5, 600)), sale("other", ago(5, 700), 0, { who: "bob" })]);
  await load([sale("new", ago(5, 500), 0, { who: "bob" })]);
  expect(await rows("FROM totals")).toEqual([["bob", "2"]]);
  await load([sale("old", ago(800))]);
  await untilRemoved("clean", 1);
  await load([sale("new", ago(5, 400))]);
  expect(await rows("FROM totals ORDER BY who")).toEqual([
    ["ann", "1"],
    ["bob", "2"],
  ]);
  expect(await problems()).toEqual([]);
});

test("planted defect: records are taken back from a zone that has lost them", async () => {
  const { load } = await begun({ cleanMs: 365 * dayMs });
  await load([sale("old", ago(800))]);
  await untilRemoved("clean", 1);
  const spy = vi.spyOn(RemovedHistory.prototype, "keepsPlace").mockReturnValue(undefined);
  try {
    await expect(load([sale("old", ago(801))])).rejects.toMatchObject({
      cause: expect.objectContaining({ code: "state_corrupt" }) as unknown,
    });
  } finally {
    spy.mockRestore();
  }
});

test("a table does not lose rows by being built anew", async () => {
  const { load } = await begun({ cleanMs: 365 * dayMs });
  await load([sale("old", ago(800)), sale("new", ago(5))]);
  await untilRemoved("clean", 1);
  const before = await tableRows();
  const changed = {
    ...tables,
    totals: rollup({ from: Sold, by: "who", measures: { n: count(), value: sum("price") } }),
  };
  const open = (specs: Record<string, TableSpec>): Promise<unknown> =>
    harness?.open(programOf(specs)) ?? Promise.reject();
  await expect(open(changed)).rejects.toMatchObject({
    code: "history_removed",
    where: "table totals",
    message: expect.stringContaining("records of sold up to") as string,
  });
  // Nothing happened: the old definition still has its rows.
  await open(tables);
  expect(await tableRows()).toEqual(before);
  // Under another name it is a new table, which begins where the zone does, and says so.
  await open({ ...tables, totals_2: changed.totals });
  expect(await tableRows()).toEqual(before);
  expect(await harness?.rows("FROM totals_2")).toEqual([["ann", "1", "1.50"]]);
  const { tables: told = [] } = (await harness?.engine.status()) ?? {};
  expect(told.filter(({ concerns }) => concerns.length > 0)).toMatchObject([
    { name: "totals_2", concerns: [expect.stringContaining("had been removed")] },
  ]);
  expect(await problems()).toEqual([]);
});

test("what the project allows to lose its beginning is built from what is left", async () => {
  const { load } = await begun({ cleanMs: 365 * dayMs, rebuildFromKept: ["totals"] });
  await load([sale("old", ago(800)), sale("new", ago(5))]);
  await untilRemoved("clean", 1);
  await harness?.open(
    programOf({
      ...tables,
      totals: rollup({ from: Sold, by: "who", measures: { n: count(), value: sum("price") } }),
    }),
  );
  expect(await harness?.rows("FROM totals")).toEqual([["ann", "1", "1.50"]]);
  expect(await problems()).toEqual([]);
});

test("nobody is erased from tables that hold more than the records that are left", async () => {
  const made = keeping({ cleanMs: 365 * dayMs });
  const ids = { people: identity({ ids: [[Sold, { who: "who" }]] }) };
  await made.open(programOf({ ...ids, daily }));
  // All that there was of them is gone from the clean zone, and tables have it.
  await made.load([sale("old", ago(800))]);
  await untilRemoved("clean", 1);
  const before = await tableRows(["daily", "people"]);
  await expect(
    made.engine.erasures.erase({ identifiers: [{ kind: "who", value: "ann" }] }),
  ).rejects.toMatchObject({
    code: "erasure_too_large",
    message: expect.stringContaining(
      "groups of people, daily that have records which retention removed",
    ) as string,
  });
  expect(await tableRows(["daily", "people"])).toEqual(before);
});

test("files that a query may read stay until it ends, and not longer", async () => {
  const { load } = await begun({}, {});
  for (let i = 0; i < 31; i++) await load([sale(`s${i}`, ago(5, i))]);
  const listed = async (): Promise<string[]> =>
    (await harness?.rows("SELECT path FROM weir.files WHERE zone = 'clean'"))?.flat().map(String) ?? [];
  const there = (paths: readonly string[]): number =>
    paths.filter((path) => existsSync(join(harness?.dataDir ?? "", "lake", path))).length;
  const parts = await listed();
  expect(there(parts)).toBe(31);
  let end = (): void => undefined;
  const ending = new Promise<boolean>((resolve) => (end = () => resolve(true)));
  const counts: unknown[][] = [];
  const query = harness?.engine.queryInto(
    "SELECT count(*)::INTEGER FROM sold",
    {},
    { begin: () => undefined, rows: (rows) => (counts.push(...rows), ending) },
  );
  await expect.poll(() => counts).toEqual([[31]]);
  await load([sale("last", ago(5, 40))]);
  await expect.poll(async () => (await listed()).length, { timeout: 120_000 }).toBe(1);
  // The queries above began later and hold nothing of these.
  expect(there(parts)).toBe(31);
  end();
  await query;
  await expect.poll(() => there(parts), { timeout: 120_000 }).toBe(0);
  expect(await harness?.rows("SELECT count(*)::INTEGER FROM sold")).toEqual([[32]]);
  expect(await problems()).toEqual([]);
});

test("what another record took the place of is not merged along", async () => {
  harness = new Harness({ internals: { keep: forever, upkeepEveryMs: 1, quietMs: 0, replacedGraceMs: 0 } });
  await harness.open(programOf(tables));
  await harness.load([sale("a", ago(5, 600)), sale("b", ago(5, 601))]);
  await harness.load([sale("a", ago(5, 500), 0, { who: "bob" })]);
  await harness.load([sale("c", ago(5, 602))]);
  const of = async (sql: string): Promise<unknown> => (await harness?.rows(sql))?.[0]?.[0];
  await expect
    .poll(() => of("SELECT count(*)::INTEGER FROM weir.files WHERE zone = 'clean'"), { timeout: 120_000 })
    .toBe(1);
  await expect.poll(() => of("SELECT count(*)::INTEGER FROM weir.superseded"), { timeout: 120_000 }).toBe(0);
  expect(await of("SELECT sum(rows)::INTEGER FROM weir.files WHERE zone = 'clean'")).toBe(3);
  expect(await harness.rows("SELECT id, who FROM sold ORDER BY id")).toEqual([
    ["a", "bob"],
    ["b", "ann"],
    ["c", "ann"],
  ]);
  expect((await harness.engine.trace("a", "sold"))[0]?.receipts.map(({ outcome }) => outcome)).toEqual([
    "duplicate",
    "loaded",
  ]);
  expect(await problems()).toEqual([]);
});

test("lengths are checked before anything is opened", () => {
  const known = { contracts: ["sold"], tables: ["daily"], entities: ["last"] };
  const refused = (retention: Parameters<typeof resolveRetention>[0], horizonDays = 30): unknown => {
    try {
      return resolveRetention(retention, horizonDays * dayMs, known);
    } catch (error) {
      return error;
    }
  };
  expect(refused({ raw: "29d" })).toMatchObject({ code: "project_invalid", where: "retention.raw" });
  expect(refused({ raw: "29d" }, 29)).toMatchObject({ rawMs: 29 * dayMs });
  expect(refused({ clean: { bought: "1d" } })).toMatchObject({
    code: "project_invalid",
    where: "retention.clean",
  });
  expect(refused({ rebuildFromKept: ["weekly"] })).toMatchObject({ code: "project_invalid" });
  expect(refused({ quarantine: "1 day" as never })).toMatchObject({ code: "duration_invalid" });
  expect(refused({ clean: { sold: "forever" } })).toMatchObject({
    rawMs: 180 * dayMs,
    quarantineMs: 180 * dayMs,
    cleanMs: undefined,
    cleanOf: { sold: null },
    historyMs: undefined,
  });
  expect(refused({ history: "90d" })).toMatchObject({ historyMs: 90 * dayMs, historyOf: {} });
  expect(refused({ history: { last: "1h" } })).toMatchObject({
    historyMs: undefined,
    historyOf: { last: 3_600_000 },
  });
  expect(refused({ history: { daily: "90d" } })).toMatchObject({
    code: "project_invalid",
    where: "retention.history",
  });
});

test("a record that is loaded is traced when raw does not have it any more", async () => {
  const { load } = await begun({ rawMs: 10 * dayMs });
  await load([sale("a", ago(40), 40), sale("a", ago(40), 39)]);
  await untilRemoved("raw", 2);
  expect((await harness?.engine.trace("a"))?.[0]).toMatchObject({
    contract: "sold",
    receipts: [{ sent: null, outcome: "loaded", reason: null }],
    tables: [{ name: "daily" }, { name: "totals" }, { name: "last" }],
  });
  expect(await harness?.engine.trace("b")).toEqual([]);
});
