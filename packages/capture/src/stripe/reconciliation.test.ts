import type { Json, JsonObject } from "@weir/contract";
import { canonicalJson } from "@weir/contract";
import type { Chances, Fault, StripeEvent } from "@weir/testkit";
import { StripeServer, VirtualClock, capturedRows, seeded } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { type Death, MemoryContext } from "../web/memory-context.fixture.ts";
import { createStripeCapture } from "./capture.ts";
import { type StripeOptions, type StripeSource, stripe } from "./declare.ts";
import { stripeWebhook } from "./webhook.ts";

const version = "2026-10-28.endive";
const startMs = Date.UTC(2026, 10, 1);
const minuteMs = 60_000;
const dayMs = 86_400_000;
const types = ["customer", "product", "invoice", "subscription", "charge", "payment_intent"];

interface Account {
  readonly clock: VirtualClock;
  readonly server: StripeServer;
  readonly spec: StripeSource;
  readonly memory: MemoryContext;
  run(untilMs: number, death?: Death): Promise<"idle" | "dead">;
}

async function account(
  seed: number,
  server: Partial<Parameters<typeof StripeServer.start>[0]> = {},
  options: Partial<StripeOptions> = {},
  idleMs = 10_000,
): Promise<Account> {
  const clock = new VirtualClock(startMs);
  const stand = await StripeServer.start({ now: () => clock.now(), seed, apiVersion: version, ...server });
  onTestFinished(() => stand.close());
  const spec = stripe({
    apiKey: "sk_test_1",
    webhookSecrets: ["whsec_1"],
    apiVersion: version,
    objects: types,
    apiUrl: stand.url,
    ...options,
  });
  const memory = new MemoryContext();
  const chances = seeded(seed);
  const random = () => chances.below(1000) / 1000;
  return {
    clock,
    server: stand,
    spec,
    memory,
    run: (untilMs, death) =>
      memory.run(createStripeCapture(spec, { clock, random, idleMs }), clock, untilMs, death),
  };
}

/** What the account has, as rows. */
function expected({ server, spec }: Account): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const type of types) {
    for (const object of server.all(type)) {
      rows[`${type} ${JSON.stringify([object["id"] as Json])}`] = canonicalJson({
        ...object,
        _api_version: spec.apiVersion,
      });
    }
  }
  return rows;
}

/** What was captured, as rows; `keep` plants a defect by leaving records out. */
function captured({ memory }: Account, keep: (text: string) => boolean = () => true): Record<string, string> {
  const rows: Record<string, string> = {};
  for (const [stream, byKey] of capturedRows(memory.texts.filter(keep))) {
    for (const [key, row] of byKey) rows[`${stream} ${key}`] = canonicalJson(row);
  }
  return rows;
}

/** Changes something in the account, now and then several times in one second. */
function change(server: StripeServer, chances: Chances): void {
  const type = chances.pick(types);
  const all = server.all(type);
  const some = (): JsonObject => chances.pick(all);
  const idOf = ({ id }: JsonObject): string => id as string;
  if (type === "invoice" && chances.in100(50)) {
    const id = server.create("invoice", { status: "draft" });
    server.update(id, { status: "open" }, "invoice.finalized");
    if (chances.in100(70)) server.update(id, { status: "paid", amount_paid: 500 }, "invoice.paid");
    return;
  }
  if (all.length < 3 || chances.in100(20)) {
    server.create(type);
    return;
  }
  if (type === "subscription" && chances.in100(20)) {
    server.update(idOf(some()), { status: "canceled" }, "customer.subscription.deleted");
    return;
  }
  if ((type === "customer" || type === "product") && chances.in100(15)) {
    server.remove(idOf(some()));
    return;
  }
  const id = idOf(some());
  const times = chances.in100(30) ? 3 : 1;
  for (let i = 0; i < times; i++) server.update(id, { metadata: { n: String(chances.below(1e6)) } });
}

