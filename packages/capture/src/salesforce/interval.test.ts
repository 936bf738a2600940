import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Change } from "@weir/contract";
import { canonicalJson } from "@weir/contract";
import type { Chances, Fault, SalesforceServerOptions, StandObject } from "@weir/testkit";
import { SalesforceServer, VirtualClock, capturedRows, seeded } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { type Death, MemoryContext } from "../web/memory-context.fixture.ts";
import { createSalesforceCapture } from "./capture.ts";
import { type SalesforceOptions, salesforce } from "./declare.ts";
import { createSalesforceInterval } from "./interval.ts";
import { backfillPass, deletion, rowChange } from "./row.ts";

const startMs = Date.UTC(2026, 10, 1);
const secondMs = 1000;
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;
const all = { fromMs: startMs, toMs: startMs + dayMs };

/** An organisation, what is captured of it live, and what of an interval. */
async function org(
  options: Partial<SalesforceOptions> = {},
  server: Partial<SalesforceServerOptions> = {},
  share = 1,
) {
  const clock = new VirtualClock(startMs);
  const stand = await SalesforceServer.start({
    now: () => clock.now(),
    seed: 1,
    pageRows: 20,
    bulkPageRows: 25,
    ...server,
  });
  onTestFinished(() => stand.close());
  const stateDir = mkdtempSync(join(tmpdir(), "weir-salesforce-"));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const account = stand.define("Account", "001", [
    { name: "Name", type: "string", length: 255 },
    { name: "Score__c", type: "double", precision: 18, scale: 2 },
  ]);
  const contact = stand.define("Contact", "003", [{ name: "LastName", type: "string", length: 80 }]);
  const spec = salesforce({
    loginUrl: stand.url,
    auth: { clientId: "app", clientSecret: "secret" },
    objects: ["Account", "Contact"],
    bulkRows: 60,
    every: "30m",
    ...options,
  });
  const connect = { clock, random: () => 0.5, idleMs: 100 };
  const live = new MemoryContext();
  const past = new MemoryContext();
  const interval = (span = all) => createSalesforceInterval(spec, span, { ...connect, share, stateDir });
  return {
    clock,
    server: stand,
    account,
    contact,
    live,
    past,
    interval,
    follow: (ms: number) =>
      live.run(createSalesforceCapture(spec, { ...connect, stateDir }), clock, clock.now() + ms),
    backfill: (span = all, death?: Death, ms = dayMs) =>
      past.run(interval(span), clock, clock.now() + ms, death),
  };
}

function stored(...objects: readonly StandObject[]): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const object of objects)
    for (const id of object.ids)
      if (!object.isDeleted(id)) rows[id] = canonicalJson(object.stored(id)?.values ?? {});
  return rows;
}

function captured(texts: readonly string[]): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const byKey of capturedRows(texts).values())
    for (const [key, row] of byKey) rows[(JSON.parse(key) as string[])[0] ?? ""] = canonicalJson(row);
  return rows;
}

const changesOf = (texts: readonly string[], op: string): Change[] =>
  texts.map((text) => JSON.parse(text) as Change).filter((change) => change.op === op);
const keysOf = (changes: readonly Change[]): string[] =>
  changes.map(({ key }) => (JSON.parse(key) as string[])[0] ?? "").toSorted();

test.each(["rest", "bulk"] as const)(
  "%s: an interval has what changed at its begin, and not what changed at its end; deletions too",
  async (mode) => {
    const { clock, account, past, backfill } = await org({ mode, objects: ["Account"] });
    const made: string[] = [];
    const gone = Array.from({ length: 6 }, () => account.insert({ Name: "x" }));
    clock.jump(hourMs);
    const beginMs = clock.now();
    for (let i = 0; i < 6; i++) {
      made.push(account.insert({ Name: `n${i}` }));
      account.purge(gone[i]!, true);
      clock.jump(secondMs);
    }
    clock.jump(10 * minuteMs);
    await backfill({ fromMs: beginMs + secondMs, toMs: beginMs + 4 * secondMs });
    expect(keysOf(changesOf(past.texts, "snapshot"))).toEqual(made.slice(1, 4));
    expect(keysOf(changesOf(past.texts, "delete"))).toEqual(gone.slice(1, 4));
    expect(past.status).toEqual({ parts: 1, partsDone: 1, partsFailed: 0, rows: 6, problem: null });
  },
);

