/** Requests that are refused whole: what each address answers, and that nothing of them lands in the log. */
import type { Socket } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { orderPlaced, productViewed, startCollector } from "./collector.fixture.ts";
import { exchange } from "./raw-http.fixture.ts";
import { http } from "./source.ts";

const key = "key-of-web";
const mebi = 1024 * 1024;

interface Case {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  readonly query?: string;
  readonly status: number;
  readonly code: string;
}

/** What is good at each address, so that the case's own fault is the only one. */
const endpoints: Record<string, { headers: Record<string, string>; body: string }> = {
  "/v1/events": { headers: { "content-type": "application/json" }, body: '{"a":1}' },
  "/v1/batch": {
    headers: { "content-type": "application/json" },
    body: '{"batch":[{"type":"track","event":"x"}]}',
  },
  "/v1/track": { headers: { "content-type": "application/json" }, body: '{"event":"x"}' },
  "/v1/cloudevents": {
    headers: { "content-type": "application/cloudevents+json" },
    body: '{"specversion":"1.0","id":"1","source":"/s","type":"t"}',
  },
};

/** A gigabyte of zeros in a megabyte: 100 gzip members of 10 MB. */
const bomb = Buffer.concat(Array.from({ length: 100 }, () => gzipSync(Buffer.alloc(10 * mebi))));
const someGzip = gzipSync('{"a":1}'.padEnd(2000));

const cases: Record<string, Case> = {
  "no key": { headers: { authorization: "" }, status: 401, code: "invalid_write_key" },
  "a wrong key": { headers: { authorization: "Bearer nope" }, status: 401, code: "invalid_write_key" },
  "a prefix of a key": {
    headers: { authorization: `Bearer ${key.slice(0, -1)}` },
    status: 401,
    code: "invalid_write_key",
  },
  "a wrong Basic user": {
    headers: { authorization: `Basic ${btoa("nope:")}` },
    status: 401,
    code: "invalid_write_key",
  },
  "an unknown scheme": {
    headers: { authorization: `Digest ${key}` },
    status: 401,
    code: "invalid_write_key",
  },
  "a wrong key beside a right one in the query": {
    headers: { authorization: "Bearer nope" },
    query: `?writeKey=${key}`,
    status: 401,
    code: "invalid_write_key",
  },
  "text/csv": { headers: { "content-type": "text/csv" }, status: 415, code: "unsupported_media_type" },
  "multipart/form-data": {
    headers: { "content-type": "multipart/form-data; boundary=x" },
    status: 415,
    code: "unsupported_media_type",
  },
  "CloudEvents as XML": {
    headers: { "content-type": "application/cloudevents+xml" },
    status: 415,
    code: "unsupported_media_type",
  },
  "an unknown coding": { headers: { "content-encoding": "zstd" }, status: 415, code: "unsupported_encoding" },
  "two codings": { headers: { "content-encoding": "gzip, gzip" }, status: 415, code: "unsupported_encoding" },
  "truncated gzip": {
    headers: { "content-encoding": "gzip" },
    body: someGzip.subarray(0, -12),
    status: 400,
    code: "invalid_encoding",
  },
  "gzip without its checksum": {
    headers: { "content-encoding": "gzip" },
    body: someGzip.subarray(0, -8),
    status: 400,
    code: "invalid_encoding",
  },
  "gzip with a wrong checksum": {
    headers: { "content-encoding": "gzip" },
    body: someGzip.map((byte, i) => (i === someGzip.length - 6 ? byte ^ 1 : byte)),
    status: 400,
    code: "invalid_encoding",
  },
  "gzip that is none": {
    headers: { "content-encoding": "gzip" },
    body: '{"a":1}',
    status: 400,
    code: "invalid_encoding",
  },
  "deflate that is none": {
    headers: { "content-encoding": "deflate" },
    body: '{"a":1}',
    status: 400,
    code: "invalid_encoding",
  },
  "truncated deflate": {
    headers: { "content-encoding": "deflate" },
    body: deflateSync('{"a":1}').subarray(0, -3),
    status: 400,
    code: "invalid_encoding",
  },
  "truncated brotli": {
    headers: { "content-encoding": "br" },
    body: brotliCompressSync('{"a":1}').subarray(0, -3),
    status: 400,
    code: "invalid_encoding",
  },
  "an empty body that claims gzip": {
    headers: { "content-encoding": "gzip" },
    body: "",
    status: 400,
    code: "invalid_encoding",
  },
  "a zip bomb": { headers: { "content-encoding": "gzip" }, body: bomb, status: 413, code: "body_too_large" },
  "a body a byte too large": { body: " ".repeat(2 * mebi + 1), status: 413, code: "body_too_large" },
  "an empty body": { body: "", status: 400, code: "empty_body" },
  "white space": { body: " \r\n\t ", status: 400, code: "empty_body" },
  "a byte order mark alone": { body: "\ufeff", status: 400, code: "empty_body" },
};