/** Calls as Stripe makes them: some never arrive, some twice, in no order. */
function deliver(
  { spec, memory }: Account,
  waiting: StripeEvent[],
  chances: Chances,
  lostPercent: number,
): void {
  const webhook = stripeWebhook("saas", spec);
  while (waiting.length > 0 && chances.in100(90)) {
    const [event] = waiting.splice(chances.below(waiting.length), 1);
    if (event === undefined || chances.in100(lostPercent)) continue;
    const read = webhook.read(JSON.parse(JSON.stringify(event)) as JsonObject);
    if (typeof read === "string") throw new Error(read);
    for (let times = chances.in100(15) ? 2 : 1; times > 0; times--) {
      for (const { text, keys } of read) memory.records.push({ contract: "saas", text, keys });
    }
  }
}

function faults(chances: Chances, percent: number): () => Fault | undefined {
  const kinds: readonly Fault[] = [
    { kind: "refused", status: 429, headers: { "retry-after": "2" } },
    { kind: "refused", status: 500 },
    { kind: "refused", status: 503, headers: { "stripe-should-retry": "true" } },
    { kind: "lost" },
    { kind: "cut" },
    { kind: "nonsense" },
    { kind: "silent" },
  ];
  return () => (chances.in100(percent) ? chances.pick(kinds) : undefined);
}

async function history(seed: number, webhooks: { lostPercent: number }): Promise<Account> {
  const chances = seeded(seed * 7919);
  let during: (() => void) | undefined;
  const failing = faults(chances, 4);
  const fault = (): Fault | undefined => {
    if (chances.in100(10)) during?.();
    return failing();
  };
  const one = await account(seed, { listLagMs: 20_000, fault }, {}, 100);
  const { clock, server } = one;
  for (let i = 0; i < 250; i++) change(server, chances);
  clock.jump(35 * dayMs);
  let told = server.events.length;
  const waiting: StripeEvent[] = [];
  during = () => change(server, chances);
  for (let round = 0; round < 12; round++) {
    for (let i = chances.below(20); i >= 0; i--) {
      change(server, chances);
      clock.jump(chances.below(4000));
    }
    waiting.push(...server.events.slice(told));
    told = server.events.length;
    deliver(one, waiting, chances, webhooks.lostPercent);
    const death: Death | undefined = chances.in100(60)
      ? {
          call: chances.pick(["append", "save"] as const),
          n: 1 + chances.below(6),
          when: chances.pick(["before", "after"] as const),
        }
      : undefined;
    await one.run(clock.now() + chances.below(30) * minuteMs, death);
  }
  during = undefined;
  await one.run(clock.now() + 15 * minuteMs);
  return one;
}

test.each([1, 2, 3])(
  "seed %i: whatever webhooks are lost, doubled and late, and wherever the process dies, the rows are Stripe's objects",
  async (seed) => {
    const one = await history(seed, { lostPercent: 30 });
    expect(captured(one)).toEqual(expected(one));
    expect(one.memory.status).toMatchObject({ listing: null, notListed: null });
    // Each part is needed: without it the same history goes wrong.
    expect(captured(one, isNoReading)).not.toEqual(expected(one));
    expect(captured(one, isNoEvent)).not.toEqual(expected(one));
    expect(captured(one, isNoListing)).not.toEqual(expected(one));
  },
);

const isNoReading = (text: string): boolean => !/"version":"\d{11}-1-/.test(text);
const isNoEvent = (text: string): boolean => !/"version":"\d{11}-0-/.test(text);
const isNoListing = (text: string): boolean => !/"version":"\d{11}-[23]/.test(text);

test("without any webhook the list of events is enough", async () => {
  const one = await history(11, { lostPercent: 100 });
  expect(captured(one)).toEqual(expected(one));
});

