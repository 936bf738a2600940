import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { canonicalJson } from "@weir/contract";
import type { JsonObject } from "@weir/contract";
import type { Chances, Fault, SalesforceServerOptions, StandObject } from "@weir/testkit";
import { SalesforceServer, VirtualClock, capturedRows, seeded } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { type Death, MemoryContext } from "../web/memory-context.fixture.ts";
import { createSalesforceCapture } from "./capture.ts";
import { type SalesforceOptions, salesforce } from "./declare.ts";

const startMs = Date.UTC(2026, 10, 1);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

interface Org {
  readonly clock: VirtualClock;
  readonly server: SalesforceServer;
  readonly account: StandObject;
  readonly memory: MemoryContext;
  run(untilMs: number, death?: Death): Promise<"idle" | "dead">;
  /** Runs on, for so long. */
  pass(ms: number): Promise<"idle" | "dead">;
}

async function org(
  seed: number,
  server: Partial<SalesforceServerOptions> = {},
  options: Partial<SalesforceOptions> = {},
  idleMs = 10_000,
): Promise<Org> {
  const clock = new VirtualClock(startMs);
  const stand = await SalesforceServer.start({
    now: () => clock.now(),
    seed,
    pageRows: 20,
    bulkPageRows: 25,
    ...server,
  });
  onTestFinished(() => stand.close());
  const stateDir = mkdtempSync(join(tmpdir(), "weir-salesforce-"));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const account = stand.define("Account", "001", [
    { name: "Name", type: "string", length: 255 },
    { name: "Description", type: "textarea", length: 32_000 },
    { name: "AnnualRevenue", type: "currency", precision: 18, scale: 2 },
    { name: "IsPartner__c", type: "boolean" },
    { name: "SignedOn__c", type: "date" },
    { name: "CheckedAt__c", type: "datetime" },
    { name: "BillingAddress", type: "address" },
    { name: "Body", type: "base64" },
  ]);
  const memory = new MemoryContext();
  const spec = salesforce({
    loginUrl: stand.url,
    auth: { clientId: "app", clientSecret: "secret" },
    objects: ["Account"],
    bulkRows: 60,
    ...options,
  });
  const chances = seeded(seed);
  const random = () => chances.below(1000) / 1000;
  const run = (untilMs: number, death?: Death) =>
    memory.run(createSalesforceCapture(spec, { stateDir, clock, random, idleMs }), clock, untilMs, death);
  return { clock, server: stand, account, memory, run, pass: (ms) => run(clock.now() + ms) };
}

/** Rows that there are, as the REST API shows them but for what is no value. */
function stored(object: StandObject): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const id of object.ids) {
    if (object.isDeleted(id)) continue;
    const { BillingAddress: _, Body: __, ...values } = object.stored(id)?.values ?? {};
    rows[id] = canonicalJson(values);
  }
  return rows;
}

function captured(
  { memory }: Org,
  object = "Account",
  keep: (text: string) => boolean = () => true,
): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const [key, row] of capturedRows(memory.texts.filter(keep)).get(object) ?? []) {
    rows[(JSON.parse(key) as string[])[0] ?? ""] = canonicalJson(row);
  }
  return rows;
}

const awkward = [
  "",
  "a,b",
  'say "hi"',
  "two\nlines",
  "two\r\nlines",
  " led and trailed ",
  "Zoë 😀",
  "null",
  "true",
  "'",
  "\\",
  "\ufeff",
];

