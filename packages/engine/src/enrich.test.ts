/** Enriched records: their parent as it is or as it was, whichever comes first. */
import { compileProject, derive, enrich, entity } from "@weir/compile";
import type { TableSpec } from "@weir/compile";
import { Type, changeContract, changeText, contract, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import type { LogRecord } from "./harness.fixture.ts";
import { edited, withTable } from "./order-free/defects.fixture.ts";

const Ordered = contract("ordered", {
  version: "1.0.0",
  owner: "test",
  id: "order_id",
  time: "at",
  fields: Type.Object({
    order_id: Type.Integer(),
    at: timestamp(),
    customer: Type.Optional(Type.Integer()),
    ship: Type.Optional(Type.Object({ city: Type.String() })),
  }),
});

const common = { from: Ordered, to: "customers", on: { customer: "id" }, take: ["tier", "country"] } as const;
const tables: Record<string, TableSpec> = {
  as_is: enrich({ ...common, keep: "ship.city" }),
  as_was: enrich({ ...common, asOf: true, prefix: "customer_" }),
  patient: enrich({ ...common, take: "tier", grace: "1h" }),
  by_tier: derive({
    from: { n: "as_is" },
    key: "tier",
    keys: { n: "tier" },
    sql: "SELECT tier, count(*) AS orders FROM n GROUP BY tier",
  }),
  seen: derive({
    from: { p: "patient" },
    key: "order_id",
    keys: { p: "order_id" },
    sql: "SELECT order_id, tier FROM p",
  }),
  customers: entity({
    from: "db.customers",
    key: "id",
    columns: { id: Type.Integer(), tier: Type.String(), country: Type.String() },
  }),
};

const program = (wanted = tables): ReturnType<typeof compileProject> =>
  compileProject({
    name: "enriched",
    sources: { shop: { contracts: [Ordered] }, db: { contracts: [changeContract("db")] } },
    tables: wanted,
  });

const time = (minute: number): string =>
  `2026-01-01T${String(10 + Math.trunc(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}:00Z`;
const receivedUs = (minute: number): number => Date.parse(time(minute)) * 1000;

const order = (id: number, minute: number, customer?: number, received = 0): LogRecord => ({
  source: "shop",
  sent: "ordered",
  receivedUs: receivedUs(received),
  text: JSON.stringify({ order_id: id, at: time(minute), customer, ship: { city: "Rome" } }),
});

/** Versions and times go together, unless told otherwise. */
function change(
  id: number,
  minute: number,
  row: Record<string, string | null> | null,
  {
    unknown,
    op,
    received = 0,
    stream = "customers",
    order = minute,
  }: { unknown?: string[]; op?: "truncate"; received?: number; stream?: string; order?: number } = {},
): LogRecord {
  const version = String(order).padStart(6, "0");
  const { text } = changeText({
    id: `${id}/${version}`,
    at: time(minute),
    stream,
    op: op ?? (row === null ? "delete" : "update"),
    key: op === "truncate" ? "[]" : JSON.stringify([String(id)]),
    version,
    row: op === "truncate" ? null : { id: String(id), ...row },
    ...(unknown === undefined ? {} : { unknown }),
  });
  return { source: "db", sent: "db", receivedUs: receivedUs(received), text };
}

let harness: Harness;
beforeEach(async () => {
  harness = new Harness();
  await harness.open(program());
});
afterEach(() => harness.end());

const shown = (table: string, columns: string): Promise<unknown[][]> =>
  harness.rows(`SELECT ${columns} FROM ${table} ORDER BY ALL`);
const now = (): Promise<unknown[][]> => shown("as_is", "order_id, tier, country, _matched");
const then = (): Promise<unknown[][]> =>
  shown("as_was", "order_id, customer_tier, customer_country, _matched");
const verified = async (): Promise<void> =>
  expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);

