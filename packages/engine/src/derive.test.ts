/** Derived tables: their rows are those of their SQL over the whole inputs, whatever came, changed or went. */
import { compileProject, count, derive, last, rollup, sum } from "@weir/compile";
import type { TableSpec } from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import type { LogRecord } from "./harness.fixture.ts";

const money = decimal({ precision: 12, scale: 2 });
const common = { version: "1.0.0", owner: "test", id: "event", time: "at" } as const;
const base = { event: Type.String(), at: timestamp() };
const Ordered = contract("ordered", {
  ...common,
  fields: Type.Object({ ...base, order_id: Type.Integer(), customer: Type.String() }),
});
const Paid = contract("paid", {
  ...common,
  fields: Type.Object({ ...base, payment: Type.String(), order_id: Type.Integer(), amount: money }),
});
const Joined = contract("joined", {
  ...common,
  fields: Type.Object({ ...base, customer: Type.String(), tier: Type.String() }),
});

const factsSql = `
  SELECT o.id AS order_id, any_value(o.customer ORDER BY o.customer) AS customer, max(c.tier) AS tier,
    coalesce(sum(p.amount), 0)::DECIMAL(18, 2) AS paid, count(p.payment) AS payments
  FROM o LEFT JOIN p ON p.order_id = o.id LEFT JOIN c ON c.customer = o.customer GROUP BY o.id;`;
const tiersSql = "SELECT tier, count(*) AS orders, sum(paid) AS paid FROM f GROUP BY tier";

/** Rows by key, with the latest values: tables that change as entities do. */
const inputs: Record<string, TableSpec> = {
  orders: rollup({ from: Ordered, by: "order_id", measures: { customer: last("customer") } }),
  payments: rollup({
    from: Paid,
    by: "payment",
    measures: { order_id: last("order_id"), amount: last("amount") },
  }),
  customers: rollup({ from: Joined, by: "customer", measures: { tier: last("tier"), joined: count() } }),
};

const facts = derive({
  from: { o: "orders_by_id", p: "payments", c: "customers" },
  key: "order_id",
  keys: { o: "id", p: "order_id", c: { via: "o", on: { customer: "customer" } } },
  sql: factsSql,
});
const tables: Record<string, TableSpec> = {
  tiers: derive({ from: { f: "facts" }, key: ["tier"], keys: { f: "tier" }, sql: tiersSql }),
  facts,
  // Derived from one table, to have a key of another name.
  orders_by_id: derive({
    from: { o: "orders" },
    key: "id",
    keys: { o: "order_id" },
    sql: "SELECT order_id AS id, customer FROM o",
  }),
  ...inputs,
};

const program = (wanted = tables): ReturnType<typeof compileProject> =>
  compileProject({
    name: "derived",
    sources: { shop: { contracts: [Ordered, Paid, Joined] } },
    tables: wanted,
  });

let harness: Harness;
let events = 0;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.end());

const record = (sent: string, fields: object, event = `e${++events}`, second = ++events): LogRecord => ({
  source: "shop",
  sent,
  text: JSON.stringify({
    event,
    at: `2026-01-01T00:${String(Math.trunc(second / 60)).padStart(2, "0")}:${String(second % 60).padStart(2, "0")}Z`,
    ...fields,
  }),
});
const order = (id: number, customer: string): LogRecord => record("ordered", { order_id: id, customer });
const payment = (id: string, to: number, amount: string): LogRecord =>
  record("paid", { payment: id, order_id: to, amount });
const customer = (id: string, tier: string): LogRecord => record("joined", { customer: id, tier });

const shown = (table: string): Promise<unknown[][]> => harness.rows(`SELECT * FROM ${table} ORDER BY ALL`);

/** The tables hold what their SQL gives over everything. */
async function expectWhole(): Promise<void> {
  const whole = factsSql
    .replace("FROM o ", "FROM orders_by_id o ")
    .replace("JOIN p ", "JOIN payments p ")
    .replace("JOIN c ", "JOIN customers c ")
    .replace(";", "");
  expect(await shown("facts")).toEqual(await shown(`(${whole})`));
  expect(await shown("tiers")).toEqual(await shown(`(${tiersSql.replace("FROM f", "FROM facts")})`));
  expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
}

