import { gzipSync } from "node:zlib";
import { logContract, validator } from "@weir/contract";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type LoggedRecord, type TestCollector, startCollector } from "./collector.fixture.ts";
import { logs } from "./log-source.ts";
import { decoded, protobufOf } from "./otlp-message.fixture.ts";

const json = { "content-type": "application/json" };
const protobuf = { "content-type": "application/x-protobuf" };
const contract = logContract("logs");
const validate = validator(contract);

const start = async (options: Parameters<typeof logs>[0] = {}): Promise<TestCollector> =>
  startCollector({ sources: { web: logs({ contract, ...options }) } });

const record = (body: string, more: object = {}): object => ({
  timeUnixNano: "1767323045678901234",
  body: { stringValue: body },
  ...more,
});
const attribute = (key: string, value: object): object => ({ key, value });
const text = (key: string, stringValue: string): object => attribute(key, { stringValue });
const requestOf = (logRecords: unknown[], resource: object[] = [], scope: object = {}): object => ({
  resourceLogs: [{ resource: { attributes: resource }, scopeLogs: [{ scope, logRecords }] }],
});

const parsed = (collector: TestCollector): Record<string, unknown>[] =>
  collector.logged().map(({ error, text: line, keys, contract: name }) => {
    const value = JSON.parse(line) as Record<string, unknown>;
    expect({ error, name, keys }).toEqual({ error: "", name: "logs", keys: Object.keys(value).length });
    expect(validate(value)).toEqual([]);
    return value;
  });
const bodies = (logged: LoggedRecord[]): unknown[] =>
  logged.map(({ error, text: line }) =>
    error === "" ? (JSON.parse(line) as { body: unknown }).body : error.replace(/:.*/, ""),
  );

/** Bodies in both encodings that mean the same. */
async function postBoth(request: object, check: (collector: TestCollector) => void): Promise<void> {
  const [one, two] = [await start(), await start()];
  expect((await one.post("/v1/logs", JSON.stringify(request), json)).status).toBe(200);
  const answer = await fetch(`${two.url}/v1/logs`, {
    method: "POST",
    headers: protobuf,
    body: protobufOf(request),
  });
  expect([answer.status, (await answer.arrayBuffer()).byteLength]).toEqual([200, 0]);
  expect(two.logged().map(({ text: line }) => line)).toEqual(one.logged().map(({ text: line }) => line));
  check(one);
}

test("a record with everything, in both encodings", async () => {
  const everything = record('Größe \u{1f600} "quoted"\n', {
    observedTimeUnixNano: "1767323046000000000",
    severityNumber: 17,
    severityText: "ERROR",
    eventName: "payment.failed",
    traceId: "0AF7651916CD43DD8448EB211C80319C",
    spanId: "b7ad6b7169203331",
    flags: 1,
    droppedAttributesCount: 2,
    attributes: [
      text("http.route", "/pay"),
      attribute("count", { intValue: "9223372036854775807" }),
      attribute("least", { intValue: "-9223372036854775808" }),
      attribute("ratio", { doubleValue: 0.1 }),
      attribute("whole", { doubleValue: 3 }),
      attribute("ok", { boolValue: false }),
      attribute("raw", { bytesValue: "AAEC/w==" }),
      attribute("list", { arrayValue: { values: [{ intValue: 1 }, { stringValue: "é" }, {}] } }),
      attribute("map", { kvlistValue: { values: [text("a", "b"), attribute("none", {})] } }),
      text("ok", "a second one"),
    ],
  });
  const resource = [
    text("service.name", "checkout"),
    text("service.version", "1.2.3"),
    text("deployment.environment", "old"),
    text("deployment.environment.name", "prod"),
    text("k8s.cluster.name", "eu-1"),
    text("k8s.namespace.name", "shop"),
    text("k8s.pod.name", "checkout-7d9f-abcde"),
    text("k8s.container.name", "app"),
    text("k8s.node.name", "node-3"),
    text("k8s.deployment.name", "checkout"),
    attribute("host.name", { intValue: 5 }),
    text("cloud.region", "eu-central-1"),
  ];
  const scope = { name: "com.shop.Payments", version: "9", attributes: [text("short", "x")] };
  await postBoth(requestOf([everything], resource, scope), (collector) => {
    const [logged] = parsed(collector);
    expect(logged).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      time: "2026-01-02T03:04:05.678901234Z",
      observed_time: "2026-01-02T03:04:06Z",
      severity_number: 17,
      severity_text: "ERROR",
      body: 'Größe \u{1f600} "quoted"\n',
      event_name: "payment.failed",
      trace_id: "0af7651916cd43dd8448eb211c80319c",
      span_id: "b7ad6b7169203331",
      trace_flags: 1,
      dropped_attributes: 2,
      service: "checkout",
      service_version: "1.2.3",
      environment: "prod",
      k8s_cluster: "eu-1",
      k8s_namespace: "shop",
      k8s_node: "node-3",
      k8s_deployment: "checkout",
      k8s_pod: "checkout-7d9f-abcde",
      k8s_container: "app",
      scope: "com.shop.Payments",
      scope_version: "9",
      scope_attributes: { short: "x" },
      resource: { "deployment.environment": "old", "host.name": 5, "cloud.region": "eu-central-1" },
      attributes: {
        "http.route": "/pay",
        count: Number("9223372036854775807"),
        least: Number("-9223372036854775808"),
        ratio: 0.1,
        whole: 3,
        ok: false,
        raw: "AAEC/w==",
        list: [1, "é", null],
        map: { a: "b", none: null },
        ok_: "a second one",
      },
    });
    expect(collector.logged()[0]!.text).toContain('"count":9223372036854775807,"least":-9223372036854775808');
  });
});

