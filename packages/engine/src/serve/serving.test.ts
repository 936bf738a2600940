import { existsSync } from "node:fs";
import { join } from "node:path";
import { compileProject, count, derive, rollup } from "@weir/compile";
import * as fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { parsePosition, positionText } from "../changes/position.ts";
import type { ChangePosition } from "../changes/position.ts";
import { Harness } from "../harness.fixture.ts";
import type { Engine } from "../engine.ts";
import type { LookupResult } from "./serving.ts";
import {
  Paid,
  Profile,
  keyOf,
  keysOf,
  mirrored,
  paid,
  parsed,
  profile,
  program,
  queried,
  tables,
} from "./serving.fixture.ts";
import type { Payment, ProfileChange, Row } from "./serving.fixture.ts";

const payment: fc.Arbitrary<Payment> = fc.record({
  // Few ids: the same id twice takes records back.
  id: fc.nat(60).map(String),
  minute: fc.nat(120),
  who: fc.constantFrom("ann", "bob", "cy", "", undefined),
  store: fc.integer({ min: 1, max: 3 }),
  amount: fc.constantFrom("1.00", "2.50", "-3.05"),
});

const change: fc.Arbitrary<ProfileChange> = fc.record({
  id: fc.nat(30).map(String),
  minute: fc.nat(120),
  who: fc.constantFrom("ann", "bob", "cy"),
  email: fc.constantFrom("a@x", "b@x", "c@x", "d@x"),
  tier: fc.constantFrom("gold", "lead"),
  gone: fc.nat(3).map((n) => n === 0),
});

const batches = fc.array(
  fc.record({
    payments: fc.array(payment, { minLength: 1, maxLength: 12 }),
    profiles: fc.array(change, { maxLength: 4 }),
    restart: fc.integer({ min: 0, max: 4 }).map((n) => n === 0),
  }),
  { minLength: 1, maxLength: 6 },
);

const timeout = 300_000;

/** Every row of every table, by lookup of its key, and that keys of rows that went find nothing. */
async function expectLookups(engine: Engine, seen: Map<string, Set<string>>): Promise<void> {
  for (const table of tables) {
    const { rows, commit } = await queried(engine, table);
    const all = seen.get(table) ?? new Set();
    for (const key of rows.keys()) all.add(key);
    seen.set(table, all);
    for (const key of all) {
      const values = JSON.parse(key) as (string | null)[];
      const columns = Object.fromEntries(keysOf(table).map((name, i) => [name, values[i] ?? null]));
      const found = await engine.lookup(table, values.length === 0 ? {} : { columns });
      const row = rows.get(key);
      expect({ table, commit: found.commit, rows: parsed(found.rows) }).toEqual({
        table,
        commit,
        rows: row === undefined ? [] : [row],
      });
    }
  }
}

/** Follows a table's changes, a few at a time. */
class Follower {
  readonly table: string;
  readonly rows = new Map<string, Row>();
  #position: ChangePosition = { commit: 0 };
  commit = 0;

  constructor(table: string) {
    this.table = table;
  }

  /** Reads to the end, and has every row of the table then. */
  async expectAll(engine: Engine, limit: number): Promise<void> {
    await this.read(engine, limit);
    const { rows, commit } = await queried(engine, this.table);
    expect([this.table, commit, Object.fromEntries(this.rows)]).toEqual([
      this.table,
      this.commit,
      Object.fromEntries(rows),
    ]);
  }

