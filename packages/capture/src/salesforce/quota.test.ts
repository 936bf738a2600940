import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SalesforceServer, VirtualClock } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { MemoryContext } from "../web/memory-context.fixture.ts";
import { createSalesforceCapture } from "./capture.ts";
import { salesforce } from "./declare.ts";
import { Quota } from "./quota.ts";

const startMs = Date.UTC(2026, 10, 1);
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** An organisation whose source would send far more than its share: it looks every minute. */
async function busy(dailyRequests: number, quotaShare: number) {
  const clock = new VirtualClock(startMs);
  const server = await SalesforceServer.start({ now: () => clock.now(), seed: 1, dailyRequests });
  onTestFinished(() => server.close());
  const account = server.define("Account", "001", [{ name: "Name", type: "string" }]);
  account.insert({ Name: "a" });
  const stateDir = mkdtempSync(join(tmpdir(), "weir-salesforce-"));
  onTestFinished(() => rmSync(stateDir, { recursive: true, force: true }));
  const spec = salesforce({
    loginUrl: server.url,
    auth: { clientId: "app", clientSecret: "secret" },
    objects: ["Account"],
    every: "1m",
    quotaShare,
  });
  const memory = new MemoryContext();
  const capture = () => createSalesforceCapture(spec, { stateDir, clock, random: () => 0.5 });
  /** Requests of the source in the 24 hours that end now. */
  const times: number[] = [];
  const run = async (ms: number) => {
    const end = clock.now() + ms;
    while (clock.now() < end) {
      const before = server.requests;
      await memory.run(capture(), clock, Math.min(end, clock.now() + hourMs));
      for (let i = before; i < server.requests; i++) times.push(clock.now());
    }
  };
  const inDay = () => times.filter((ms) => ms > clock.now() - dayMs).length;
  return { clock, server, account, memory, run, inDay };
}

test("the source keeps to its share over days and restarts, and goes on by itself", async () => {
  const { clock, memory, run, inDay, account } = await busy(400, 0.5);
  let most = 0;
  for (let i = 0; i < 24; i++) {
    await run(3 * hourMs);
    most = Math.max(most, inDay());
  }
  // Logins are no API requests: one an hour here, because each run begins with one.
  expect(most).toBeLessThanOrEqual(200 + 24);
  expect(most).toBeGreaterThan(150);
  expect(memory.status).toMatchObject({ quotaOwnLimit: 200, quotaLimit: 400 });
  account.insert({ Name: "later" });
  await run(6 * hourMs);
  expect(memory.texts.some((text) => text.includes('"Name":"later"'))).toBe(true);
  expect(clock.now()).toBeGreaterThan(startMs + 3 * dayMs);
});

test("when everybody together has used up nearly all, the source stops, says so, and looks now and then", async () => {
  const { clock, server, memory, run } = await busy(1000, 0.5);
  await run(10 * minuteMs);
  server.useQuota(950);
  const before = server.requests;
  await run(hourMs);
  expect(server.requests - before).toBeLessThan(10);
  expect(memory.status).toMatchObject({ quota: "stopped" });
  expect(memory.warnings).toMatchObject([
    { code: "salesforce_quota_reached", message: expect.stringContaining("of the organisation's 1000") },
  ]);
  clock.jump(dayMs);
  await run(hourMs);
  expect(memory.status).toMatchObject({ quota: "open" });
});

test("a refusal for lack of requests stops it at once", async () => {
  const { server, memory, run } = await busy(100, 1);
  server.useQuota(100);
  await run(2 * hourMs);
  expect(memory.status).toMatchObject({ quota: "stopped" });
  expect(server.requests).toBeLessThan(20);
});

test("from four fifths of the share on, requests are spread over the time that is left", async () => {
  const clock = new VirtualClock(startMs);
  const states: string[] = [];
  const quota = new Quota(clock, { source: 0.5 }, (state) => states.push(state));
  const { signal } = new AbortController();
  quota.note("api-usage=1/200");
  for (let i = 0; i < 80; i++) await quota.take(signal);
  expect(states).toEqual([]);
  const times: number[] = [];
  const taking = (async () => {
    for (let i = 0; i < 20; i++) {
      await quota.take(signal);
      times.push(clock.now() - startMs);
    }
  })();
  void clock.reach(startMs + 2 * dayMs);
  await taking;
  expect(states).toEqual(["slow"]);
  const gaps = times.map((time, i) => time - (times[i - 1] ?? 0));
  expect(Math.min(...gaps)).toBeGreaterThan(20 * minuteMs);
  expect(times.at(-1)).toBeLessThanOrEqual(dayMs + hourMs);
});

test("what was used before a restart counts, and is forgotten after a day", () => {
  const clock = new VirtualClock(startMs);
  const quota = new Quota(clock, { source: 0.5 }, () => {});
  const hour = startMs / hourMs;
  quota.load({ hours: { [String(hour - 1)]: 30, [String(hour - 24)]: 5, [String(hour - 25)]: 7, x: 1 } });
  quota.note("api-usage=1/200");
  expect(quota.status()).toMatchObject({ quotaOwn: 35, quotaOwnLimit: 100 });
  clock.jump(hourMs);
  expect(quota.status()).toMatchObject({ quotaOwn: 30 });
  expect(quota.save()).toEqual({ hours: { [String(hour - 1)]: 30 }, limit: 200 });
});