function change(object: StandObject, chances: Chances, now: () => number): void {
  const lagMs = chances.below(4000);
  const live = object.ids.filter((id) => !object.isDeleted(id));
  const binned = object.ids.filter((id) => object.isDeleted(id));
  const values = {
    Name: chances.pick(awkward) || null,
    AnnualRevenue: chances.in100(20) ? null : chances.below(1e9) / 100,
    IsPartner__c: chances.in100(50),
    SignedOn__c: "2026-02-03",
    CheckedAt__c: new Date(now() - chances.below(1e9)).toISOString(),
  };
  const dice = chances.below(100);
  if (live.length < 5 || dice < 35) object.insert(values, lagMs);
  else if (dice < 70) object.update(chances.pick(live), values, lagMs);
  else if (dice < 82) object.remove(chances.pick(live), lagMs);
  else if (dice < 86 && binned.length > 0) object.restore(chances.pick(binned), lagMs);
  else if (dice < 92 && binned.length > 0) object.purge(chances.pick(binned), true);
  else if (dice < 95) object.purge(chances.pick(live), true);
  else if (dice < 97) object.purge(chances.pick(live), false);
  // One statement of SOQL or Apex that changes many rows at once.
  else for (const id of live.slice(0, 60)) object.update(id, values, lagMs);
}

function faults(chances: Chances, percent: number): () => Fault | undefined {
  const kinds: readonly Fault[] = [
    { kind: "refused", status: 500 },
    { kind: "refused", status: 503, body: [{ errorCode: "SERVER_UNAVAILABLE", message: "busy" }] },
    { kind: "refused", status: 400, body: [{ errorCode: "QUERY_TIMEOUT", message: "too long" }] },
    {
      kind: "refused",
      status: 403,
      body: [
        {
          errorCode: "REQUEST_LIMIT_EXCEEDED",
          message: "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
        },
      ],
    },
    { kind: "lost" },
    { kind: "cut" },
    { kind: "short" },
    { kind: "nonsense" },
    { kind: "silent" },
  ];
  return () => (chances.in100(percent) ? chances.pick(kinds) : undefined);
}

async function history(seed: number, mode: "rest" | "bulk" | "auto"): Promise<Org> {
  const chances = seeded(seed * 104_729);
  let during: (() => void) | undefined;
  const failing = faults(chances, 4);
  const fault = (): Fault | undefined => {
    if (chances.in100(15)) during?.();
    return failing();
  };
  const one = await org(
    seed,
    { fault, sessionMs: 2 * hourMs, locatorMs: 3 * minuteMs, jobMs: 20_000 },
    { mode, every: "30m" },
    100,
  );
  const { clock, server, account } = one;
  const step = () => change(account, chances, () => clock.now());
  for (let i = 0; i < 150; i++) step();
  during = step;
  for (let round = 0; round < 12; round++) {
    for (let i = chances.below(20); i >= 0; i--) {
      step();
      clock.jump(chances.below(3000));
    }
    if (chances.in100(30)) server.expireSessions();
    if (chances.in100(20)) server.failNextJob();
    const death: Death | undefined = chances.in100(60)
      ? {
          call: chances.pick(["append", "save"] as const),
          n: 1 + chances.below(8),
          when: chances.pick(["before", "after"] as const),
        }
      : undefined;
    await one.run(clock.now() + chances.below(90) * minuteMs, death);
  }
  during = undefined;
  await one.pass(26 * hourMs);
  return one;
}

test.each([
  [1, "rest"],
  [2, "bulk"],
  [3, "auto"],
] as const)(
  "seed %i, %s: whatever fails, expires or becomes visible late, and wherever the process dies, the rows are the organisation's",
  async (seed, mode) => {
    const one = await history(seed, mode);
    expect(captured(one)).toEqual(stored(one.account));
    // Without the deletions that no query shows the same history goes wrong.
    const isNoDelete = (text: string): boolean => !text.includes('"op":"delete"');
    expect(captured(one, "Account", isNoDelete)).not.toEqual(stored(one.account));
  },
);

test("thousands of rows with one stamp are paged by id", async () => {
  const one = await org(1, { pageRows: 10 }, { mode: "rest" });
  for (let i = 0; i < 95; i++) one.account.insert({ Name: `n${i}` });
  one.clock.jump(10 * minuteMs);
  await one.run(one.clock.now(), { call: "save", n: 6, when: "after" });
  expect(one.memory.cursor).toMatchObject({
    objects: { Account: { pass: { place: { stamp: "2026-11-01T00:00:00.000Z" } } } },
  });
  await one.pass(10 * minuteMs);
  expect(captured(one)).toEqual(stored(one.account));
  // The page that was under way at the end of the first run is the only one that came twice.
  expect(one.memory.texts.length - one.memory.ids.size).toBeLessThanOrEqual(10);
});