async function keyedCollector() {
  return startCollector({
    sources: {
      web: http({ contracts: [productViewed], writeKeys: [key], limits: { records: 50 } }),
      shop: http({ contracts: [orderPlaced], writeKeys: ["key-of-shop"] }),
    },
    limits: { bodyBytes: 2 * mebi, headersTimeoutMs: 600, requestTimeoutMs: 1200 },
  });
}

for (const [path, good] of Object.entries(endpoints)) {
  test(`${path} refuses with status, code and remedy, and writes nothing`, async () => {
    const collector = await keyedCollector();
    for (const [name, { headers, body, query = "", status, code }] of Object.entries(cases)) {
      const sent = { ...good.headers, authorization: `Bearer ${key}`, ...headers };
      if (sent.authorization === "") delete (sent as Partial<typeof sent>).authorization;
      const answer = await collector.post(path + query, body ?? good.body, sent);
      expect({ name, status: answer.status, code: answer.body["code"] }).toEqual({ name, status, code });
      expect(Object.keys(answer.body), name).toEqual(["code", "message", "remedy"]);
      expect(answer.headers.get("content-type")).toBe("application/json; charset=utf-8");
    }
    expect(collector.logged()).toEqual([]);
    expect(collector.logged("shop")).toEqual([]);
    expect(collector.stats().inFlightBytes).toBe(0);
    // The connection and the process are none the worse.
    const answer = await collector.post(path, good.body, { ...good.headers, authorization: `Bearer ${key}` });
    expect(answer).toMatchObject({ status: 202, body: { received: 1, accepted: 1 } });
    expect(collector.logged()).toHaveLength(1);
  });
}

test("what curl -d sends is refused where no SDK sends it", async () => {
  const collector = await startCollector();
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const refused = { status: 415, body: { code: "unsupported_media_type" } };
  expect(await collector.post("/v1/events", "{}", form)).toMatchObject(refused);
  expect(await collector.post("/v1/cloudevents", "{}", form)).toMatchObject(refused);
  expect(await collector.post("/v1/track", '{"event":"x"}', form)).toMatchObject({ status: 202 });
  expect(collector.logged()).toHaveLength(1);
});

test("a charset that is not UTF-8 is refused; in binary CloudEvents the body is data of any kind", async () => {
  const collector = await startCollector();
  for (const path of ["/v1/events", "/v1/track"]) {
    const answer = await collector.post(path, '{"event":"x"}', {
      "content-type": "application/json; charset=utf-16",
    });
    expect(answer).toMatchObject({ status: 415, body: { code: "unsupported_media_type" } });
  }
  const ce = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
  const data = { ...ce, "content-type": "text/plain; charset=utf-16le" };
  expect(await collector.post("/v1/cloudevents", new Uint8Array([0xe9, 0]), data)).toMatchObject({
    status: 202,
  });
  expect(collector.logged()).toMatchObject([
    { error: "", text: expect.stringContaining('"data_base64":"6QA="') as string },
  ]);
  const ascii = { "content-type": 'application/json;charset="US-ASCII"' };
  expect(await collector.post("/v1/events", "{}", ascii)).toMatchObject({ status: 202 });
});

test("more records than allowed refuse the request, good and bad ones alike", async () => {
  const collector = await keyedCollector();
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/x-ndjson" };
  for (const record of ["{}", "nonsense"]) {
    const answer = await collector.post("/v1/events", `${record}\n`.repeat(51), headers);
    expect(answer).toMatchObject({ status: 413, body: { code: "too_many_records" } });
  }
  expect(collector.logged()).toEqual([]);
  expect(await collector.post("/v1/events", "{}\n".repeat(50), headers)).toMatchObject({ status: 202 });
});

test("100 MB are refused without being read whole, with and without a declared length", async () => {
  const collector = await startCollector({ limits: { bodyBytes: 2 * mebi } });
  const chunk = Buffer.alloc(mebi, " ");
  for (const framing of ["content-length: 104857600", "transfer-encoding: chunked"]) {
    const chunked = framing.startsWith("transfer");
    let sent = 0;
    const flood = async (socket: Socket) => {
      socket.write(
        `POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n${framing}\r\n\r\n`,
      );
      while (sent < 100 * mebi && !socket.destroyed) {
        if (chunked) socket.write("100000\r\n");
        const room = socket.write(chunk);
        if (chunked) socket.write("\r\n");
        sent += chunk.length;
        if (!room) await new Promise((resolve) => socket.once("drain", resolve).once("close", resolve));
      }
    };
    // A second answer never comes: this waits until the server hangs up.
    const { answers } = await exchange(collector.port, flood, 2);
    expect(answers).toMatchObject([
      { status: 413, body: expect.stringContaining("body_too_large") as string },
    ]);
    expect(sent).toBeLessThan(50 * mebi);
  }
  expect(collector.logged()).toEqual([]);
});

