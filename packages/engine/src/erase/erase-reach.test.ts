/** What an erasure reaches though no contract takes it: records that left the quarantine, copies, contracts that are gone. */
import { compileProject, count, entity, rollup } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, changeContract, contract, pii, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Sql } from "../database.ts";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { scan } from "../privacy/byte-scan.fixture.ts";
import { taskEnd } from "../tasks/task-end.fixture.ts";

const at = "2026-03-01T00:00:00Z";
const jane = "jane-needle";
const asked = { identifiers: [{ kind: "user", value: jane }] };

/** @param isTagged whether a field is tagged, so that what fails is sealed */
function project(isTagged: boolean, name = "seen"): Program {
  const seen = contract(name, {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      user: Type.String(),
      ...(isTagged ? { email: Type.Optional(pii.email()) } : {}),
    }),
  });
  return compileProject({
    name: "reach",
    sources: { web: { contracts: [seen] } },
    tables: { per_user: rollup({ from: seen, by: "user", measures: { n: count() } }) },
    privacy: { subjects: [[seen, { user: "user" }]] },
  });
}

let harness: Harness;
beforeEach(() => {
  harness = new Harness({ internals: { upkeepEveryMs: 20 } });
});
afterEach(() => harness.end());

const problems = async (): Promise<unknown> => (await harness.engine.verify()).checks.filter(({ ok }) => !ok);
const record = (sent: string, fields: object, source = "web"): LogRecord => ({
  source,
  sent,
  text: JSON.stringify({ at, ...fields }),
});

async function open(program: Program): Promise<void> {
  await harness.open(program);
  harness.engine.start();
}

/** What `raw` has, as it was received. */
async function received(): Promise<string> {
  const texts = (await harness.rows("SELECT text FROM raw")).map(String);
  const { vault } = harness.engine;
  const opened = vault === undefined ? texts : await vault.restoreTexts(texts);
  return opened.map((text) => `${text} ${Buffer.from(text ?? "", "base64").toString("latin1")}`).join("\n");
}

test.each([true, false])(
  "records that were discarded are the person's too, and those of others stay; sealed: %s",
  async (isTagged) => {
    await open(project(isTagged));
    await harness.load([
      record("other", { id: "1", user: jane }),
      record("seen@9.0.0", { id: "2", user: jane }),
      record("seen", { id: 3, user: jane }),
      record("other", { id: "4", user: `${jane}-2` }),
      record("seen", { id: 5, user: "joe-needle" }),
      { source: "web", error: "invalid_json", bytes: Buffer.from(`{"user":"${jane}"`) },
    ]);
    const { id } = await harness.engine.tasks.quarantine(
      { action: "discard", why: "old", share: 1 },
      "tester",
    );
    await taskEnd(harness, id);
    expect(await harness.rows("FROM quarantine")).toEqual([]);
    const done = await harness.engine.erasures.erase(asked);
    expect(done.evidence?.zones).toEqual({ raw: 4 });
    expect(await received()).not.toMatch(/jane-needle(?!-2)/);
    expect(await received()).toContain("joe-needle");
    expect(await harness.rows("SELECT count(*)::INT FROM raw")).toEqual([[2]]);
    expect(await problems()).toEqual([]);
  },
);

test("a record that is known as the person's only once it is judged again leaves raw too", async () => {
  await open(project(false, "other"));
  const short = { identifiers: [{ kind: "user", value: "42" }] };
  await harness.load([
    record("seen", { id: "1", user: "42" }),
    record("seen", { id: "2", user: "43" }),
    record("other", { id: "3", user: "42" }),
  ]);
  await harness.engine.erasures.erase(short);
  expect(await harness.rows("SELECT count(*)::INT FROM quarantine")).toEqual([[2]]);
  await open(project(false));
  const { id } = await harness.engine.tasks.quarantine({ action: "reprocess", share: 1 }, "tester");
  expect((await taskEnd(harness, id)).progress.counts).toMatchObject({ loaded: 1, suppressed: 1 });
  expect(await harness.rows("SELECT contract, text FROM raw")).toEqual([
    ["seen", JSON.stringify({ at, id: "2", user: "43" })],
  ]);
  expect(await harness.rows("SELECT id FROM seen")).toEqual([["2"]]);
  expect(await problems()).toEqual([]);
});

test("a record that is known as the person's only once it is judged again leaves raw too: a replay", async () => {
  await open(project(false, "other"));
  const short = { identifiers: [{ kind: "user", value: "42" }] };
  await harness.load([
    record("seen", { id: "1", user: "42" }),
    record("seen", { id: "2", user: "43" }),
    record("other", { id: "3", user: "42" }),
  ]);
  await harness.engine.erasures.erase(short);
  expect(await harness.rows("SELECT count(*)::INT FROM quarantine")).toEqual([[2]]);
  await open(project(false));
  const { id } = await harness.engine.tasks.replay(
    { from: "2026-01-01", swap: "always", share: 1 },
    "tester",
  );
  expect(await taskEnd(harness, id)).toMatchObject({ state: "done", error: null });
  expect(await harness.rows("SELECT contract, text FROM raw")).toEqual([
    ["seen", JSON.stringify({ at, id: "2", user: "43" })],
  ]);
  expect(await harness.rows("SELECT id FROM seen")).toEqual([["2"]]);
  expect(await problems()).toEqual([]);
});