test("little or nothing", async () => {
  const none = { body: { kvlistValue: { values: [text("a", "b")] } }, observedTimeUnixNano: "1000000000" };
  await postBoth(
    requestOf([none, record("", { traceId: "00000000000000000000000000000000" })]),
    (collector) => {
      expect(parsed(collector)).toEqual([
        {
          id: expect.anything() as string,
          time: "1970-01-01T00:00:01Z",
          observed_time: "1970-01-01T00:00:01Z",
          body_json: { a: "b" },
        },
        { id: expect.anything() as string, time: "2026-01-02T03:04:05.678901234Z", body: "" },
      ]);
    },
  );
  await postBoth({}, (collector) => expect(collector.logged()).toEqual([]));
  await postBoth({ resourceLogs: [{}, { scopeLogs: [{}] }] }, (collector) =>
    expect(collector.logged()).toEqual([]),
  );
});

test("a request that is sent again has the same ids; equal records of one request have ids of their own", async () => {
  const collector = await start();
  const twice = JSON.stringify(requestOf([record("a"), record("a"), record("b"), record("a")]));
  for (const body of [twice, twice]) expect((await collector.post("/v1/logs", body, json)).status).toBe(200);
  const ids = parsed(collector).map(({ id }) => id as string);
  expect(ids.slice(0, 4)).toEqual(ids.slice(4));
  expect(new Set(ids).size).toBe(4);
  await collector.post(
    "/v1/logs",
    JSON.stringify(requestOf([record("a")], [text("k8s.pod.name", "another")])),
    json,
  );
  expect(ids).not.toContain(parsed(collector).at(-1)!["id"]);
});

test("log.record.uid is the id", async () => {
  const uid = record("a", { attributes: [text("log.record.uid", "01J9"), text("k", "v")] });
  await postBoth(requestOf([uid, uid]), (collector) => {
    expect(parsed(collector)).toMatchObject([{ id: "01J9", attributes: { k: "v" } }, { id: "01J9" }]);
  });
});

test.each([
  ["gzip", (body: Buffer) => gzipSync(body)],
  ["identity", (body: Buffer) => body],
])("content-encoding %s", async (coding, encode) => {
  const collector = await start({ writeKeys: ["k"] });
  const headers = { ...protobuf, "content-encoding": coding, authorization: "Bearer k" };
  const answer = await fetch(`${collector.url}/v1/logs`, {
    method: "POST",
    headers,
    body: encode(protobufOf(requestOf([record("a")]))),
  });
  expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "application/x-protobuf"]);
  expect(bodies(collector.logged())).toEqual(["a"]);
});