function change(object: StandObject, chances: Chances): void {
  const lagMs = chances.below(3000);
  const present = object.ids.filter((id) => !object.isDeleted(id));
  const binned = object.ids.filter((id) => object.isDeleted(id));
  const dice = chances.below(100);
  const values = { Score__c: chances.below(1e6) };
  if (present.length < 5 || dice < 20) object.insert(values, lagMs);
  else if (dice < 70) object.update(chances.pick(present), values, lagMs);
  else if (dice < 80) object.remove(chances.pick(present), lagMs);
  else if (dice < 88 && binned.length > 0) object.restore(chances.pick(binned), lagMs);
  else if (dice < 94 && binned.length > 0) object.purge(chances.pick(binned), true);
  else for (const id of present.slice(0, 40)) object.update(id, values, lagMs);
}

test.each([
  [1, "rest"],
  [2, "bulk"],
  [3, "auto"],
] as const)(
  "seed %i, %s: rows that change while an interval is read, and wherever it dies, end as the organisation has them",
  async (seed, mode) => {
    const chances = seeded(seed * 7919);
    let during: (() => void) | undefined;
    const fault = (): Fault | undefined => {
      if (chances.in100(40)) during?.();
      return chances.in100(4) ? { kind: chances.pick(["lost", "cut", "short"] as const) } : undefined;
    };
    const one = await org({ mode }, { fault, jobMs: 20_000, locatorMs: 3 * minuteMs });
    const { clock, server, account, contact, live, past, follow, backfill } = one;
    for (let i = 0; i < 150; i++) account.insert({ Name: `n${i}` });
    for (let i = 0; i < 30; i++) contact.insert({ LastName: `m${i}` });
    clock.jump(10 * minuteMs);
    await follow(hourMs);
    // Salesforce tells nobody that a formula says something else now; only reading the rows does.
    account.formulas.set("Name", (id) => `formula ${id}`);
    clock.jump(5 * minuteMs);
    const span = { fromMs: startMs, toMs: clock.now() - 5 * minuteMs };
    during = () => {
      change(account, chances);
      clock.jump(chances.below(3000));
    };
    for (let run = 0; run < 6; run++) {
      if (chances.in100(30)) server.failNextJob();
      const call = chances.pick(["append", "save"] as const);
      const when = chances.pick(["before", "after"] as const);
      const end = await backfill(span, run < 5 ? { call, n: 1 + chances.below(6), when } : undefined);
      if (end === "idle" && past.status["partsDone"] === 2) break;
    }
    expect(past.status).toMatchObject({ parts: 2, partsDone: 2, problem: null });
    during = undefined;
    await follow(2 * hourMs);
    expect(captured([...live.texts, ...past.texts])).toEqual(stored(account, contact));
    expect(captured([...past.texts, ...live.texts])).toEqual(stored(account, contact));
    // The readings are needed.
    expect(captured(live.texts)).not.toEqual(stored(account, contact));
  },
);

const deaths = (["append", "save"] as const).flatMap((call) =>
  [1, 2, 4].flatMap((n) => (["before", "after"] as const).map((when) => ({ call, n, when }))),
);

test.each(deaths)(
  "killed $when $call $n: the next run goes on, and no row is read as two records",
  async (death) => {
    for (const mode of ["rest", "bulk"] as const) {
      const { clock, account, contact, past, backfill } = await org({ mode });
      for (let i = 0; i < 70; i++) account.insert({ Name: `n${i}` });
      for (let i = 0; i < 70; i++) contact.insert({ LastName: `m${i}` });
      clock.jump(10 * minuteMs);
      expect(await backfill(all, death)).toBe("dead");
      clock.jump(hourMs);
      await backfill();
      expect(captured(past.texts)).toEqual(stored(account, contact));
      expect(past.ids.size).toBe(140);
      const { length } = past.records;
      await backfill();
      expect(past.records.length).toBe(length);
      expect(past.status).toMatchObject({ partsDone: 2, rows: 0 });
    }
  },
);

test("deletions are the very records that live capture writes; a row that was restored stays", async () => {
  const { clock, account, live, past, follow, backfill } = await org({ objects: ["Account"] });
  const ids = Array.from({ length: 10 }, (_, i) => account.insert({ Name: `n${i}` }));
  clock.jump(10 * minuteMs);
  await follow(hourMs);
  account.remove(ids[0]!);
  account.purge(ids[1]!, true);
  account.remove(ids[2]!);
  clock.jump(10 * minuteMs);
  account.restore(ids[2]!);
  clock.jump(10 * minuteMs);
  await follow(3 * hourMs);
  await backfill();
  const told = new Set(live.texts);
  const deletions = past.texts.filter((text) => text.includes('"op":"delete"'));
  expect(keysOf(changesOf(deletions, "delete"))).toEqual(expect.arrayContaining([ids[0], ids[1]]));
  expect(deletions.filter((text) => !told.has(text))).toEqual([]);
  expect(captured([...past.texts, ...live.texts])).toEqual(stored(account));
});