test("a row that becomes visible within the settle lag is not missed; status says the lag", async () => {
  const one = await org(2);
  await one.pass(10 * minuteMs);
  one.account.insert({ Name: "late" }, 4 * minuteMs);
  one.clock.jump(5000);
  one.account.insert({ Name: "early" });
  await one.pass(20 * minuteMs);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.memory.status).toMatchObject({ settleLagSeconds: 300, Account_rows: 2 });
  expect(one.memory.status).not.toHaveProperty("Account_found");
});

test("a row that became visible later than that is found when ids are compared", async () => {
  const one = await org(3, {}, { every: "30m" });
  await one.pass(10 * minuteMs);
  const late = one.account.insert({ Name: "very late" }, 3 * hourMs);
  await one.pass(4 * hourMs);
  expect(captured(one)).not.toHaveProperty(late);
  await one.pass(25 * hourMs);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.memory.status).toMatchObject({ Account_found: 1 });
});

test("many rows are read by a job, whose id and place survive the process", async () => {
  const one = await org(4, { bulkPageRows: 30 });
  for (let i = 0; i < 200; i++) {
    one.account.insert({ Name: awkward[i % awkward.length] || null });
    one.clock.jump(500);
  }
  one.clock.jump(10 * minuteMs);
  // Schema, pass, job: then the pages.
  expect(await one.run(one.clock.now() + 5 * minuteMs, { call: "save", n: 6, when: "after" })).toBe("dead");
  const before = one.memory.cursor as {
    objects: { Account: { pass: { job: { id: string; locator: string } } } };
  };
  expect(before.objects.Account.pass.job).toMatchObject({
    id: expect.stringMatching(/^750/),
    locator: expect.any(String),
  });
  await one.pass(5 * minuteMs);
  expect(one.server.jobs).toBe(1);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.memory.texts).toHaveLength(one.memory.ids.size);
});

test("a job that fails, and one whose results are gone, are made again", async () => {
  const one = await org(5, { resultsMs: hourMs, bulkPageRows: 30 }, { mode: "bulk" });
  for (let i = 0; i < 100; i++) one.account.insert({ Name: `n${i}` });
  one.clock.jump(10 * minuteMs);
  one.server.failNextJob();
  await one.run(one.clock.now() + 10 * minuteMs, { call: "save", n: 6, when: "after" });
  one.clock.jump(8 * dayMs);
  await one.pass(10 * minuteMs);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.memory.warnings.map(({ message }) => message)).toEqual([
    "a bulk job of Account is given up: InternalServerError : Error encountered when executing batch",
    "a bulk job of Account is given up: the job is no more",
  ]);
});

test("what the Bulk API does not take is read by pages", async () => {
  const one = await org(6, { restOnly: ["Account"] });
  for (let i = 0; i < 100; i++) one.account.insert({ Name: `n${i}` });
  await one.pass(15 * minuteMs);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.server.jobs).toBe(0);
});

test("an object with so many fields that no address holds them is read by a job", async () => {
  const one = await org(7);
  one.account.fields.push(
    ...Array.from({ length: 500 }, (_, i) => ({
      name: `A_custom_field_with_a_long_name_${i}__c`,
      type: "string",
    })),
  );
  one.account.insert({ Name: "wide" });
  await one.pass(15 * minuteMs);
  expect(one.server.jobs).toBeGreaterThan(0);
  expect(Object.keys(captured(one))).toEqual(one.account.ids);
  expect(JSON.parse(Object.values(captured(one))[0] ?? "")).toMatchObject({
    A_custom_field_with_a_long_name_499__c: null,
  });
});