test("an event that came by webhook is the same record, text for text, as in the list", async () => {
  const one = await account(1);
  const { clock, server, memory } = one;
  for (let i = 0; i < 30; i++) {
    server.create("customer");
    clock.jump(1500);
  }
  await one.run(clock.now() + 15 * minuteMs);
  const listed = new Set(memory.texts);
  memory.records.length = 0;
  deliver(one, [...server.events], { ...seeded(1), in100: (percent) => percent === 90 }, 0);
  expect(memory.texts).toHaveLength(30);
  expect(memory.texts.filter((text) => !listed.has(text))).toEqual([]);
});

test("a second whose events leave an object's state open is decided by reading it; nothing else is read", async () => {
  const one = await account(2, {}, { objects: ["customer", "charge", "invoice"] });
  const { clock, server, memory } = one;
  await one.run(clock.now() + 15 * minuteMs);
  // Two updates, of which either may be the last.
  const open = server.create("customer", { name: "a" });
  server.update(open, { name: "b" });
  server.update(open, { name: "c" });
  // Alone; created and then changed once; further and further; gone; decided by a later second.
  server.create("charge");
  server.update(server.create("customer", { name: "a" }), { name: "b" });
  const paid = server.create("invoice", { status: "draft" });
  server.update(paid, { status: "open" }, "invoice.finalized");
  server.update(paid, { status: "paid" }, "invoice.paid");
  const gone = server.create("customer");
  server.update(gone, { name: "x" });
  server.update(gone, { name: "y" });
  server.remove(gone);
  const later = server.create("customer");
  server.update(later, { name: "x" });
  server.update(later, { name: "y" });
  clock.jump(5000);
  server.update(later, { name: "z" });
  await one.run(clock.now() + 15 * minuteMs);
  const readings = memory.texts
    .map((text) => JSON.parse(text) as JsonObject)
    .filter(({ op }) => op === "snapshot");
  expect(readings.map(({ key }) => key)).toEqual([JSON.stringify([open])]);
  expect(captured(one)).toEqual(expected(one));
});

test("what a listing has read is not read again for seconds before it", async () => {
  const one = await account(12);
  const { clock, server, memory } = one;
  for (let i = 0; i < 20; i++) {
    const id = server.create("customer");
    server.update(id, { name: "a" });
    server.update(id, { name: "b" });
  }
  clock.jump(10 * minuteMs);
  await one.run(clock.now() + minuteMs);
  expect(captured(one)).toEqual(expected(one));
  expect(memory.status).toMatchObject({ read_again: 0, undecided: 0, events: 60, listed: 20 });
});

test("the objects of a connected account are read again in its name", async () => {
  const accounts: (string | undefined)[] = [];
  const fault = ({ path, headers }: { path: string; headers: Record<string, unknown> }): undefined => {
    if (path.startsWith("/v1/customers/")) accounts.push(headers["stripe-account"] as string | undefined);
  };
  const one = await account(13, { fault }, { objects: [] });
  const { clock, server, memory } = one;
  const id = server.create("customer");
  server.update(id, { name: "a" });
  server.update(id, { name: "b" });
  for (const event of server.events) Object.assign(event, { account: "acct_9" });
  await one.run(clock.now() + 15 * minuteMs);
  expect(accounts).toEqual(["acct_9"]);
  expect(
    capturedRows(memory.texts)
      .get("customer")
      ?.get(JSON.stringify([id])),
  ).toMatchObject({ name: "b", _account: "acct_9" });
});

test("events younger than the hold are left for later: the list may not have all of them", async () => {
  const one = await account(3, { listLagMs: 0 });
  const { clock, server, memory } = one;
  await one.run(clock.now() + minuteMs);
  const id = server.create("customer");
  await one.run(clock.now() + 30_000);
  expect(memory.texts.filter((text) => text.includes(id))).toEqual([]);
  await one.run(clock.now() + 11 * minuteMs);
  expect(memory.texts.filter((text) => text.includes(id))).toHaveLength(1);
});

