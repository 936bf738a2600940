import { canonicalJson } from "@weir/contract";
import { StripeServer, VirtualClock, capturedRows, seeded } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { type Death, MemoryContext } from "../web/memory-context.fixture.ts";
import { createStripeCapture } from "./capture.ts";
import { type StripeOptions, stripe } from "./declare.ts";
import { createStripeInterval } from "./interval.ts";

const version = "2026-10-28.endive";
const startMs = Date.UTC(2026, 10, 1);
const secondMs = 1000;
const minuteMs = 60_000;
const dayMs = 86_400_000;
const types = ["customer", "invoice", "subscription"];
const all = { fromMs: startMs, toMs: startMs + dayMs };

/** An account, what is captured of it live, and what of an interval. */
async function account(
  server: Partial<Parameters<typeof StripeServer.start>[0]> = {},
  options: Partial<StripeOptions> = {},
) {
  const clock = new VirtualClock(startMs);
  const stand = await StripeServer.start({ now: () => clock.now(), seed: 1, apiVersion: version, ...server });
  onTestFinished(() => stand.close());
  const spec = stripe({
    apiKey: "sk_test_1",
    apiVersion: version,
    objects: types,
    apiUrl: stand.url,
    ...options,
  });
  const live = new MemoryContext();
  const past = new MemoryContext();
  const connect = { clock, random: () => 0.5, idleMs: 100 };
  return {
    clock,
    server: stand,
    spec,
    live,
    past,
    /** Captures live for so long. */
    follow: (ms: number) => live.run(createStripeCapture(spec, connect), clock, clock.now() + ms),
    backfill: (interval = all, death?: Death) =>
      past.run(createStripeInterval(spec, interval, connect), clock, clock.now() + dayMs, death),
    expected: (): Record<string, string> => {
      const rows: Record<string, string> = {};
      for (const type of types)
        for (const object of stand.all(type))
          rows[`${type} ${object["id"] as string}`] = canonicalJson({ ...object, _api_version: version });
      return rows;
    },
    captured: (texts = [...live.texts, ...past.texts]): Record<string, string> => {
      const rows: Record<string, string> = {};
      for (const [stream, byKey] of capturedRows(texts))
        for (const [key, row] of byKey)
          rows[`${stream} ${(JSON.parse(key) as string[])[0]}`] = canonicalJson(row);
      return rows;
    },
  };
}

const idsOf = (texts: readonly string[]): string[] =>
  texts.map((text) => (JSON.parse(text) as { row: { id: string } }).row.id);

test("an interval has what was created at its begin, and not what was created at its end", async () => {
  const { clock, server, past, backfill } = await account();
  const made: string[] = [];
  for (let i = 0; i < 6; i++) {
    made.push(server.create("customer"));
    clock.jump(secondMs);
  }
  clock.jump(minuteMs);
  await backfill({ fromMs: startMs + 1 * secondMs, toMs: startMs + 4 * secondMs });
  expect(idsOf(past.texts).toSorted()).toEqual(made.slice(1, 4).toSorted());
  past.records.length = 0;
  past.cursor = undefined;
  await backfill({ fromMs: startMs + 1 * secondMs + 1, toMs: startMs + 3 * secondMs + 1 });
  expect(idsOf(past.texts).toSorted()).toEqual(made.slice(2, 4).toSorted());
  expect(past.status).toEqual({ parts: 3, partsDone: 3, partsFailed: 0, rows: 2, problem: null });
});