test("of readings at one stamp that of the later pass counts; a backfill in a live pass's second is a pass of its own", () => {
  const row = {
    id: "001",
    stamp: "2026-11-01T00:00:00.000Z",
    created: undefined,
    isDeleted: false,
    values: {},
  };
  const second = Math.floor(startMs / 1000);
  const passes = [second, backfillPass(startMs + 999), second + 1, backfillPass(startMs + 1000)];
  const versions = passes.map((pass) => rowChange("Account", row, { pass, op: "update" }).version);
  expect(versions.toSorted((a, b) => (a < b ? -1 : 1))).toEqual(versions);
  expect(new Set(versions).size).toBe(4);
  const gone = deletion("Account", "001", { stamp: row.stamp, at: row.stamp });
  expect(versions.every((version) => version < gone.version)).toBe(true);
});

test("it keeps to its share of the source's share of requests, over restarts, and says that it waits", async () => {
  const { clock, server, account, past, backfill } = await org(
    { mode: "rest", objects: ["Account"], quotaShare: 0.5 },
    { dailyRequests: 1000, pageRows: 5 },
    0.02,
  );
  for (let i = 0; i < 200; i++) account.insert({ Name: `n${i}` });
  clock.jump(10 * minuteMs);
  for (let run = 0; run < 3; run++) {
    await expect(backfill(all, undefined, minuteMs)).rejects.toMatchObject({ name: "AbortError" });
  }
  // Ten, and a login each run.
  expect(server.requests).toBeLessThanOrEqual(13);
  expect(past.warnings).toContainEqual(expect.objectContaining({ code: "salesforce_quota_reached" }));
  expect(past.status).toMatchObject({ partsDone: 0 });
});

test("live capture and all backfills together keep to the source's share, and backfills to theirs", async () => {
  const { clock, server, account, interval, follow } = await org(
    { mode: "rest", objects: ["Account"], every: "1m", quotaShare: 0.1 },
    { dailyRequests: 1000, pageRows: 2 },
    0.3,
  );
  for (let i = 0; i < 300; i++) account.insert({ Name: `n${i}` });
  clock.jump(10 * minuteMs);
  // Intervals of their own, so that each is a backfill of its own. A login each, which is no request of the API.
  for (let n = 0; n < 3; n++) {
    const part = interval({ fromMs: startMs, toMs: startMs + dayMs + n });
    await new MemoryContext().run(part, clock, clock.now() + minuteMs).catch(() => undefined);
  }
  expect(server.requests).toBeGreaterThan(25);
  expect(server.requests).toBeLessThanOrEqual(30 + 3);
  await follow(6 * hourMs);
  expect(server.requests).toBeGreaterThan(80);
  expect(server.requests).toBeLessThanOrEqual(100 + 4);
});

test("an object that the user may not see costs itself alone, and is tried again by the next run", async () => {
  const { clock, server, account, contact, past, interval, backfill } = await org();
  account.insert({ Name: "a" });
  contact.insert({ LastName: "b" });
  clock.jump(10 * minuteMs);
  server.hide("Account", true);
  expect(await interval().parts()).toEqual([
    { name: "Account", rows: null, leftOut: expect.stringContaining("Account") },
    { name: "Contact", rows: 1 },
  ]);
  await backfill();
  expect(past.status).toMatchObject({
    partsDone: 1,
    partsFailed: 1,
    problem: expect.stringContaining("salesforce_object_unavailable"),
  });
  server.hide("Account", false);
  await backfill();
  expect(past.status).toMatchObject({ partsDone: 2, partsFailed: 0, problem: null });
  expect(captured(past.texts)).toEqual(stored(account, contact));
});

test("purged rows of an interval of long ago: it says that Salesforce does not tell them any more", async () => {
  const { clock, account, past, backfill } = await org({ objects: ["Account"] });
  account.insert({ Name: "a" });
  clock.jump(40 * dayMs);
  await backfill();
  expect(past.status).toMatchObject({ partsDone: 1, rows: 1, problem: null });
  expect(past.warnings.map(({ message }) => message)).toEqual([expect.stringContaining("15 days")]);
});

test("a field that is removed while it is read is left out", async () => {
  let jobs = 0;
  const one: Awaited<ReturnType<typeof org>> = await org(
    { mode: "rest", objects: ["Account"] },
    {
      fault: ({ path }) => {
        if (path.includes("/queryAll") && jobs++ === 0)
          one.account.fields = one.account.fields.filter(({ name }) => name !== "Score__c");
        return undefined;
      },
    },
  );
  const id = one.account.insert({ Name: "a" });
  one.clock.jump(10 * minuteMs);
  await one.backfill();
  expect(one.past.status).toMatchObject({ partsDone: 1, problem: null });
  expect(captured(one.past.texts)[id]).toContain('"Name":"a"');
});
