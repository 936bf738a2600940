/** Persons and tables by person: what a user sees when persons join, and when records are taken back. */
import { compileProject, count, distinct, identity, last, person, rollup, sessions } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import type { LogRecord } from "./harness.fixture.ts";

const common = { version: "1.0.0", owner: "test", id: "id", time: "at" } as const;
const Seen = contract("seen", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    device: Type.Optional(Type.String()),
    user: Type.Optional(Type.String()),
    page: Type.Optional(Type.String()),
  }),
});
const Login = contract("login", {
  ...common,
  fields: Type.Object({ id: Type.String(), at: timestamp(), device: Type.String(), user: Type.String() }),
});

const people = identity({
  ids: [
    [Seen, ["device", "user"]],
    [Login, ["device", "user"]],
  ],
  ignore: ["guest"],
  warnAbove: 4,
});
const program = (): Program =>
  compileProject({
    name: "identity",
    sources: { web: { contracts: [Seen, Login] } },
    tables: {
      people,
      visits: sessions({
        from: Seen,
        by: person("people", ["device", "user"]),
        gap: "5m",
        measures: { seen: count() },
      }),
      pages: rollup({
        from: Seen,
        by: person("people", ["device", "user"]),
        measures: { seen: count(), pages: distinct("page"), newest: last("page") },
      }),
    },
  });

let harness: Harness;
let records = 0;
beforeEach(async () => {
  harness = new Harness();
  await harness.open(program());
});
afterEach(() => harness.end());

const record = (sent: string, minute: number, fields: object, id = `r${++records}`): LogRecord => ({
  source: "web",
  sent,
  text: JSON.stringify({ id, at: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString(), ...fields }),
});
const seen = (minute: number, fields: object, id?: string): LogRecord => record("seen", minute, fields, id);
const login = (minute: number, device: string, user: string, id?: string): LogRecord =>
  record("login", minute, { device, user }, id);

/** Ids by person: the ids of one in a list, the lists in order. */
async function persons(): Promise<string[]> {
  const rows = await harness.rows(
    "SELECT string_agg(id_kind || ' ' || id, ', ' ORDER BY id_kind, id) AS ids FROM people GROUP BY person ORDER BY ids",
  );
  return rows.map(([ids]) => String(ids));
}

/** What a table has, with any id of the person in place of its name. */
const shown = (columns: string, table: string): Promise<unknown[][]> =>
  harness.rows(
    `SELECT (SELECT min(id) FROM people p WHERE p.person = t.person), ${columns} FROM ${table} t ORDER BY ALL`,
  );

const verified = async (): Promise<void> =>
  expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);

test("a login joins what was seen before it: sessions that meet are one, groups add up, values count once", async () => {
  await harness.load([
    seen(0, { device: "d1", page: "a" }),
    seen(3, { device: "d2", page: "a" }),
    seen(6, { device: "d1", page: "b" }),
    seen(60, { device: "d2", page: "c" }),
  ]);
  expect(await persons()).toEqual(["device d1", "device d2"]);
  expect(await shown("seen, pages, newest", "pages")).toEqual([
    ["d1", "2", "2", "b"],
    ["d2", "2", "2", "c"],
  ]);
  expect(await shown("minute(session_start), minute(session_end), seen", "visits")).toHaveLength(4);
  // A batch of nothing that the tables by person are made of.
  await harness.load([login(1, "d1", "ada"), login(1, "d2", "ada")]);
  expect(await persons()).toEqual(["device d1, device d2, user ada"]);
  expect(await shown("seen, pages, newest", "pages")).toEqual([["ada", "4", "3", "c"]]);
  expect(await shown("minute(session_start), minute(session_end), seen", "visits")).toEqual([
    ["ada", "0", "0", "1"],
    ["ada", "0", "6", "3"],
  ]);
  await verified();
});