test("the same row is the same record from both APIs, but for the pass that read it", async () => {
  const rows = async (mode: "rest" | "bulk"): Promise<string[]> => {
    const one = await org(8, {}, { mode });
    for (const text of awkward) {
      one.account.insert({
        Name: text || null,
        Description: text || null,
        AnnualRevenue: 1234.5,
        IsPartner__c: true,
        CheckedAt__c: "2026-01-02T03:04:05.000Z",
      });
    }
    one.account.insert({ AnnualRevenue: 1e15, IsPartner__c: false });
    one.clock.jump(10 * minuteMs);
    await one.pass(15 * minuteMs);
    return one.memory.texts.filter((text) => text.includes('"op":"snapshot"')).toSorted();
  };
  const rest = await rows("rest");
  expect(rest).toHaveLength(awkward.length + 1);
  expect(await rows("bulk")).toEqual(rest);
});

test("deleted, purged within 15 days, and purged without a trace", async () => {
  const one = await org(9, {}, { every: "30m" });
  const ids = Array.from({ length: 10 }, (_, i) => one.account.insert({ Name: `n${i}` }));
  await one.pass(30 * minuteMs);
  one.account.remove(ids[0]!);
  await one.pass(30 * minuteMs);
  expect(captured(one)).not.toHaveProperty(ids[0]!);
  expect(one.memory.status).toMatchObject({ Account_deleted: 1 });
  one.account.purge(ids[1]!, true);
  await one.pass(3 * hourMs);
  expect(captured(one)).not.toHaveProperty(ids[1]!);
  one.account.purge(ids[2]!, false);
  await one.pass(3 * hourMs);
  expect(captured(one)).toHaveProperty(ids[2]!);
  await one.pass(25 * hourMs);
  expect(captured(one)).toEqual(stored(one.account));
  // Each was told once.
  expect(one.memory.texts.filter((text) => text.includes('"op":"delete"'))).toHaveLength(3);
  expect(one.memory.status).toMatchObject({ Account_purged: 1 });
});

test("a row that was restored is back, with the version of its restoration", async () => {
  const one = await org(10);
  const id = one.account.insert({ Name: "phoenix" });
  await one.pass(30 * minuteMs);
  one.account.remove(id);
  await one.pass(2 * hourMs);
  expect(captured(one)).toEqual({});
  one.account.restore(id);
  await one.pass(2 * hourMs);
  expect(captured(one)).toEqual(stored(one.account));
});

test("after more than 15 days of rest a comparison finds what the list of deletions no longer has", async () => {
  const one = await org(11, {}, { every: "30m" });
  const ids = Array.from({ length: 10 }, (_, i) => one.account.insert({ Name: `n${i}` }));
  await one.pass(30 * minuteMs);
  one.account.purge(ids[3]!, true);
  one.clock.jump(20 * dayMs);
  await one.pass(hourMs);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.memory.warnings.map(({ message }) => message)).toEqual([
    expect.stringContaining("deletions after 2026-"),
  ]);
});

test("so many missing rows that the user may have lost them from sight are kept; seen again, they are as they are", async () => {
  const one = await org(12, {}, { mode: "rest", every: "30m" });
  for (let i = 0; i < 300; i++) one.account.insert({ Name: `n${i}` });
  await one.pass(30 * minuteMs);
  for (const id of one.account.ids.slice(0, 150)) one.server.invisible.add(id);
  await one.pass(25 * hourMs);
  expect(Object.keys(captured(one))).toHaveLength(300);
  expect(one.memory.warnings.at(-1)).toMatchObject({ code: "salesforce_many_missing" });
  // A few are believed, and come back when they are seen again.
  one.server.invisible.clear();
  for (const id of one.account.ids.slice(0, 5)) one.server.invisible.add(id);
  await one.pass(25 * hourMs);
  expect(Object.keys(captured(one))).toHaveLength(295);
  one.server.invisible.clear();
  await one.pass(25 * hourMs);
  expect(captured(one)).toEqual(stored(one.account));
});

