import * as fc from "fast-check";
import { expect, test } from "vitest";
import { parsePosition, positionText } from "../changes/position.ts";
import type { ChangePosition } from "../changes/position.ts";
import { Harness } from "../harness.fixture.ts";
import type { Engine } from "../engine.ts";
import { keyOf, keysOf, mirrored, paid, parsed, program, queried, tables } from "./serving.fixture.ts";
import type { Payment, Row } from "./serving.fixture.ts";

const payment: fc.Arbitrary<Payment> = fc.record({
  // Few ids: the same id twice takes records back.
  id: fc.nat(60).map(String),
  minute: fc.nat(120),
  who: fc.constantFrom("ann", "bob", "cy", "", undefined),
  store: fc.integer({ min: 1, max: 3 }),
  amount: fc.constantFrom("1.00", "2.50", "-3.05"),
});

const batches = fc.array(
  fc.record({
    payments: fc.array(payment, { minLength: 1, maxLength: 12 }),
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
        for (const { payments, restart } of plan) {
          if (restart) await harness.open(program);
          await harness.load(payments.map(paid));
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