test.each<[string, string, number, string]>([
  ["no HTTP", "hello\r\n\r\n", 400, "invalid_http"],
  ["TLS on a plain port", "\u0016\u0003\u0001\u0002\u0000\u0001\u0000", 400, "invalid_http"],
  [
    "two lengths",
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 7\r\n\r\n{}",
    400,
    "invalid_http",
  ],
  [
    "the same length twice",
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{}",
    400,
    "invalid_http",
  ],
  [
    "a length and chunks",
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    400,
    "invalid_http",
  ],
  [
    "a negative length",
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
    400,
    "invalid_http",
  ],
  [
    "a chunk size that is none",
    "POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    400,
    "invalid_http",
  ],
  ["no host", "POST /v1/events HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}", 400, "invalid_http"],
  [
    "a NUL in a header",
    "POST /v1/events HTTP/1.1\r\nhost: x\r\nx-a: \u0000\r\ncontent-length: 2\r\n\r\n{}",
    400,
    "invalid_http",
  ],
  [
    "headers of 20 KB",
    `POST /v1/events HTTP/1.1\r\nhost: x\r\nx-a: ${"a".repeat(20_000)}\r\n\r\n`,
    431,
    "headers_too_large",
  ],
])("bytes that are no request: %s", async (_name, bytes, status, code) => {
  const collector = await startCollector();
  const { answers, closed } = await exchange(collector.port, bytes, 2);
  expect(answers).toMatchObject([{ status, body: expect.stringContaining(code) as string }]);
  expect(closed).toBe(true);
  expect(collector.logged()).toEqual([]);
});

test("slow clients are cut off: slow headers, a slow body, a body that never comes", async () => {
  const collector = await keyedCollector();
  const head = `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\ncontent-type: application/json\r\n`;
  const drip = (text: string) => (socket: Socket) => {
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length]!), 50);
    socket.on("close", () => clearInterval(timer));
    socket.on("end", () => clearInterval(timer));
  };
  const slowBody = (socket: Socket) => {
    socket.write(`${head}content-length: 1000\r\n\r\n`);
    drip('{"a":1}')(socket);
  };
  const results = await Promise.all([
    exchange(collector.port, drip(`${head}x-a: ${"a".repeat(10_000)}`), 2),
    exchange(collector.port, slowBody, 2),
    exchange(collector.port, `${head}content-length: 1000\r\n\r\n`, 2),
  ]);
  for (const { answers, closed } of results) {
    expect(answers).toMatchObject([
      { status: 408, body: expect.stringContaining("request_timeout") as string },
    ]);
    expect(closed).toBe(true);
  }
  expect(collector.logged()).toEqual([]);
  await expect
    .poll(() => collector.stats())
    .toMatchObject({ inFlightBytes: 0, abandoned: 2, connections: 0 });
});

test("a client that goes away in the middle of its body leaves nothing", async () => {
  const collector = await startCollector();
  await exchange(collector.port, (socket) => {
    const head =
      "POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    socket.write(`${head}{"a":1}`, () => socket.resetAndDestroy());
  });
  await expect.poll(() => collector.stats().abandoned).toBe(1);
  expect(collector.stats().inFlightBytes).toBe(0);
  expect(collector.logged()).toEqual([]);
});

test("wrong methods and addresses", async () => {
  const { url } = await startCollector();
  for (const [method, path, status, code, allow] of [
    ["GET", "/v1/events", 405, "method_not_allowed", "POST, OPTIONS"],
    ["PUT", "/v1/batch", 405, "method_not_allowed", "POST, OPTIONS"],
    ["DELETE", "/v1/cloudevents", 405, "method_not_allowed", "POST, OPTIONS"],
    ["POST", "/healthz", 405, "method_not_allowed", "GET, HEAD"],
    ["POST", "/contracts/product_viewed", 405, "method_not_allowed", "GET, HEAD"],
    ["POST", "/v1/event", 404, "not_found", null],
    ["POST", "/v1/events/", 404, "not_found", null],
    ["POST", "/v1/", 404, "not_found", null],
    ["GET", "/", 404, "not_found", null],
    ["GET", "/contracts/nope", 404, "not_found", null],
    ["GET", "/contracts/__proto__", 404, "not_found", null],
    ["POST", "/v1/constructor", 404, "not_found", null],
  ] as const) {
    const response = await fetch(url + path, { method, ...(method === "POST" ? { body: "{}" } : {}) });
    const { code: found } = (await response.json()) as { code: string };
    expect([method, path, response.status, found, response.headers.get("allow")]).toEqual([
      method,
      path,
      status,
      code,
      allow,
    ]);
  }
});