const lone = '{"timeUnixNano":"1","body":{"stringValue":"\\ud83d"}}';
const good = JSON.stringify(record("good"));
const wrap = (records: string, resource = "{}"): string =>
  `{"resourceLogs": [ {"resource":${resource},"scopeLogs":[{"logRecords":[${records}]}]}]}`;

test.each<[what: string, request: string | Buffer, expected: string[]]>([
  ["half a surrogate pair", wrap(`${good},${lone},${good}`), ["good", "lone_surrogate", "good"]],
  [
    "bytes that are no UTF-8",
    Buffer.from(wrap(`${good},{"body":{"stringValue":"\xff"}}`), "latin1"),
    ["good", "invalid_utf8"],
  ],
  ["a name that comes twice", wrap(`{"body":{},"body":{}},${good}`), ["duplicate_key", "good"]],
  ["a time that is none", wrap(`{"timeUnixNano":"yesterday"},${good}`), ["invalid_message", "good"]],
  ["a time before 1970", wrap(`{"timeUnixNano":"-1"},${good}`), ["invalid_message", "good"]],
  ["a record that is no object", wrap(`5,${good},null`), ["invalid_message", "good", "invalid_message"]],
  ["a body that is no value", wrap(`{"body":"text"},${good}`), ["invalid_message", "good"]],
  ["an id in base 64", wrap(`{"traceId":"CvdlGRbNQ92ESOshHIAxnA=="},${good}`), ["invalid_message", "good"]],
  ["an integer that is none", wrap(`{"body":{"intValue":"1.5"}},${good}`), ["invalid_message", "good"]],
  [
    "a resource that is broken",
    wrap(`${good},${good}`, '{"attributes":5}'),
    ["invalid_message", "invalid_message"],
  ],
  ["members of later versions", wrap('{"body":{"stringValue":"x","new":1},"new":[]}', '{"new":{}}'), ["x"]],
  ["white space and a mark", `\ufeff \n${wrap(good)} \n`, ["good"]],
])("JSON: %s", async (_, request, expected) => {
  const collector = await start();
  const answer = await collector.post("/v1/logs", request, json);
  const rejected = expected.filter((one) => /^[a-z]+_[a-z_0-9]+$/.test(one)).length;
  expect(answer.status).toBe(200);
  if (rejected === 0) expect(answer.body).toEqual({});
  else {
    expect(answer.body["partialSuccess"]).toMatchObject({
      rejectedLogRecords: String(rejected),
      errorMessage: expect.stringContaining(`${rejected} of ${expected.length} records`) as string,
    });
  }
  expect(bodies(collector.logged())).toEqual(expected);
});

test("what is kept of an unreadable record can be sent again", async () => {
  const collector = await start();
  await collector.post("/v1/logs", wrap(`{"body":{"stringValue":"\\ud83d"}}`, '{"attributes":[]}'), json);
  const [kept] = collector.logged();
  const mended = kept!.text.replace("\\ud83d", "mended");
  expect((await collector.post("/v1/logs", mended, json)).status).toBe(200);
  expect(bodies(collector.logged())).toEqual(["lone_surrogate", "mended"]);
});

test("numbers keep their digits", async () => {
  const collector = await start();
  const bare = wrap(
    '{"timeUnixNano":1767323045678901234,"body":{"stringValue":": 12345678901234567"},"attributes":[{"key":"n","value":{"intValue":-9007199254740993}}]}',
  );
  await collector.post("/v1/logs", bare, json);
  expect(parsed(collector)).toMatchObject([
    { time: "2026-01-02T03:04:05.678901234Z", body: ": 12345678901234567" },
  ]);
  expect(collector.logged()[0]!.text).toContain('{"n":-9007199254740993}');
});

const brokenString = protobufOf(requestOf([record("AAAA"), record("good")], [text("service.name", "s")]));
const at = brokenString.indexOf("AAAA");