test("a new field makes all rows be read again, and its readings win over older ones of the same stamp", async () => {
  const one = await org(13);
  for (let i = 0; i < 30; i++) one.account.insert({ Name: `n${i}` });
  await one.pass(30 * minuteMs);
  one.account.fields.push({ name: "Score__c", type: "double", calculated: true });
  one.account.formulas.set("Score__c", (id) => id.charCodeAt(14));
  await one.pass(2 * hourMs);
  expect(captured(one)).toEqual(stored(one.account));
  const schemas = one.memory.texts.filter((text) => text.includes('"op":"schema"'));
  expect(schemas).toHaveLength(2);
  expect(JSON.parse(schemas[1]!)).toMatchObject({
    stream: "Account",
    key: "[]",
    row: {
      columns: expect.arrayContaining([
        { name: "Id", type: "id(18)", key: true },
        { name: "Score__c", type: "double(0,0)", key: false },
      ]),
    },
  });
  expect(schemas[1]).not.toContain("BillingAddress");
  expect(schemas[1]).not.toContain("Body");
});

test("a field that is removed between describe and query is left out from then on", async () => {
  const one = await org(14);
  one.account.insert({ Name: "a" });
  await one.pass(10 * minuteMs);
  one.account.fields = one.account.fields.filter(({ name }) => name !== "Description");
  one.account.insert({ Name: "b" });
  await one.pass(10 * minuteMs);
  expect(Object.keys(captured(one))).toHaveLength(2);
});

test("a formula that changed without a stamp: the later reading wins, whatever its hash", async () => {
  for (const [first, then] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const one = await org(15);
    one.account.fields.push({ name: "Score__c", type: "double", calculated: true });
    one.account.formulas.set("Score__c", () => first);
    const id = one.account.insert({ Name: "a" });
    await one.pass(10 * minuteMs);
    one.account.formulas.set("Score__c", () => then);
    // The cursor is lost: everything is read again.
    one.memory.cursor = undefined;
    await one.pass(10 * minuteMs);
    expect(JSON.parse(captured(one)[id] ?? "")).toMatchObject({ Score__c: then });
  }
});

test("an object that the user may not see holds up no other, and is read when it may", async () => {
  const one = await org(16, {}, { objects: ["Secret__c", "Account"] });
  const secret = one.server.define("Secret__c", "a00", [{ name: "Name", type: "string" }]);
  one.server.hide("Secret__c", true);
  const id = secret.insert({ Name: "x" });
  one.account.insert({ Name: "a" });
  await one.pass(30 * minuteMs);
  expect(captured(one)).toEqual(stored(one.account));
  expect(one.memory.status).toMatchObject({ Secret__c_problem: expect.stringContaining("NOT_FOUND") });
  expect(one.memory.warnings.filter(({ code }) => code === "salesforce_object_unavailable")).toHaveLength(1);
  one.server.hide("Secret__c", false);
  await one.pass(30 * minuteMs);
  expect(Object.keys(captured(one, "Secret__c"))).toEqual([id]);
  expect(one.memory.status).not.toHaveProperty("Secret__c_problem");
});

test("an insert is told from an update where the object says when a row was created", async () => {
  const one = await org(17);
  const first = one.account.insert({ Name: "a" });
  one.clock.jump(10 * minuteMs);
  await one.pass(30 * minuteMs);
  const second = one.account.insert({ Name: "b" });
  one.account.update(first, { Name: "c" });
  await one.pass(30 * minuteMs);
  const changes = one.memory.texts
    .map((text) => JSON.parse(text) as JsonObject)
    .filter(({ op }) => op !== "schema");
  expect(changes.map(({ op, key }) => [op, key])).toEqual(
    expect.arrayContaining([
      ["snapshot", JSON.stringify([first])],
      ["insert", JSON.stringify([second])],
      ["update", JSON.stringify([first])],
    ]),
  );
  expect(changes).toHaveLength(3);
});