test("values to be ignored, empty ones and missing ones join nobody; who has no id has no session", async () => {
  await harness.load([
    seen(0, { device: "d1", user: "guest" }),
    seen(1, { device: "d2", user: "guest" }),
    seen(2, { device: "", user: "u" }),
    seen(3, { device: "", user: "guest", page: "x" }),
    seen(4, { page: "y" }),
  ]);
  expect(await persons()).toEqual(["device d1", "device d2", "user u"]);
  expect(await shown("seen, pages", "pages")).toEqual([
    ["d1", "1", "0"],
    ["d2", "1", "0"],
    ["u", "1", "0"],
    [null, "2", "2"],
  ]);
  expect(await shown("seen", "visits")).toEqual([
    ["d1", "1"],
    ["d2", "1"],
    ["u", "1"],
  ]);
});

test("a record that is taken back parts those whom it alone had joined, and their sessions and groups", async () => {
  await harness.load([
    seen(0, { device: "d1", page: "a" }),
    seen(1, { device: "d2", page: "a" }),
    seen(2, { device: "d3", page: "c" }),
    login(5, "d1", "ada"),
    login(5, "d2", "ada", "wrong"),
    login(5, "d3", "bob"),
  ]);
  expect(await persons()).toEqual(["device d1, device d2, user ada", "device d3, user bob"]);
  // An earlier record of that id counts in its place.
  await harness.load([login(4, "d2", "bob", "wrong")]);
  expect(await persons()).toEqual(["device d1, user ada", "device d2, device d3, user bob"]);
  expect(await shown("seen, pages", "pages")).toEqual([
    ["ada", "1", "1"],
    ["bob", "2", "2"],
  ]);
  expect(await shown("seen", "visits")).toEqual([
    ["ada", "1"],
    ["bob", "2"],
  ]);
  await verified();
});

test("a person of more ids than are to be expected is reported, and no longer once it has fewer", async () => {
  const concerns = async (): Promise<readonly string[]> =>
    (await harness.engine.status()).tables.flatMap((table) => table.concerns);
  const logins = [1, 2, 3].map((n) => login(n, `d${n}`, "shared"));
  await harness.load([...logins, login(5, "d4", "shared", "last")]);
  expect(await concerns()).toEqual([
    expect.stringMatching(/^1 person of more than 4 ids; [0-9a-f-]{36} has 5$/),
  ]);
  await harness.load([login(6, "e1", "bob"), login(7, "d1", "bob")]);
  expect(await concerns()).toEqual([expect.stringContaining(" has 7")]);
  await verified();
  await harness.load([login(4, "d4", "carol", "last")]);
  expect(await concerns()).toEqual([expect.stringContaining(" has 6")]);
  await verified();
});

test("changes name rows of persons that are gone and those that took their place", async () => {
  await harness.load([seen(0, { device: "d1" }), seen(30, { device: "d2" })]);
  const since = (await harness.engine.status()).commit;
  await harness.load([login(1, "d1", "ada"), login(1, "d2", "ada")]);
  const of = async (table: string): Promise<string[]> =>
    (await harness.engine.changes(table, { commit: since }, 100)).changes.map(({ op }) => op).toSorted();
  // Two labels were: at least one moved.
  expect((await of("people")).filter((op) => op === "delete")).toEqual([]);
  const visits = await of("visits");
  expect(visits.filter((op) => op === "upsert").length).toBe(visits.filter((op) => op === "delete").length);
  expect(visits.length).toBeGreaterThan(0);
  const [ada] = await harness.rows("SELECT person FROM people WHERE id = 'ada'");
  const groups = await harness.engine.changes("pages", { commit: since }, 100);
  const upserts = groups.changes.filter(({ op }) => op === "upsert").map(({ row }) => row);
  expect(upserts).toEqual([expect.stringContaining(String(ada?.[0]))]);
  expect(groups.changes.filter(({ op }) => op === "delete").length).toBeGreaterThan(0);
});

test("a chain of 5,000 records in one batch is one person", async () => {
  await harness.load(Array.from({ length: 5_000 }, (_, i) => login(0, `d${i >> 1}`, `u${(i + 1) >> 1}`)));
  expect(await harness.rows("SELECT count(DISTINCT person), count(*) FROM people")).toEqual([["1", "5001"]]);
  await verified();
});
