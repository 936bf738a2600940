/** Clients that other people wrote, as they come from npm, against a real collector. */
import { Analytics } from "@segment/analytics-node";
import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import { CloudEvent, HTTP, Mode, emitterFor, httpTransport } from "cloudevents";
import { expect, test } from "vitest";
import { productViewed, startCollector } from "./collector.fixture.ts";
import { http } from "./source.ts";

const key = "the-write-key";

async function shop() {
  return startCollector({
    sources: {
      web: http({ contracts: [productViewed], writeKeys: [key] }),
      other: http({ contracts: [], writeKeys: ["another"] }),
    },
  });
}

type Logged = Awaited<ReturnType<typeof shop>>;
const parsed = (collector: Logged) =>
  collector.logged().map(({ contract, error, text }) => {
    expect(error).toBe("");
    return { contract, record: JSON.parse(text) as Record<string, unknown> };
  });

test("@segment/analytics-node", async () => {
  const collector = await shop();
  const analytics = new Analytics({ writeKey: key, host: collector.url, flushAt: 4, maxRetries: 0 });
  const failures: unknown[] = [];
  analytics.on("error", (error) => failures.push(error));
  const timestamp = new Date("2026-01-02T03:04:05.678Z");
  for (let i = 0; i < 10; i++) {
    analytics.track({
      anonymousId: `a${i}`,
      event: "Product Viewed",
      properties: { sku: `S${i}` },
      timestamp,
      messageId: `m${i}`,
    });
  }
  analytics.identify({ userId: "u", traits: { email: "a@b.c" } });
  analytics.page({ userId: "u", name: "Home", properties: { url: "https://x" } });
  analytics.screen({ userId: "u", name: "Start" });
  analytics.group({ userId: "u", groupId: "g", traits: { seats: 3 } });
  analytics.alias({ userId: "u", previousId: "a" });
  await analytics.closeAndFlush();
  expect(failures).toEqual([]);
  const records = parsed(collector);
  expect(records.map(({ contract }) => contract)).toEqual([
    ...Array.from({ length: 10 }, () => "product_viewed"),
    "identify",
    "page",
    "screen",
    "group",
    "alias",
  ]);
  expect(records[3]!.record).toMatchObject({
    sku: "S3",
    event_id: "m3",
    message_id: "m3",
    anonymous_id: "a3",
    occurred_at: "2026-01-02T03:04:05.678Z",
    context: { library: { name: "@segment/analytics-node" } },
    segment: { type: "track", event: "Product Viewed" },
  });
  expect(records[13]!.record).toMatchObject({ seats: 3, user_id: "u", group_id: "g" });
  for (const { record } of records)
    expect(JSON.stringify(record)).not.toMatch(/sentAt|_metadata|writeKey|the-write-key/);
});

test("@segment/analytics-node with a wrong key is told so", async () => {
  const collector = await shop();
  const analytics = new Analytics({ writeKey: "nope", host: collector.url, flushAt: 1, maxRetries: 0 });
  const failure = new Promise<{ reason?: unknown }>((resolve) => analytics.on("error", resolve));
  analytics.track({ anonymousId: "a", event: "x" });
  expect(String((await failure).reason)).toContain("401");
  await analytics.closeAndFlush();
  expect(collector.logged()).toEqual([]);
});

