import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { compileProject, count, entity, identity, person, rollup, sessions } from "@weir/compile";
import { Type, contract, nullable, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";

const common = { version: "1.0.0", owner: "growth", id: "id", time: "at" } as const;
const optional = Type.Optional(nullable(Type.String()));
const Page = contract("page", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    anonymous_id: optional,
    email: optional,
    url: optional,
  }),
});
const Order = contract("order", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    customer: Type.Integer(),
    email: optional,
    total: Type.Number(),
  }),
});
const program = compileProject({
  name: "shop",
  sources: { web: { contracts: [Page, Order] } },
  tables: {
    people: identity({
      ids: [
        [Page, { anonymous_id: "anonymous_id", email: "email" }],
        [Order, { customer: "customer", email: "email" }],
      ],
    }),
    visits: sessions({
      from: Page,
      by: person("people", "anonymous_id"),
      gap: "30m",
      measures: { views: count() },
    }),
    by_url: rollup({ from: Page, by: "url", measures: { views: count() } }),
    orders: entity({ from: [Order], key: "id" }),
  },
});

let n = 0;
const at = (minute: number): string => new Date(Date.UTC(2026, 2, 1, 0, minute)).toISOString();
const page = (fields: object, id = `p${++n}`): LogRecord => ({
  source: "web",
  sent: "page",
  text: JSON.stringify({ id, at: at(n), ...fields }),
});
const order = (fields: object, id = `o${++n}`): LogRecord => ({
  source: "web",
  sent: "order",
  text: JSON.stringify({ id, at: at(n), total: 1.5, ...fields }),
});

const jane = "jane.doe@example.com";
const records = (): LogRecord[] => [
  page({ anonymous_id: "jane-phone", url: "/a" }),
  page({ anonymous_id: "jane-phone", email: jane, url: "/b" }),
  page({ anonymous_id: "joe-laptop", email: "joe@example.com", url: "/a" }),
  order({ customer: 7_000_001, email: "Jane.Doe@example.com" }),
  order({ customer: 7_000_002, email: "joe@example.com" }),
  // Refused by their contract, unknown, and unreadable.
  order({ customer: "7000001", email: jane }),
  { source: "web", sent: "nobody", text: JSON.stringify({ who: { mail: jane } }) },
  { source: "web", sent: "nobody", text: JSON.stringify({ who: { mail: `mary.${jane}` } }) },
  { source: "web", error: "invalid_json: at byte 3", bytes: Buffer.from(`{"email" "${jane}"`) },
  {
    source: "web",
    error: "invalid_utf8: at byte 3",
    bytes: Buffer.from(`{"email":"${jane}", "\xff"`, "latin1"),
  },
];

let harness: Harness;
beforeEach(async () => {
  n = 0;
  harness = new Harness();
  await harness.open(program);
  harness.engine.start();
});
afterEach(() => harness.end());

const problems = async (): Promise<unknown> => (await harness.engine.verify()).checks.filter(({ ok }) => !ok);
const asked = { identifiers: [{ kind: "email", value: jane }] };

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
  await harness.load(records().filter((record) => !isMary(record)));
  await harness.open(program);
  expect(whereIs(words)).toContain("state/weir.duckdb");
  harness.engine.start();
  await harness.engine.erasures.erase(asked);
  await harness.close();
  expect(whereIs(words).filter((path) => !path.startsWith("log/"))).toContain("state/weir.duckdb");
  await harness.open(program);
  await harness.close();
  expect(whereIs(words).filter((path) => !path.startsWith("log/"))).toEqual([]);
});