test("after more than 30 days everything is listed again, and what was deleted meanwhile is gone", async () => {
  const one = await account(4);
  const { clock, server, memory } = one;
  const ids = Array.from({ length: 250 }, () => server.create("customer"));
  await one.run(clock.now() + 15 * minuteMs);
  expect(captured(one)).toEqual(expected(one));
  clock.jump(dayMs);
  server.remove(ids[7]!);
  server.update(ids[8]!, { name: "moved" });
  clock.jump(40 * dayMs);
  server.update(ids[9]!, { name: "just now" });
  await one.run(clock.now() + 15 * minuteMs);
  expect(captured(one)).toEqual(expected(one));
  expect(memory.warnings.map(({ message }) => message)).toEqual([
    "Stripe no longer keeps the events to go on with: all objects are listed again",
  ]);
});

test("after 29 days the events are enough: nothing is listed again", async () => {
  const one = await account(5);
  const { clock, server, memory } = one;
  const id = server.create("customer");
  await one.run(clock.now() + 15 * minuteMs);
  const listed = memory.texts.filter((text) => text.includes('"op":"truncate"')).length;
  clock.jump(29 * dayMs);
  server.update(id, { name: "moved" });
  await one.run(clock.now() + 15 * minuteMs);
  expect(captured(one)).toEqual(expected(one));
  expect(memory.texts.filter((text) => text.includes('"op":"truncate"'))).toHaveLength(listed);
});

test("a type added to the source later is listed", async () => {
  const one = await account(6, {}, { objects: ["customer"] });
  const { clock, server, memory, spec } = one;
  const product = server.create("product");
  clock.jump(45 * dayMs);
  await one.run(clock.now() + minuteMs);
  const more = createStripeCapture({ ...spec, objects: ["customer", "product"] }, { clock });
  await memory.run(more, clock, clock.now() + minuteMs);
  expect(
    capturedRows(memory.texts)
      .get("product")
      ?.has(JSON.stringify([product])),
  ).toBe(true);
});

test("what the key may not list is known by its events, and status and log say so", async () => {
  const one = await account(7, { forbidden: ["charge"] });
  const { clock, server, memory } = one;
  const id = server.create("charge");
  await one.run(clock.now() + 35 * minuteMs);
  expect(memory.status).toMatchObject({ notListed: "charge" });
  expect(memory.warnings.filter(({ code }) => code === "stripe_permission_missing")).toHaveLength(1);
  expect(
    capturedRows(memory.texts)
      .get("charge")
      ?.has(JSON.stringify([id])),
  ).toBe(true);
});

test("events rendered in another version never take the place of the source's: the object is read again", async () => {
  const one = await account(8, { apiVersion: "2020-08-27" });
  const { clock, server } = one;
  const id = server.create("customer", { name: "a" });
  await one.run(clock.now() + 5 * minuteMs);
  server.update(id, { name: "b" });
  await one.run(clock.now() + 15 * minuteMs);
  expect(captured(one)).toEqual(expected(one));
  const findings = await createStripeCapture(one.spec, { clock }).check();
  expect(findings).toMatchObject([{ severity: "warn", code: "stripe_version_differs" }]);
});

test("check: a wrong key is said, once, without the key", async () => {
  const one = await account(9, { apiKey: "sk_test_other" });
  const findings = await createStripeCapture(one.spec, { clock: one.clock }).check();
  expect(findings).toMatchObject([{ severity: "error", code: "stripe_auth_failed" }]);
  expect(JSON.stringify(findings)).not.toContain("sk_test_other");
});

test("an event that is none of the source's kind is kept as unreadable, and stops nothing", async () => {
  const one = await account(10);
  const { clock, server, memory } = one;
  await one.run(clock.now() + minuteMs);
  const broken = server.create("invoice", { amount_due: 2 ** 60 });
  const good = server.create("customer");
  await one.run(clock.now() + 15 * minuteMs);
  const bad = memory.records.filter((record) => "error" in record);
  expect(bad).toMatchObject([{ error: "invalid_message", detail: expect.stringContaining("/amount_due") }]);
  expect(memory.texts.some((text) => text.includes(broken))).toBe(false);
  expect(memory.texts.some((text) => text.includes(good))).toBe(true);
});