test("of a captured row that came twice both copies go", async () => {
  const customers = changeContract("db", { "public.customers": { email: "email" } });
  await open(
    compileProject({
      name: "reach",
      sources: { db: { contracts: [customers] } },
      tables: {
        customers: entity({
          from: "db.public.customers",
          key: "id",
          columns: { id: Type.String(), email: Type.String() },
        }),
      },
    }),
  );
  const change = (id: number, email: string): LogRecord =>
    record(
      "db",
      {
        id: `c${id}`,
        stream: "public.customers",
        op: "insert",
        key: `["${id}"]`,
        version: "1",
        row: { id, email },
      },
      "db",
    );
  const all = [change(1, "jane@example.com"), change(2, "joe@example.com")];
  await harness.load(all);
  await harness.load(all);
  await harness.engine.erasures.erase({ identifiers: [{ kind: "email", value: "jane@example.com" }] });
  expect(await received()).not.toContain("jane");
  expect(await received()).toMatch(/joe[^]*joe/);
  expect(await problems()).toEqual([]);
});

test("a tagged field names the person whatever its name is", async () => {
  const names = ["user.email", 'to "whom"', "e'mail", "a/b~c", "é"];
  const mail = contract("mail", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({
      id: Type.String(),
      at: timestamp(),
      of: Type.Object(Object.fromEntries(names.map((name) => [name, Type.Optional(pii.email())]))),
    }),
  });
  await open(compileProject({ name: "reach", sources: { web: { contracts: [mail] } }, tables: {} }));
  await harness.load(
    names.map((name, i) => record("mail", { id: String(i), of: { [name]: "jane@example.com" } })),
  );
  const done = await harness.engine.erasures.erase({
    identifiers: [{ kind: "email", value: "jane@example.com" }],
  });
  expect(done.evidence?.zones).toEqual({ clean: names.length, raw: names.length });
  expect(await problems()).toEqual([]);
});

test("records of a contract that the project does not declare any more are the person's too", async () => {
  await open(project(false));
  await harness.load([record("seen", { id: "1", user: jane }), record("seen", { id: "2", user: "joe" })]);
  // The one with the earlier event time counts.
  await harness.load([record("seen", { id: "1", user: jane, at: "2026-02-01T00:00:00Z" })]);
  await open(project(false, "renamed"));
  await harness.load([record("renamed", { id: "1", user: jane })]);
  const plan = await harness.engine.erasures.plan(asked);
  expect(plan.contracts).toMatchObject([
    { contract: "renamed", of: 1 },
    { contract: "seen", of: 2 },
  ]);
  const done = await harness.engine.erasures.erase(asked);
  expect(done.evidence?.contracts).toEqual([
    { contract: "renamed", source: "web", records: 1 },
    { contract: "seen", source: "web", records: 1 },
  ]);
  expect(await problems()).toEqual([]);
  // With its tables as well, once it is declared again.
  await open(project(false));
  expect(await harness.rows('SELECT "user", n::INT FROM per_user')).toEqual([["joe", 1]]);
  expect(await problems()).toEqual([]);
  await harness.close();
  expect(await scan(harness.dataDir, [jane])).toEqual([]);
});

test("what is loaded while files are looked at is looked at too", async () => {
  await open(project(false));
  const seen = (id: string, user = jane): LogRecord => record("seen", { id, user });
  await harness.load([seen("a"), seen("b", "joe")]);
  const run: (this: Sql, sql: string) => Promise<void> = Object.getOwnPropertyDescriptor(
    Sql.prototype,
    "run",
  )?.value;
  let looks = 0;
  const spy = vi.spyOn(Sql.prototype, "run").mockImplementation(async function (this: Sql, sql: string) {
    // Of two looks before the commit the last: what it marks as seen is not read again.
    if (sql.startsWith("INSERT INTO erase_looked") && ++looks === 2)
      await harness.load([seen("c"), seen("d", "joe")]);
    await run.call(this, sql);
  });
  try {
    await harness.engine.erasures.erase(asked);
  } finally {
    spy.mockRestore();
  }
  expect(looks).toBe(3);
  expect(await harness.rows("SELECT id FROM seen ORDER BY id")).toEqual([["b"], ["d"]]);
  expect(await harness.rows("SELECT json_extract_string(text, '$.id') FROM raw ORDER BY 1")).toEqual([
    ["b"],
    ["d"],
  ]);
  expect(await problems()).toEqual([]);
});

test("who is called as a field is: records of others that failed stay, and those that fail later", async () => {
  await open(project(true));
  const failed = [
    record("other", { id: "1", email: "joe@example.com" }),
    record("seen", { id: 2, user: "joe-needle", email: "joe@example.com" }),
    record("seen", { id: 3, user: "email" }),
  ];
  await harness.load(failed);
  const request = { identifiers: [{ kind: "user", value: "email" }] };
  const done = await harness.engine.erasures.erase(request);
  expect(done.evidence).toMatchObject({ zones: { quarantine: 1, raw: 1 }, tooShortForTexts: 1 });
  await harness.load(failed);
  expect(await harness.rows("SELECT count(*)::INT FROM quarantine")).toEqual([[4]]);
  expect(await problems()).toEqual([]);
});

test("records that failed count for what an erasure may reach", async () => {
  await open(project(false));
  await harness.load(
    Array.from({ length: 1000 }, (_, i) =>
      record("other", { id: i, ...(i < 101 ? { from: "google" } : {}) }),
    ),
  );
  const request = { identifiers: [{ kind: "user", value: "google" }] };
  const { tooMuch } = await harness.engine.erasures.plan(request);
  expect(tooMuch).toEqual(["101 of 1000 records of the quarantine, more than 10 %"]);
  await expect(harness.engine.erasures.erase(request)).rejects.toMatchObject({ code: "erasure_too_large" });
});