test("@rudderstack/rudder-sdk-node, with gzip as it comes", async () => {
  const collector = await shop();
  const rudder = new RudderAnalytics(key, { dataPlaneUrl: collector.url, flushAt: 20, retryCount: 0 });
  for (let i = 0; i < 10; i++) {
    // Its types leave messageId out; its documentation has it.
    const message = {
      userId: "u",
      event: "Looked At Product",
      properties: { sku: `S${i}`, price: 1.5 },
      messageId: `m${i}`,
    };
    rudder.track(message);
  }
  rudder.identify({ userId: "u", traits: { plan: "pro" } });
  rudder.page({ userId: "u", name: "Home", properties: {} });
  rudder.alias({ userId: "u", previousId: "a" });
  rudder.group({ userId: "u", groupId: "g" });
  await rudder.flush();
  const records = parsed(collector);
  expect(records.map(({ contract }) => contract)).toEqual([
    ...Array.from({ length: 10 }, () => "product_viewed"),
    "identify",
    "page",
    "alias",
    "group",
  ]);
  expect(records[7]!.record).toMatchObject({
    sku: "S7",
    price: 1.5,
    event_id: "m7",
    user_id: "u",
    segment: { channel: "server" },
  });
  expect(records[7]!.record["occurred_at"]).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  for (const { record } of records) expect(JSON.stringify(record)).not.toMatch(/sentAt|_metadata|writeKey/);
});

test("cloudevents: its HTTP emitter in binary and structured mode, and a batch", async () => {
  const collector = await shop();
  const sink = `${collector.url}/v1/cloudevents?writeKey=${key}`;
  const event = new CloudEvent({
    id: "e-1",
    source: "/shop",
    type: "com.shop.product.viewed",
    time: "2026-01-02T03:04:05.678Z",
    subject: "Größe €",
    data: { sku: "S", price: 10.5 },
    tenant: "acme",
  });
  const binary = emitterFor(httpTransport(sink), { binding: HTTP, mode: Mode.BINARY });
  const structured = emitterFor(httpTransport(sink), { binding: HTTP, mode: Mode.STRUCTURED });
  for (const emit of [binary, structured]) {
    const answer = (await emit(event.cloneWith({ subject: "s" }))) as { body: string };
    expect(JSON.parse(answer.body)).toMatchObject({ success: true, accepted: 1 });
  }
  await structured(event);
  await structured(event.cloneWith({ data: "plain text", datacontenttype: "text/plain" }));
  await fetch(sink, {
    method: "POST",
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: JSON.stringify([event, event.cloneWith({ id: "e-2" })]),
  });
  const records = parsed(collector);
  expect(records.map(({ contract }) => contract)).toEqual(Array.from({ length: 6 }, () => "product_viewed"));
  for (const { record } of [...records.slice(0, 3), ...records.slice(4)]) {
    expect(record).toMatchObject({
      sku: "S",
      price: 10.5,
      occurred_at: "2026-01-02T03:04:05.678Z",
      cloudevent: { source: "/shop", tenant: "acme", specversion: "1.0" },
    });
  }
  expect(records.map(({ record }) => record["event_id"])).toEqual(["e-1", "e-1", "e-1", "e-1", "e-1", "e-2"]);
  expect(records[2]!.record["cloudevent"]).toMatchObject({ subject: "Größe €" });
  expect(records[3]!.record["data"]).toBe("plain text");
});

test("fetch over kept connections: concurrent, large and compressed requests", async () => {
  const collector = await shop();
  const post = async (i: number): Promise<number> => {
    const records = Array.from({ length: 50 }, (_, j) => ({
      type: "product_viewed",
      event_id: `${i}-${j}`,
      pad: "é".repeat(500),
    }));
    const stream = new Blob([records.map((record) => `${JSON.stringify(record)}\n`).join("")]).stream();
    const compressed = stream.pipeThrough(new CompressionStream(i % 2 === 0 ? "gzip" : "deflate"));
    const response = await fetch(`${collector.url}/v1/events`, {
      method: "POST",
      headers: {
        "x-write-key": key,
        "content-type": "application/x-ndjson",
        "content-encoding": i % 2 === 0 ? "gzip" : "deflate",
      },
      body: compressed,
      duplex: "half",
    });
    return ((await response.json()) as { accepted: number }).accepted;
  };
  const accepted = await Promise.all(Array.from({ length: 40 }, (_, i) => post(i)));
  expect(accepted).toEqual(Array.from({ length: 40 }, () => 50));
  const ids = parsed(collector).map(({ record }) => record["event_id"]);
  expect(new Set(ids).size).toBe(2000);
  expect(ids).toHaveLength(2000);
});
