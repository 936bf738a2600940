import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { WeirError } from "@weir/contract";
import type { LogStore } from "@weir/log";
import { expect, test } from "vitest";
import { startCollector } from "./collector.fixture.ts";
import { http } from "./source.ts";
import type { WebhookReceiver } from "./webhook-receiver.ts";

/** A provider whose calls are signed by saying so. */
const receiver: WebhookReceiver = {
  contract: "pay",
  verify(headers, body) {
    if (headers["x-signed"] === String(body.length)) return;
    throw new WeirError("webhook_signature_invalid", "It is not signed.");
  },
  read(call) {
    if (call["records"] === undefined) return "no records";
    const records = call["records"] as readonly object[];
    return records.map((record) => ({
      text: JSON.stringify(record),
      keys: Object.keys(record).length,
      nulls: 0,
    }));
  },
};

const start = (options = {}) => startCollector({ sources: {}, webhooks: { pay: receiver }, ...options });
const signed = (body: string | Uint8Array) => ({ "x-signed": String(Buffer.byteLength(body)) });

test("a signed call is in the log when it is answered, under the source's name", async () => {
  const collector = await start();
  const body = '{"records":[{"a":"é😀","b":null},{"c":1}]}';
  const { status, body: reply } = await collector.post("/v1/webhooks/pay", body, signed(body));
  expect(status).toBe(202);
  expect(reply).toEqual({ success: true, received: 2 });
  expect(collector.logged("pay").map(({ text }) => Buffer.from(text).toString())).toEqual([
    '{"a":"é😀","b":null}',
    '{"c":1}',
  ]);
  expect(collector.logged("pay")).toMatchObject([
    { contract: "pay", keys: 2 },
    { contract: "pay", keys: 1 },
  ]);
  expect(collector.stats().records).toEqual({ pay: { readable: 2, unreadable: {} } });
  expect(collector.stats().requests).toEqual({ webhooks: { 202: 1 } });
});

test("a call that is not signed is refused, and nothing of it is kept", async () => {
  const collector = await start();
  const { status, body } = await collector.post("/v1/webhooks/pay", '{"records":[]}');
  expect(status).toBe(400);
  expect(body).toMatchObject({ code: "webhook_signature_invalid" });
  expect(collector.logged("pay")).toEqual([]);
  expect(collector.stats().refused).toEqual({ webhook_signature_invalid: 1 });
});

test.each<[string, string | Buffer, string]>([
  ["not JSON", "{", "invalid_json: "],
  ["two values", '{"records":[]} {}', "invalid_json: "],
  ["an array", "[]", "not_an_object"],
  ["a name twice", '{"records":[],"records":[]}', "duplicate_key: "],
  ["half a surrogate pair", String.raw`{"records":["\ud800"]}`, "lone_surrogate: "],
  ["no UTF-8", Buffer.from('{"a":"\xff"}', "latin1"), "invalid_utf8: "],
  ["too deep", `${'{"a":'.repeat(80)}1${"}".repeat(80)}`, "too_deep: "],
  ["not what the provider sends", "{}", "invalid_message: no records"],
])("a signed call that is %s is accepted and kept as it came", async (_, body, error) => {
  const collector = await start();
  const { status, body: reply } = await collector.post("/v1/webhooks/pay", body, signed(body));
  expect([status, reply]).toEqual([202, { success: true, received: 1 }]);
  const [record, ...others] = collector.logged("pay");
  expect(others).toEqual([]);
  expect(record).toMatchObject({ contract: "pay", text: Buffer.from(body).toString("latin1") });
  expect(record?.error).toContain(error);
});

test.each<[string, number, string, (url: string) => Promise<Response>]>([
  [
    "an unknown source",
    404,
    "not_found",
    (url) => fetch(`${url}/v1/webhooks/other`, { method: "POST", body: "{}" }),
  ],
  [
    "an http source's name",
    404,
    "not_found",
    (url) => fetch(`${url}/v1/webhooks/web`, { method: "POST", body: "{}" }),
  ],
  ["no source", 404, "not_found", (url) => fetch(`${url}/v1/webhooks/`, { method: "POST", body: "{}" })],
  ["a GET", 405, "method_not_allowed", (url) => fetch(`${url}/v1/webhooks/pay`)],
  ["a preflight", 405, "method_not_allowed", (url) => fetch(`${url}/v1/webhooks/pay`, { method: "OPTIONS" })],
  [
    "no body",
    400,
    "empty_body",
    (url) => fetch(`${url}/v1/webhooks/pay`, { method: "POST", headers: signed("") }),
  ],
  [
    "white space",
    400,
    "empty_body",
    (url) => fetch(`${url}/v1/webhooks/pay`, { method: "POST", body: " \n", headers: signed(" \n") }),
  ],
  [
    "a compressed body",
    415,
    "unsupported_encoding",
    (url) =>
      fetch(`${url}/v1/webhooks/pay`, {
        method: "POST",
        body: gzipSync("{}"),
        headers: { "content-encoding": "gzip" },
      }),
  ],
  [
    "a huge body",
    413,
    "body_too_large",
    (url) => fetch(`${url}/v1/webhooks/pay`, { method: "POST", body: " ".repeat(200_000) }),
  ],
])("%s: %i %s", async (_, status, code, ask) => {
  const collector = await start({
    sources: { web: http({ contracts: [] }) },
    limits: { bodyBytes: 100_000 },
  });
  const response = await ask(collector.url);
  expect(response.status).toBe(status);
  expect(await response.json()).toMatchObject({ code });
  if (status === 405) expect(response.headers.get("allow")).toBe("POST");
  expect(collector.logged("pay")).toEqual([]);
});

test("a log that takes nothing is answered with 503, and the collector says that it is not ready", async () => {
  const refuse = () => Promise.reject(new WeirError("log_full", "The log is full."));
  const store = {
    openWriter: (source: string) =>
      Promise.resolve({
        source,
        append: refuse,
        seal: refuse,
        close: () => Promise.resolve(),
        stats: () => ({ full: true }),
      }),
  } as unknown as LogStore;
  const collector = await start({ store });
  const { status, headers, body } = await collector.post(
    "/v1/webhooks/pay",
    '{"records":[]}',
    signed('{"records":[]}'),
  );
  expect([status, body["code"], headers.get("retry-after")]).toEqual([503, "log_full", "1"]);
  expect(collector.readiness()).toMatchObject({
    ready: false,
    reasons: [{ code: "log_full", source: "pay" }],
  });
});

test("a client that goes away before its call is whole leaves nothing", async () => {
  const collector = await start();
  const socket = connect(collector.port);
  socket.write("POST /v1/webhooks/pay HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{");
  await expect.poll(() => collector.stats().inFlightBytes).toBe(1);
  socket.destroy();
  await expect.poll(() => collector.stats()).toMatchObject({ abandoned: 1, inFlightBytes: 0 });
  expect(collector.logged("pay")).toEqual([]);
});

test("http sources and webhooks go to logs of their own", async () => {
  const collector = await start({ sources: { web: http({ contracts: [] }) } });
  await collector.post("/v1/events", '{"a":1}', { "content-type": "application/json" });
  await collector.post("/v1/webhooks/pay", '{"records":[{"b":1}]}', signed('{"records":[{"b":1}]}'));
  expect(collector.logged("web").map(({ text }) => text)).toEqual(['{"a":1}']);
  expect(collector.logged("pay").map(({ text }) => text)).toEqual(['{"b":1}']);
});