test("a late parent, its changes and its end reach the records that name it", async () => {
  await harness.load([order(1, 10, 7), order(2, 30, 7), order(3, 10, 8), order(4, 10)]);
  expect(await now()).toEqual([1, 2, 3, 4].map((id) => [String(id), null, null, false]));
  expect(await shown("by_tier", "*")).toEqual([[null, "4"]]);
  await harness.load([change(7, 5, { tier: "new", country: "IT" })]);
  expect(await now()).toEqual([
    ["1", "new", "IT", true],
    ["2", "new", "IT", true],
    ["3", null, null, false],
    ["4", null, null, false],
  ]);
  await harness.load([change(7, 20, { tier: "gold" }, { unknown: ["country"] })]);
  expect((await now()).slice(0, 2)).toEqual([
    ["1", "gold", "IT", true],
    ["2", "gold", "IT", true],
  ]);
  expect(await shown("by_tier", "*")).toEqual([
    ["gold", "2"],
    [null, "2"],
  ]);
  // As it was: what was not known of a state is what was known before.
  expect((await then()).slice(0, 2)).toEqual([
    ["1", "new", "IT", true],
    ["2", "gold", "IT", true],
  ]);
  await harness.load([change(7, 25, null)]);
  expect((await now()).slice(0, 2)).toEqual([
    ["1", null, null, false],
    ["2", null, null, false],
  ]);
  expect((await then()).slice(0, 2)).toEqual([
    ["1", "new", "IT", true],
    ["2", null, null, false],
  ]);
  await verified();
});

test("an older change that comes late changes what was, not what is", async () => {
  await harness.load([order(1, 10, 7), order(2, 30, 7), change(7, 20, { tier: "gold", country: "IT" })]);
  expect(await then()).toEqual([
    ["1", null, null, false],
    ["2", "gold", "IT", true],
  ]);
  await harness.load([change(7, 5, { tier: "new", country: "FR" })]);
  expect(await then()).toEqual([
    ["1", "new", "FR", true],
    ["2", "gold", "IT", true],
  ]);
  expect(await now()).toEqual([
    ["1", "gold", "IT", true],
    ["2", "gold", "IT", true],
  ]);
  expect(await shown("as_is", "_parent_version")).toEqual([["000020"], ["000020"]]);
  // At the very moment of a change its state is in force.
  await harness.load([order(5, 5, 7), order(6, 20, 7)]);
  expect((await then()).slice(2)).toEqual([
    ["5", "new", "FR", true],
    ["6", "gold", "IT", true],
  ]);
});

test("where clocks disagree with versions, a late older change moves the beginning of newer ones", async () => {
  // The newer version says that it happened before the older one did.
  await harness.load([
    change(7, 5, { tier: "gold" }, { order: 20 }),
    order(1, 7, 7),
    order(2, 12, 7),
    order(3, 7, 8),
  ]);
  expect((await then()).map((row) => row[1])).toEqual(["gold", "gold", null]);
  await harness.load([change(7, 10, { tier: "new" }, { order: 10 })]);
  expect((await then()).map((row) => row[1])).toEqual([null, "gold", null]);
  // A fence between the two, from before both.
  await harness.load([change(8, 6, { tier: "old" }, { order: 15 })]);
  await harness.load([change(0, 2, null, { op: "truncate", order: 17 })]);
  expect((await then()).map((row) => row[1])).toEqual([null, "gold", null]);
  await harness.load([change(8, 1, { tier: "older" }, { order: 12 })]);
  expect((await then()).map((row) => row[1])).toEqual([null, "gold", null]);
  await verified();
});

test("a fence ends what it fences, also when it comes after newer states", async () => {
  await harness.load([
    change(7, 5, { tier: "new" }),
    change(8, 5, { tier: "new" }),
    change(7, 20, { tier: "gold" }),
  ]);
  await harness.load([order(1, 8, 7), order(2, 15, 7), order(3, 25, 7), order(4, 15, 8)]);
  expect((await then()).map((row) => row[1])).toEqual(["new", "new", "gold", "new"]);
  await harness.load([change(0, 10, null, { op: "truncate" })]);
  expect((await then()).map((row) => row[1])).toEqual(["new", null, "gold", null]);
  expect((await now()).map((row) => row[1])).toEqual(["gold", "gold", "gold", null]);
  await verified();
});