test.each<[what: string, change: (bytes: Buffer) => void, expected: string[]]>([
  ["a string that is no UTF-8", (bytes) => bytes.fill(0xff, at, at + 4), ["invalid_utf8", "good"]],
  ["a length beyond its record", (bytes) => bytes.writeUInt8(0x7f, at - 1), ["invalid_message", "good"]],
  ["a field of another type", (bytes) => bytes.writeUInt8(0x09, at - 2), ["invalid_message", "good"]],
  [
    "a resource that is no UTF-8",
    (bytes) => bytes.fill(0xff, bytes.indexOf("service"), bytes.indexOf("service") + 1),
    ["invalid_utf8", "invalid_utf8"],
  ],
])("protobuf: %s costs the records that it is of", async (_, change, expected) => {
  const bytes = Buffer.from(brokenString);
  change(bytes);
  const collector = await start();
  const answer = await fetch(`${collector.url}/v1/logs`, { method: "POST", headers: protobuf, body: bytes });
  const rejected = expected.filter((one) => one !== "good").length;
  expect(decoded("Response", new Uint8Array(await answer.arrayBuffer()))).toMatchObject({
    partialSuccess: { rejectedLogRecords: String(rejected) },
  });
  expect(bodies(collector.logged())).toEqual(expected);
});

test("a list nested deeper than the source allows costs itself, in both encodings", async () => {
  let value: object = { intValue: 1 };
  for (let i = 0; i < 10; i++) value = { arrayValue: { values: [value] } };
  for (const [headers, encode] of [
    [json, JSON.stringify],
    [protobuf, protobufOf],
  ] as const) {
    const collector = await start({ limits: { depth: 10 } });
    await fetch(`${collector.url}/v1/logs`, {
      method: "POST",
      headers,
      body: encode(requestOf([{ body: value }, record("good")])),
    });
    expect(bodies(collector.logged())).toEqual(["too_deep", "good"]);
  }
});

test("a record larger than the source allows costs itself", async () => {
  const collector = await start({ limits: { recordBytes: 1000 } });
  await collector.post(
    "/v1/logs",
    JSON.stringify(requestOf([record("x".repeat(1000)), record("good")])),
    json,
  );
  expect(bodies(collector.logged())).toEqual(["too_large", "good"]);
});

const whole = protobufOf(requestOf([record("a")]));

test.each<
  [what: string, headers: Record<string, string>, body: string | Buffer, status: number, code: string]
>([
  ["JSON that breaks off", json, '{"resourceLogs":[', 400, "invalid_otlp"],
  ["JSON that is no object", json, "[]", 400, "invalid_otlp"],
  ["names in snake_case", json, '{"resource_logs":[]}', 400, "invalid_otlp"],
  ["traces", json, '{"resourceSpans":[]}', 400, "invalid_otlp"],
  ["a list that is none", json, '{"resourceLogs":{}}', 400, "invalid_otlp"],
  ["two bodies", json, "{}{}", 400, "invalid_otlp"],
  ["nothing", json, "", 400, "empty_body"],
  ["protobuf that breaks off", protobuf, whole.subarray(0, -1), 400, "invalid_otlp"],
  ["JSON called protobuf", protobuf, "{}", 400, "invalid_otlp"],
  [
    "bytes of all values",
    protobuf,
    Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
    400,
    "invalid_otlp",
  ],
  ["another type", { "content-type": "text/plain" }, "{}", 415, "unsupported_media_type"],
  ["no type", { "content-type": "" }, "{}", 415, "unsupported_media_type"],
  [
    "another charset",
    { "content-type": "application/json; charset=latin1" },
    "{}",
    415,
    "unsupported_media_type",
  ],
  ["gzip that is none", { ...protobuf, "content-encoding": "gzip" }, whole, 400, "invalid_encoding"],
  [
    "gzip that breaks off",
    { ...protobuf, "content-encoding": "gzip" },
    gzipSync(whole).subarray(0, -4),
    400,
    "invalid_encoding",
  ],
  ["an unknown coding", { ...protobuf, "content-encoding": "zstd" }, whole, 415, "unsupported_encoding"],
  [
    "a bomb",
    { ...protobuf, "content-encoding": "gzip" },
    gzipSync(Buffer.alloc(20_000_000)),
    413,
    "body_too_large",
  ],
  ["a page", { ...json, origin: "https://shop.example.com" }, "{}", 403, "origin_not_allowed"],
])("refused whole: %s", async (_, headers, body, status, code) => {
  const collector = await start();
  const answer = await fetch(`${collector.url}/v1/logs`, { method: "POST", headers, body });
  expect(answer.status).toBe(status);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const isProtobuf = headers["content-type"] === "application/x-protobuf";
  expect(answer.headers.get("content-type")).toBe(isProtobuf ? "application/x-protobuf" : "application/json");
  const told = isProtobuf ? decoded("Status", bytes) : (JSON.parse(Buffer.from(bytes).toString()) as object);
  expect(told).toEqual({ message: expect.stringMatching(`^${code}: `) as string });
  expect(collector.logged()).toEqual([]);
});