test.each([1, 2, 3])(
  "seed %i: objects that change while an interval is read end as the account has them, whichever is in the log first",
  async (seed) => {
    const chances = seeded(seed * 31);
    let during: (() => void) | undefined;
    const one = await account({
      seed,
      listLagMs: 20_000,
      fault: () => {
        during?.();
        return undefined;
      },
    });
    const { clock, server, past, follow, backfill, expected, captured } = one;
    for (let i = 0; i < 250; i++) server.create(chances.pick(types), { metadata: { n: "0" } });
    clock.jump(10 * minuteMs);
    await follow(20 * minuteMs);
    const change = (): void => {
      const objects = types.flatMap((type) => server.all(type));
      const { id, object } = chances.pick(objects) as { id: string; object: string };
      const times = chances.in100(30) ? 2 : 1;
      if (object === "customer" && chances.in100(20)) server.remove(id);
      else for (let n = 0; n < times; n++) server.update(id, { metadata: { n: String(chances.below(1e6)) } });
      clock.jump(chances.below(3000));
    };
    // No event tells of these; only reading the objects does.
    for (let i = 0; i < 40; i++) {
      const { id } = chances.pick(types.flatMap((type) => server.all(type))) as { id: string };
      server.updateSilently(id, { metadata: { n: `silent ${i}` } });
    }
    clock.jump(5 * minuteMs);
    during = () => {
      for (let n = chances.below(6); n > 0; n--) change();
    };
    await backfill();
    during = undefined;
    clock.jump(2 * minuteMs);
    await follow(20 * minuteMs);
    expect(captured()).toEqual(expected());
    expect(captured([...past.texts, ...one.live.texts])).toEqual(expected());
    // The readings are needed.
    expect(captured(one.live.texts)).not.toEqual(expected());
    expect(past.status).toMatchObject({ partsDone: 3, problem: null });
  },
);

test("a reading wins over an event that came before it, and loses against any that comes later", async () => {
  const { clock, server, past, live, follow, backfill, captured } = await account();
  const id = server.create("customer", { name: "a" });
  clock.jump(minuteMs);
  await follow(15 * minuteMs);
  // The event that said so was lost.
  server.updateSilently(id, { name: "b" });
  clock.jump(2 * minuteMs);
  await backfill();
  expect(captured()[`customer ${id}`]).toContain('"name":"b"');
  server.update(id, { name: "c" });
  clock.jump(2 * minuteMs);
  await follow(15 * minuteMs);
  expect(captured([...live.texts, ...past.texts])[`customer ${id}`]).toContain('"name":"c"');
});

test("a clock of ours that is ahead of Stripe's does not make a reading newer than what comes after it", async () => {
  const { clock, server, spec, past, live, follow, captured } = await account();
  const id = server.create("customer", { name: "a" });
  clock.jump(5 * minuteMs);
  const ahead = { now: () => clock.now() + 30 * minuteMs, sleep: clock.sleep.bind(clock) };
  await past.run(createStripeInterval(spec, all, { clock: ahead }), clock, clock.now() + minuteMs);
  server.update(id, { name: "b" });
  clock.jump(2 * minuteMs);
  await follow(15 * minuteMs);
  expect(captured([...live.texts, ...past.texts])[`customer ${id}`]).toContain('"name":"b"');
});

const deaths = (["append", "save"] as const).flatMap((call) =>
  [1, 2, 4].flatMap((n) => (["before", "after"] as const).map((when) => ({ call, n, when }))),
);

test.each(deaths)(
  "killed $when $call $n: the next run goes on, and no object is read as two records",
  async (death) => {
    let during: (() => void) | undefined;
    const { clock, server, past, backfill, captured, expected } = await account({
      fault: () => {
        during?.();
        return undefined;
      },
    });
    for (let i = 0; i < 350; i++) server.create(types[i % 2] ?? "");
    clock.jump(2 * minuteMs);
    // So that a stamp that is not saved is another one.
    during = () => clock.jump(secondMs);
    expect(await backfill(all, death)).toBe("dead");
    await backfill();
    expect(captured()).toEqual(expected());
    expect(past.ids.size).toBe(350);
    const { length } = past.records;
    await backfill();
    expect(past.records.length).toBe(length);
    expect(past.status).toMatchObject({ partsDone: 3, rows: 0 });
  },
);