test("rows follow each input, through other inputs, and tables derived from them follow", async () => {
  await harness.open(program());
  await harness.load([order(1, "ada"), order(2, "bob"), payment("p1", 1, "10.00")]);
  expect(await shown("facts")).toEqual([
    ["1", "ada", null, "10.00", "1"],
    ["2", "bob", null, "0.00", "0"],
  ]);
  // A customer, known to its orders only through them.
  await harness.load([customer("ada", "gold")]);
  expect(await shown("facts")).toEqual([
    ["1", "ada", "gold", "10.00", "1"],
    ["2", "bob", null, "0.00", "0"],
  ]);
  expect(await shown("tiers")).toEqual([
    ["gold", "1", "10.00"],
    [null, "1", "0.00"],
  ]);
  // A payment moves to another order: the one that it leaves is computed anew too.
  await harness.load([payment("p1", 2, "11.00")]);
  expect(await shown("facts")).toEqual([
    ["1", "ada", "gold", "0.00", "0"],
    ["2", "bob", null, "11.00", "1"],
  ]);
  // An order changes hands.
  await harness.load([order(2, "ada"), payment("p9", 9, "1.00")]);
  expect(await shown("tiers")).toEqual([["gold", "2", "11.00"]]);
  await expectWhole();
});

test("a row that goes takes its derived row with it", async () => {
  await harness.open(program());
  const at = ++events;
  await harness.load([
    record("ordered", { order_id: 5, customer: "eve" }, "same", at),
    customer("eve", "new"),
  ]);
  expect(await shown("tiers")).toEqual([["new", "1", "0.00"]]);
  // Another record with that id is earlier: it counts, and order 5 never was.
  await harness.load([
    record("ordered", { order_id: 6, customer: "eve" }, "same", at - 1),
    payment("p5", 5, "2.00"),
  ]);
  expect(await shown("facts")).toEqual([["6", "eve", "new", "0.00", "0"]]);
  await harness.load([record("ordered", { order_id: 6, customer: "zoe" }, "same", at - 2)]);
  expect(await shown("tiers")).toEqual([[null, "1", "0.00"]]);
  await expectWhole();
});

test("only rows that differ are written, so that what follows is told of no others", async () => {
  await harness.open(program());
  await harness.load([order(1, "ada"), order(2, "bob"), customer("ada", "gold")]);
  const before = await harness.rows("SELECT order_id, _commit FROM state.facts ORDER BY ALL");
  // The same tier again: the row of the customer changes (`joined`), those of its orders do not.
  await harness.load([customer("ada", "gold"), order(2, "cyd")]);
  const after = await harness.rows("SELECT order_id, _commit FROM state.facts ORDER BY ALL");
  expect(after[0]).toEqual(before[0]);
  expect(after[1]).not.toEqual(before[1]);
});

test("a table that is new, changed, or reads a changed one is built as it would have become", async () => {
  await harness.open(program({ ...inputs }));
  await harness.load([order(1, "ada"), customer("ada", "gold"), payment("p1", 1, "3.00"), order(2, "bob")]);
  await harness.open(program());
  await expectWhole();
  expect(await shown("tiers")).toEqual([
    ["gold", "1", "3.00"],
    [null, "1", "0.00"],
  ]);
  // What was built goes on as if it had been there: links are known.
  await harness.load([payment("p1", 2, "3.00")]);
  await expectWhole();
  // Another type of an input's column.
  const counted = rollup({ from: Joined, by: "customer", measures: { tier: count(), joined: sum("event") } });
  expect(() => program({ ...tables, customers: counted })).toThrow(/sum needs a number/);
  await harness.open(
    program({ ...tables, customers: rollup({ from: Joined, by: "customer", measures: { tier: count() } }) }),
  );
  expect(await shown("tiers")).toEqual([
    ["1", "1", "0.00"],
    [null, "1", "3.00"],
  ]);
  await expectWhole();
});

test("verify finds rows that depend on those of other keys", async () => {
  const sql = "SELECT order_id, customer, (SELECT count(*) FROM o) AS orders FROM o";
  const shares = derive({ from: { o: "orders" }, key: "order_id", keys: { o: "order_id" }, sql });
  await harness.open(program({ orders: tables["orders"] as TableSpec, shares }));
  await harness.load([order(1, "ada")]);
  expect((await harness.engine.verify()).ok).toBe(true);
  await harness.load([order(2, "bob")]);
  const { checks } = await harness.engine.verify();
  expect(checks.filter(({ ok }) => !ok)).toEqual([
    { name: "rows of shares", ok: false, detail: expect.stringContaining("4 rows are not as its SQL") },
  ]);
});

