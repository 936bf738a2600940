/** Entities and records for them, crowded where mistakes would be made, and what must hold of any batches of these. */
import { Type, changeContract, contract, date, decimal, nullable, timestamp } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { entityRows } from "@weir/testkit";
import type { CleanRecord, EntityRow, HistoryRow } from "@weir/testkit";
import * as fc from "fast-check";
import { expect } from "vitest";
import { entity } from "../entity-builder.ts";
import type { TableProgram } from "../program.ts";
import type { EntitySpec } from "../table.ts";
import { EntityBench, cleanRecord, keyText } from "./entity.fixture.ts";

const db = changeContract("db");

const orders = {
  id: Type.Integer(),
  status: Type.String(),
  total: decimal({ precision: 8, scale: 2 }),
  paid: Type.Boolean(),
  placed: timestamp(),
};

const made = contract("made", {
  version: "1.0.0",
  owner: "o",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    seq: Type.Integer(),
    sku: Type.Optional(nullable(Type.String())),
    status: Type.String(),
    gone: Type.Optional(Type.Boolean()),
  }),
});
const moved = contract("moved", {
  version: "1.0.0",
  owner: "o",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    seq: Type.Integer(),
    sku: Type.Optional(nullable(Type.String())),
    place: Type.Optional(Type.String()),
    day: Type.Optional(date()),
  }),
});

const ranks = ["new", "paid", "sent"];

export interface EntityCase {
  readonly spec: EntitySpec;
  readonly contracts: readonly Contract[];
  readonly records: fc.Arbitrary<CleanRecord>;
}

const instant = fc.nat(9).map((n) => `2026-01-01T00:00:0${n}Z`);
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 3, arbitrary: value }, fc.constant(undefined));

/** Changes of a few rows with few versions, so that they meet. */
const changes: fc.Arbitrary<CleanRecord> = fc
  .record({
    id: fc.nat(10_000),
    key: fc.nat(2),
    at: instant,
    version: fc.nat(20),
    stream: fc.constantFrom("orders", "orders", "orders", "orders", "orders", "other"),
    op: fc.constantFrom(
      "snapshot",
      "insert",
      "update",
      "update",
      "update",
      "update",
      "delete",
      "truncate",
      "schema",
    ),
    status: fc.constantFrom("new", "paid", "sent", "odd", null),
    total: fc.constantFrom("1.50", "2", "NaN", "1.239", null),
    paid: fc.constantFrom("t", "f"),
    more: fc.constantFrom(undefined, "x", null),
    unknown: maybe(fc.subarray(["status", "total", "paid", "more", "gone"])),
  })
  .map(({ id, key, at, version, stream, op, unknown = [], ...row }) => {
    const [ending, all] = [op === "delete", op === "truncate" || op === "schema"];
    const whole = { id: String(key), placed: "2026-01-01 10:00:00+00", ...row };
    const told = Object.fromEntries(
      Object.entries(whole).filter(([name, value]) => value !== undefined && !unknown.includes(name)),
    );
    return cleanRecord(db, {
      id: `c${id}`,
      at,
      stream,
      op,
      key: all ? "[]" : `["${key}"]`,
      version: String(version).padStart(4, "0"),
      row: all ? null : ending ? { id: String(key) } : told,
      ...(unknown.length === 0 || all || ending ? {} : { unknown }),
    });
  });

const recordsOfContracts: fc.Arbitrary<CleanRecord> = fc
  .record({
    isMade: fc.boolean(),
    id: fc.nat(10_000).map((n) => `r${n}`),
    at: instant,
    seq: fc.nat(12),
    sku: fc.constantFrom("a", "a", "b", "b", null, undefined),
    status: fc.constantFrom("new", "paid", "sent", "odd"),
    gone: fc.constantFrom(undefined, false, false, true),
    place: fc.constantFrom("x", "y", undefined),
    day: fc.constantFrom("2026-01-01", undefined),
  })
  .map(({ isMade, status, gone, place, day, ...both }) => {
    const value = isMade ? { ...both, status, gone } : { ...both, place, day };
    return cleanRecord(isMade ? made : moved, JSON.parse(JSON.stringify(value)) as Record<string, unknown>);
  });