  /** Reads `pages` pages, or all when undefined; over texts, as clients do. */
  async read(engine: Engine, limit: number, pages = Infinity): Promise<void> {
    for (let page = 0; page < pages; page++) {
      const since = parsePosition(positionText(this.#position));
      const { changes, next, more, commit } = await engine.changes(this.table, since, limit);
      let last = this.#position.commit;
      for (const change of changes) {
        expect(change.commit).toBeGreaterThanOrEqual(last);
        last = change.commit;
        const key = keyOf(this.table, JSON.parse(change.key) as Row);
        if (change.row === undefined) this.rows.delete(key);
        else this.rows.set(key, JSON.parse(change.row) as Row);
        expect(change.op).toBe(change.row === undefined ? "delete" : "upsert");
        this.#position = change.position;
      }
      expect(changes.length).toBeLessThanOrEqual(limit);
      this.#position = next;
      this.commit = commit;
      if (!more) return;
    }
  }
}

test("whatever comes, lookups and followers have what queries give", { timeout }, async () => {
  await fc.assert(
    fc.asyncProperty(batches, fc.integer({ min: 1, max: 7 }), async (plan, limit) => {
      const harness = new Harness();
      try {
        await harness.open(program);
        const seen = new Map<string, Set<string>>();
        const followers = tables.map((table) => new Follower(table));
        const slow = tables.map((table) => new Follower(table));
        for (const { payments, profiles, restart } of plan) {
          if (restart) await harness.open(program);
          await harness.load([...payments.map(paid), ...profiles.map(profile)]);
          await mirrored(harness.engine);
          await expectLookups(harness.engine, seen);
          for (const follower of slow) await follower.read(harness.engine, 1, 2);
          for (const follower of followers) await follower.expectAll(harness.engine, limit);
        }
        for (const follower of slow) await follower.expectAll(harness.engine, limit);
      } finally {
        await harness.end();
      }
    }),
    { numRuns: 3, endOnFailure: process.env["SHRINK"] === undefined },
  );
});

test("while batches are committed, every reply is of the one commit that it names, and none goes back", async () => {
  const harness = new Harness();
  onTestFinished(() => harness.end());
  await harness.open(program);
  const people = Array.from({ length: 40 }, (_, i) => `person-${i}`);
  const batch = (round: number): Payment[] =>
    people.map((who, i) => ({ id: `${round}-${i}`, minute: round, who, store: 1 + (round % 3) }));
  await harness.load(batch(0).map(paid));
  await mirrored(harness.engine);
  const rounds = 10;
  const over = new AbortController();
  const mixed: number[] = [];
  // What each form gives of all rows; sums of `n` are the number of records.
  const forms: (() => Promise<LookupResult>)[] = [
    () => harness.engine.lookup("customers", { key: people }),
    () => harness.engine.lookup("everything", {}),
    () => harness.engine.lookup("per_minute", { from: "2026-01-01", limit: 10_000 }),
    () => harness.engine.lookup("visits", { from: "2026-01-01", limit: 10_000 }),
  ];
  const replies = await Promise.all([
    ...forms.map(async (form) => {
      const seen: { commit: number; n: number }[] = [];
      while (!over.signal.aborted) {
        const { commit, rows } = await form();
        seen.push({ commit, n: parsed(rows).reduce((sum, row) => sum + Number(row["n"]), 0) });
        await new Promise((resolve) => setImmediate(resolve));
      }
      return seen;
    }),
    (async () => {
      // By mirror and by table in turn: the commits of one table's replies, whatever the form.
      for (let i = 0; !over.signal.aborted; i++) {
        const given = i % 2 === 0 ? { from: "2026-01-01", limit: i + 1 } : { prefix: { who: "person-3" } };
        mixed.push((await harness.engine.lookup("per_minute", given)).commit);
      }
      return [];
    })(),
    (async () => {
      for (let round = 1; round <= rounds; round++) await harness.load(batch(round).map(paid));
      over.abort();
      return [];
    })(),
  ]);
  const counts = await harness.rows(
    `SELECT "commit"::INTEGER, sum(sum(loaded)) OVER (ORDER BY "commit")::INTEGER FROM weir.commit_counts GROUP BY "commit"`,
  );
  const loaded = new Map(counts as [number, number][]);
  for (const seen of replies) {
    for (const { commit, n } of seen) expect({ commit, n }).toEqual({ commit, n: loaded.get(commit) });
    const commits = seen.map(({ commit }) => commit);
    expect(commits).toEqual(commits.toSorted((a, b) => a - b));
  }
  expect(mixed).toEqual(mixed.toSorted((a, b) => a - b));
  expect(new Set(replies.flat().map(({ commit }) => commit)).size).toBeGreaterThan(5);
});

test("a prefix and the whole table agree while a mirror begins", async () => {
  const harness = new Harness();
  onTestFinished(() => harness.end());
  await harness.open(program);
  await harness.load(
    Array.from({ length: 500 }, (_, i) => paid({ id: `${i}`, minute: i, who: `p${i % 7}` })),
  );
  const commits: number[] = [];
  for (let i = 0; i < 100; i++) {
    const { commit, rows } = await harness.engine.lookup("per_minute", { prefix: { who: "p3" }, limit: 100 });
    expect(rows).toHaveLength(71);
    commits.push(commit);
  }
  expect(commits).toEqual(commits.toSorted((a, b) => a - b));
});

test("an index that would take more memory than it may: the table answers itself", async () => {
  const harness = new Harness({ settings: { lookupMemory: 100_000 } });
  onTestFinished(() => harness.end());
  await harness.open(program);
  await harness.load(Array.from({ length: 200 }, (_, i) => paid({ id: `${i}`, minute: i, who: `p${i}` })));
  const look = async (): Promise<Row[]> =>
    parsed((await harness.engine.lookup("customers", { key: ["p7"], select: ["who", "n"] })).rows);
  expect(await look()).toEqual([{ who: "p7", n: "1" }]);
  let lookups = (await harness.engine.status()).lookups;
  while (lookups[0]?.state === "building") lookups = (await harness.engine.status()).lookups;
  expect(lookups).toMatchObject([{ table: "customers", state: "off", memoryBytes: 0, fileBytes: 0 }]);
  expect(lookups[0]?.reason).toContain("more memory than it may");
  await harness.load([paid({ id: "new", minute: 7, who: "p7" })]);
  expect(await look()).toEqual([{ who: "p7", n: "2" }]);
});

test("changes that are not kept any more", async () => {
  const harness = new Harness({ internals: { changesKeptMs: 0, upkeepEveryMs: 0 } });
  onTestFinished(() => harness.end());
  await harness.open(program);
  await harness.load([paid({ id: "1", minute: 0, who: "ann" }), paid({ id: "2", minute: 9, who: "ann" })]);
  const { changes, next } = await harness.engine.changes("visits", { commit: 0 }, 10);
  expect(changes).toHaveLength(1);
  expect((await harness.engine.changes("visits", next, 10)).changes).toEqual([]);
  await harness.load([paid({ id: "3", minute: -9, who: "ann" })]);
  // Upkeep, which forgets, comes with the first batch of a start.
  await harness.open(program);
  await harness.load([paid({ id: "4", minute: 500, who: "bob" })]);
  await harness.load([paid({ id: "5", minute: 500, who: "bob" })]);
  await expect(harness.engine.changes("visits", next, 10)).rejects.toThrow(
    expect.objectContaining({ code: "changes_gone", message: expect.stringContaining("not kept") as string }),
  );
  expect((await harness.engine.changes("visits", { commit: 0 }, 10)).changes).toHaveLength(2);
});

test("a table that nobody looks up any more is copied no more, until somebody does", async () => {
  const harness = new Harness({ internals: { lookupIdleMs: 0 } });
  onTestFinished(() => harness.end());
  await harness.open(program);
  await harness.load([paid({ id: "1", minute: 0, who: "ann" })]);
  const look = async (): Promise<Row[]> =>
    parsed((await harness.engine.lookup("customers", { key: ["ann"], select: ["n"] })).rows);
  expect(await look()).toEqual([{ n: "1" }]);
  await harness.load([paid({ id: "2", minute: 0, who: "ann" })]);
  while ((await harness.engine.status()).lookups.length > 0);
  expect(existsSync(join(harness.dataDir, "state", "lookups", "customers"))).toBe(false);
  expect(await look()).toEqual([{ n: "2" }]);
});

test("a table with values of which SQL makes no JSON is looked up all the same, and cannot be followed", async () => {
  const harness = new Harness();
  onTestFinished(() => harness.end());
  const tables = {
    customers: rollup({ from: Paid, by: "who", measures: { n: count() } }),
    spans: derive({
      from: { c: "customers" },
      key: "who",
      keys: { c: "who" },
      sql: "SELECT who, to_days(n::INTEGER) AS span FROM c",
    }),
  };
  await harness.open(
    compileProject({ name: "shop", sources: { web: { contracts: [Paid, Profile] } }, tables }),
  );
  await harness.load([paid({ id: "1", minute: 0, who: "ann" }), paid({ id: "2", minute: 0, who: "bob" })]);
  const { rows } = await harness.engine.lookup("spans", { key: ["bob", "ann", "bob"] });
  const queriedRows = await harness.rows("SELECT who, span FROM spans ORDER BY who DESC");
  expect(parsed(rows).map(({ who, span }) => [who, span])).toEqual(queriedRows);
  expect((await harness.engine.status()).lookups).toEqual([]);
  await expect(harness.engine.changes("spans", { commit: 0 }, 1)).rejects.toThrow(
    expect.objectContaining({ code: "not_found" }),
  );
});