test("a record without a parent waits for it, for the grace and no longer", async () => {
  const patient = (): Promise<unknown[][]> => shown("patient", "order_id, tier, _matched");
  await harness.load([order(1, 10, 7), order(2, 10, 8)]);
  expect(await patient()).toEqual([]);
  await harness.load([change(7, 5, { tier: "new" }, { received: 30 })]);
  expect(await patient()).toEqual([["1", "new", true]]);
  expect(await shown("seen", "*")).toEqual([["1", "new"]]);
  // 59 minutes after, and another record that has to wait.
  await harness.load([order(3, 10, 9, 59)]);
  expect(await patient()).toEqual([["1", "new", true]]);
  // An hour after, by a record that has nothing to do with it.
  await harness.load([change(99, 1, { tier: "new" }, { received: 60, stream: "products" })]);
  expect(await patient()).toEqual([
    ["1", "new", true],
    ["2", null, false],
  ]);
  expect(await shown("seen", "*")).toEqual([
    ["1", "new"],
    ["2", null],
  ]);
  // The grace knows no way back: what comes late does not make it earlier.
  await harness.load([order(4, 10, 9, 1), change(7, 50, null, { received: 20 })]);
  expect((await patient()).map((row) => row[0])).toEqual(["1", "2", "4"].filter((id) => id !== "4"));
  expect(await shown("patient", "order_id, _matched")).toEqual([
    ["1", false],
    ["2", false],
  ]);
  await harness.load([change(9, 5, { tier: "late" }, { received: 61 })]);
  expect(await patient()).toEqual([
    ["1", null, false],
    ["2", null, false],
    ["3", "late", true],
    ["4", "late", true],
  ]);
  await verified();
});

test("a record that another takes the place of is enriched as that", async () => {
  await harness.load([change(7, 5, { tier: "new" }), change(8, 5, { tier: "old" }), order(1, 20, 7)]);
  expect(await shown("as_is", 'order_id, "at", customer, tier')).toEqual([
    ["1", "2026-01-01 10:20:00", "7", "new"],
  ]);
  await harness.load([order(1, 10, 8)]);
  expect(await shown("as_is", 'order_id, "at", customer, tier')).toEqual([
    ["1", "2026-01-01 10:10:00", "8", "old"],
  ]);
  expect(await shown("by_tier", "*")).toEqual([["old", "1"]]);
  await verified();
});

test("verify finds rows that fell behind their parents", async () => {
  const isDeaf = withTable("as_is", (table) => ({
    ...table,
    merge: edited(table.merge, /SEMI JOIN ("changed_customers")/, "SEMI JOIN (FROM $1 LIMIT 0)"),
  }));
  const isBlind = withTable("as_was", (table) => ({ ...table, watches: [] }));
  await harness.open(isBlind(isDeaf(program())));
  await harness.load([change(7, 5, { tier: "new" }), order(1, 10, 7)]);
  await verified();
  await harness.load([change(7, 8, { tier: "gold" })]);
  expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([
    { name: "parents of as_is", ok: false, detail: "does not hold in 1 cases" },
    { name: "parents of as_was", ok: false, detail: "does not hold in 1 cases" },
  ]);
});

test("built anew it is as it was, and goes on", async () => {
  await harness.load([change(7, 5, { tier: "new" }), order(1, 10, 7), change(7, 20, { tier: "gold" })]);
  await harness.load([order(2, 30, 7), order(3, 30, 8)]);
  const before = [await shown("as_is", "*"), await shown("as_was", "*"), await shown("patient", "*")];
  await harness.open(program({ customers: tables["customers"] as TableSpec }));
  await harness.open(program());
  expect([await shown("as_is", "*"), await shown("as_was", "*"), await shown("patient", "*")]).toEqual(
    before,
  );
  await harness.load([change(8, 5, { tier: "late" })]);
  expect((await then()).map((row) => row[1])).toEqual(["new", "gold", "late"]);
});

test("what cannot be is said when the project is compiled", () => {
  const problem = (change: Partial<Parameters<typeof enrich>[0]>): string => {
    try {
      program({ ...tables, as_is: enrich({ ...common, ...change }) });
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(problem({})).toBe("");
  expect(problem({ to: "by_tier" })).toBe(
    'table as_is: "to" must name an entity; "by_tier" is a table of the kind derive.\n' +
      "table as_is: it reads itself: as_is reads by_tier reads as_is. Break the cycle.",
  );
  expect(problem({ to: "nothing" })).toContain('reads the table "nothing"');
  expect(problem({ take: [] })).toContain('"take" names no column');
  expect(problem({ take: ["name"] })).toContain('"customers" has no column "name" with a type of its own');
  expect(problem({ on: { customer: "id", order_id: "tier" } })).toContain("for each column of the key");
  expect(problem({ on: { "ship.city": "id" } })).toContain('"ship.city" of the record is a string, "id" of');
  expect(problem({ on: { nobody: "id" } })).toContain('no field "nobody"');
  expect(problem({ keep: ["ship.zip"] })).toContain('no field "ship.zip"');
  expect(problem({ take: ["id"], prefix: "order_" })).toContain('two columns are named "order_id"');
  expect(problem({ prefix: "my " })).toContain('the prefix "my "');
});