test("SQL that fails on a record sets its table aside, and what reads it; all else goes on", async () => {
  const aged = derive({
    from: { c: "customers" },
    key: "customer",
    keys: { c: "customer" },
    sql: "SELECT customer, tier::BIGINT AS years FROM c",
  });
  const sums = derive({
    from: { a: "aged" },
    key: "years",
    keys: { a: "years" },
    sql: "FROM a SELECT DISTINCT years",
  });
  const withAged = { ...inputs, facts, orders_by_id: tables["orders_by_id"] as TableSpec, aged, sums };
  await harness.open(program(withAged));
  await harness.load([customer("ada", "7")]);
  await harness.load([customer("bob", "many"), customer("cyd", "8"), order(1, "cyd")]);
  expect(await shown("aged")).toEqual([["ada", "7"]]);
  expect(await shown("facts")).toEqual([["1", "cyd", "8", "0.00", "0"]]);
  const isTold = async (): Promise<void> => {
    const { tables: found } = await harness.engine.status();
    expect(found.filter(({ concerns }) => concerns.length > 0)).toMatchObject([
      { name: "aged", concerns: [expect.stringContaining("Could not convert string '...' to INT64")] },
      { name: "sums", concerns: [expect.stringContaining("It reads aged, which is set aside.")] },
    ]);
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toMatchObject([
      { name: "tables" },
    ]);
  };
  await isTold();
  expect(harness.events.filter(({ kind }) => kind === "table_set_aside")).toMatchObject([
    { table: "aged", reason: expect.stringContaining("string '...' to INT64") },
    { table: "sums" },
  ]);
  await harness.load([customer("dan", "9"), order(2, "dan")]);
  expect(await shown("facts")).toHaveLength(2);
  // It still fails, and is as it was.
  await harness.open(program(withAged));
  await isTold();
  expect(await shown("aged")).toEqual([["ada", "7"]]);
  // The record is corrected: the next start builds the table.
  await harness.load([customer("bob", "1")]);
  await harness.open(program(withAged));
  expect(await shown("aged")).toEqual([
    ["ada", "7"],
    ["bob", "1"],
    ["cyd", "8"],
    ["dan", "9"],
  ]);
  expect(await shown("sums")).toHaveLength(4);
  await harness.load([customer("ada", "6")]);
  expect(await shown("sums")).toEqual([["1"], ["6"], ["8"], ["9"]]);
  expect((await harness.engine.verify()).ok).toBe(true);
  // One that is new and fails is empty.
  await harness.load([customer("eve", "none")]);
  await harness.open(program({ ...withAged, aged: { ...aged, sql: `${aged.sql} WHERE TRUE` } }));
  expect(await shown("aged")).toEqual([]);
  await harness.open(
    program({
      ...withAged,
      aged: { ...aged, sql: aged.sql.replace("tier::BIGINT", "TRY_CAST(tier AS BIGINT)") },
    }),
  );
  expect(await shown("aged")).toHaveLength(5);
  expect((await harness.engine.verify()).ok).toBe(true);
});

test("what cannot be is said when the project is compiled", () => {
  const problem = (change: Partial<Parameters<typeof derive>[0]>): string => {
    const spec = derive({
      from: { o: "orders", p: "payments" },
      key: "order_id",
      keys: { o: "order_id", p: "order_id" },
      sql: "FROM o",
      ...change,
    });
    try {
      program({ ...inputs, facts: spec });
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(problem({})).toBe("");
  expect(problem({ sql: " ; " })).toBe(`table facts: "sql" is empty. It must be one SELECT.`);
  expect(problem({ key: [] })).toContain(`"key" names no column`);
  expect(problem({ keys: { o: "order_id" } })).toContain(
    `table facts: "keys" does not say how rows of "p" tell their key`,
  );
  expect(problem({ keys: { o: "order_id", p: "order_id", x: "a" } })).toContain(
    `"x", which is not in "from"`,
  );
  expect(problem({ keys: { o: "order_id", p: { via: "q", on: { a: "b" } } } })).toContain(
    `via "q", which is not in "from"`,
  );
  expect(problem({ keys: { o: { via: "p", on: { a: "b" } }, p: { via: "o", on: { a: "b" } } } })).toContain(
    "goes round in a circle",
  );
  expect(problem({ key: ["order_id", "line"] })).toContain(`"keys.o" must name the columns`);
  expect(
    problem({
      key: ["order_id", "line"],
      keys: { o: { order_id: "order_id" }, p: { order_id: "order_id", line: "payment" } },
    }),
  ).toContain("the same columns of the key for every input");
  expect(problem({ from: { o: "orders", p: "nothing" } })).toContain(`reads the table "nothing"`);
  expect(problem({ from: { o: "orders", p: "facts" } })).toContain("it reads itself");
  expect(problem({ from: { O: "orders" }, keys: { O: "order_id" } })).toContain(`the name "O" in "from"`);
});