test("cut anywhere, changed anywhere: refused, or every record has a line", async () => {
  const collector = await start();
  const request = protobufOf(
    requestOf([record("a", { attributes: [text("k", "v")] }), record("b")], [text("service.name", "s")], {
      name: "n",
    }),
  );
  await fc.assert(
    fc.asyncProperty(fc.nat(request.length - 1), fc.nat(255), fc.boolean(), async (place, byte, cut) => {
      const bytes = Buffer.from(request);
      bytes[place] = byte;
      const before = collector.logged().length;
      const answer = await fetch(`${collector.url}/v1/logs`, {
        method: "POST",
        headers: protobuf,
        body: cut ? request.subarray(0, place) : bytes,
      });
      await answer.arrayBuffer();
      expect([200, 400]).toContain(answer.status);
      const lines = collector.logged().slice(before);
      if (answer.status === 400) expect(lines).toEqual([]);
      for (const { error, text: line } of lines) if (error === "") JSON.parse(line);
    }),
    { numRuns: 300 },
  );
});

const anyValue: fc.Arbitrary<object> = fc.letrec<{ value: object }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant({}),
    fc.string({ unit: "grapheme" }).map((stringValue) => ({ stringValue })),
    fc.boolean().map((boolValue) => ({ boolValue })),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => ({ intValue: String(n) })),
    fc
      .double({ noNaN: true })
      .filter(Number.isFinite)
      .map((doubleValue) => ({ doubleValue })),
    fc.uint8Array().map((bytes) => ({ bytesValue: Buffer.from(bytes).toString("base64") })),
    fc.array(tie("value"), { maxLength: 3 }).map((values) => ({ arrayValue: { values } })),
    fc
      .array(fc.record({ key: fc.string(), value: tie("value") }), { maxLength: 3 })
      .map((values) => ({ kvlistValue: { values } })),
  ),
})).value;
const attributes = fc.array(
  fc.record({
    key: fc.oneof(fc.string(), fc.constantFrom("service.name", "k8s.pod.name", "host.name")),
    value: anyValue,
  }),
  { maxLength: 4 },
);
const anyRecord = fc.record(
  {
    timeUnixNano: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
    observedTimeUnixNano: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }).map(String),
    severityNumber: fc.nat(24),
    severityText: fc.string(),
    body: anyValue,
    attributes,
    traceId: fc.stringMatching(/^[0-9a-f]{32}$/),
    flags: fc.nat(),
    eventName: fc.string({ unit: "grapheme" }),
  },
  { requiredKeys: ["observedTimeUnixNano"] },
);

test("any request: both encodings give the same lines, and they satisfy the contract", async () => {
  const [one, two] = [await start(), await start()];
  await fc.assert(
    fc.asyncProperty(fc.array(anyRecord, { maxLength: 5 }), attributes, async (records, resource) => {
      const request = requestOf(records, resource, { name: "n", attributes: resource });
      const before = one.logged().length;
      expect((await one.post("/v1/logs", JSON.stringify(request), json)).body).toEqual({});
      await fetch(`${two.url}/v1/logs`, { method: "POST", headers: protobuf, body: protobufOf(request) });
      const lines = one.logged().slice(before);
      expect(
        two
          .logged()
          .slice(before)
          .map(({ text: line }) => line),
      ).toEqual(lines.map(({ text: line }) => line));
      expect(lines).toHaveLength(records.length);
      for (const { text: line, keys } of lines) {
        const value = JSON.parse(line) as object;
        expect([validate(value), keys]).toEqual([[], Object.keys(value).length]);
      }
    }),
    { numRuns: 100 },
  );
});