test("gone on with a day later, what is read has the time of that day", async () => {
  const { clock, server, past, live, follow, backfill, captured, expected } = await account();
  const ids = Array.from({ length: 150 }, () => server.create("customer"));
  clock.jump(2 * minuteMs);
  expect(await backfill(all, { call: "append", n: 1, when: "before" })).toBe("dead");
  clock.jump(dayMs / 2);
  for (const id of ids) server.update(id, { name: "told" });
  clock.jump(15 * minuteMs);
  await follow(15 * minuteMs);
  for (const id of ids) server.updateSilently(id, { name: "not told" });
  clock.jump(5 * minuteMs);
  await backfill();
  expect(captured([...past.texts, ...live.texts])).toEqual(expected());
});

test("an object behind which a page was to begin is deleted: the type is read from its start", async () => {
  let lists = 0;
  const one: Awaited<ReturnType<typeof account>> = await account({
    fault: ({ path, query }) => {
      if (path === "/v1/customers" && query.has("starting_after") && ++lists === 1)
        one.server.remove(query.get("starting_after") ?? "");
      return undefined;
    },
  });
  const { clock, server, live, follow, backfill, captured, expected } = one;
  for (let i = 0; i < 250; i++) server.create("customer");
  clock.jump(2 * minuteMs);
  await backfill();
  clock.jump(2 * minuteMs);
  await follow(15 * minuteMs);
  expect(captured()).toEqual(expected());
  expect(live.records.length).toBeGreaterThan(0);
});

test("what the key may not list costs itself alone, and is tried again by the next run", async () => {
  const forbidden = ["invoice"];
  const { clock, server, past, backfill } = await account({ forbidden });
  server.create("customer");
  const invoice = server.create("invoice");
  clock.jump(2 * minuteMs);
  await backfill();
  expect(past.status).toMatchObject({
    parts: 3,
    partsDone: 2,
    partsFailed: 1,
    problem: expect.stringContaining("stripe_permission_missing"),
  });
  forbidden.length = 0;
  await backfill();
  expect(past.status).toMatchObject({ partsDone: 3, partsFailed: 0, rows: 1, problem: null });
  expect(idsOf(past.texts)).toContain(invoice);
});

test("a Stripe that does not answer ends it; nothing counts as read", async () => {
  const { clock, server, past, backfill } = await account({
    fault: () => ({ kind: "refused", status: 500 }),
  });
  server.create("customer");
  await expect(backfill()).rejects.toMatchObject({ code: "stripe_request_failed" });
  expect(past.records).toEqual([]);
  expect(past.status).toMatchObject({ partsDone: 0, partsFailed: 0 });
  expect(clock.now()).toBeGreaterThan(startMs);
});

test("types whose objects do not say when they were created are left out; without a key there is nothing to ask", async () => {
  const { spec } = await account({}, { objects: ["customer", "payment_link"] });
  expect(await createStripeInterval(spec, all).parts()).toEqual([
    { name: "customer", rows: null },
    { name: "payment_link", rows: null, leftOut: expect.stringContaining("created") },
  ]);
  const webhooks = stripe({ webhookSecrets: ["whsec_1"], apiVersion: version });
  expect(() => createStripeInterval(webhooks, all)).toThrow(
    expect.objectContaining({ code: "interval_unavailable" }),
  );
});

test("stopped before its end it says so, and goes on later", async () => {
  const { clock, server, spec, past, backfill, captured, expected } = await account();
  for (let i = 0; i < 150; i++) server.create("customer");
  clock.jump(2 * minuteMs);
  const abort = new AbortController();
  past.beforeAppend = () => Promise.resolve(abort.abort());
  await expect(
    createStripeInterval(spec, all, { clock }).run(past.context(abort.signal)),
  ).rejects.toBeDefined();
  past.beforeAppend = () => Promise.resolve();
  await backfill();
  expect(captured()).toEqual(expected());
});