export const entityCases: Readonly<Record<string, EntityCase>> = {
  "a stream": {
    spec: entity({ from: "db.orders", key: "id", columns: orders }),
    contracts: [db],
    records: changes,
  },
  "a stream without declared columns": {
    spec: entity({ from: "db.orders", key: ["id"] }),
    contracts: [db],
    records: changes,
  },
  "a stream with a lattice": {
    spec: entity({ from: "db.orders", key: ["id"], columns: orders, lattice: { status: ranks } }),
    contracts: [db],
    records: changes,
  },
  "a stream whose rows say that they are deleted": {
    spec: entity({
      from: "db.orders",
      key: ["id"],
      columns: orders,
      deleted: { field: "paid", equals: true },
    }),
    contracts: [db],
    records: changes,
  },
  "a contract": {
    spec: entity({ from: made, key: ["sku"], deleted: { field: "gone", equals: true } }),
    contracts: [made, moved],
    records: recordsOfContracts,
  },
  "two contracts with a version": {
    spec: entity({
      from: [made, moved],
      key: ["sku"],
      version: "seq",
      deleted: { field: "gone", equals: true },
    }),
    contracts: [made, moved],
    records: recordsOfContracts,
  },
  "two contracts with a lattice": {
    spec: entity({ from: [moved, made], key: ["sku"], lattice: { status: ranks } }),
    contracts: [made, moved],
    records: recordsOfContracts,
  },
};

/** Records with distinct ids, and the batches in which they come. */
export const arrangements = (records: fc.Arbitrary<CleanRecord>): fc.Arbitrary<CleanRecord[][]> =>
  fc
    .tuple(
      fc.uniqueArray(records, {
        selector: ({ contract: { name }, id }) => `${name}/${id}`,
        maxLength: 24,
        size: "max",
      }),
      fc.array(fc.nat(8), { maxLength: 4 }),
    )
    .map(([all, sizes]) => {
      const batches: CleanRecord[][] = [];
      let at = 0;
      for (const size of [...sizes, all.length]) batches.push(all.slice(at, (at += size)));
      return batches;
    });

export const sorted = (rows: readonly (EntityRow | HistoryRow)[]): string[] => rows.map(rowText).toSorted();

const rowText = (row: EntityRow): string =>
  JSON.stringify(row, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : canonical(value)));

const canonical = (value: unknown): unknown =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    : Number.isNaN(value)
      ? "NaN"
      : value;

/** Keys of things whose rows are not the same in both. */
function differing(
  { key }: EntitySpec,
  before: readonly EntityRow[],
  after: readonly EntityRow[],
): Set<string> {
  const texts = (rows: readonly EntityRow[]): Set<string> =>
    new Set(rows.map((row) => `${keyText(key.map((column) => row.columns[column]))}\n${rowText(row)}`));
  const [old, now] = [texts(before), texts(after)];
  return new Set(
    [...old, ...now]
      .filter((text) => !old.has(text) || !now.has(text))
      .map((text) => text.split("\n")[0] ?? ""),
  );
}

/** Makes a change to a bench; then it must hold what the oracle states, and have told what changed. */
async function step(
  { spec }: EntityCase,
  bench: EntityBench,
  records: readonly CleanRecord[],
  change: () => Promise<void>,
): Promise<void> {
  const before = { current: await bench.current(), history: await bench.history() };
  await change();
  const after = { current: await bench.current(), history: await bench.history() };
  const expected = entityRows(spec, records);
  expect(sorted(after.current), "now").toEqual(sorted(expected.current));
  expect(sorted(after.history), "history").toEqual(sorted(expected.history));
  const changed = await bench.changedKeys();
  for (const key of differing(spec, before.current, after.current))
    expect(changed.now, "changed now").toContain(key);
  for (const key of differing(spec, before.history, after.history))
    expect(changed.history, "changed in the history").toContain(key);
  const stamped = await bench.stampedKeys();
  for (const row of after.current) {
    const key = keyText(spec.key.map((column) => row.columns[column]));
    expect(stamped.has(key), `${key} is stamped`).toBe(changed.now.has(key));
  }
}

/**
 * Merges the batches, then takes a third of the records back, and compares with the oracle after each step.
 *
 * @param defect what is wrong with the table
 */
export async function holds(
  one: EntityCase,
  batches: readonly (readonly CleanRecord[])[],
  defect?: (table: TableProgram) => TableProgram,
): Promise<void> {
  const bench = await EntityBench.open(one.spec, one.contracts, defect);
  try {
    const all: CleanRecord[] = [];
    for (const batch of batches) {
      all.push(...batch);
      await step(one, bench, all, () => bench.merge(batch));
    }
    const left = all.filter((_, i) => i % 3 > 0);
    await step(one, bench, left, () =>
      bench.retract(
        all.filter((_, i) => i % 3 === 0),
        left,
      ),
    );
  } finally {
    bench.close();
  }
}
