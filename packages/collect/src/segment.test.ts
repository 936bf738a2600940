import { expect, test } from "vitest";
import { productViewed, startCollector } from "./collector.fixture.ts";
import { type Contract, Type, contract } from "@weir/contract";
import { http } from "./source.ts";

const json = { "content-type": "application/json" };

const identified: Contract = contract("identify", {
  version: "1.0.0",
  owner: "crm",
  id: "message_id",
  time: "timestamp",
  fields: Type.Object({ message_id: Type.String(), timestamp: Type.String({ format: "date-time" }) }),
});

async function shop() {
  return startCollector({ sources: { web: http({ contracts: [productViewed, identified] }) } });
}

/** endpoint, message, contract, record */
const messages: [string, unknown, string, unknown][] = [
  [
    "track",
    {
      anonymousId: "an",
      userId: "us",
      messageId: "m-1",
      timestamp: "2026-01-02T03:04:05.678Z",
      sentAt: "2026-01-02T03:04:06Z",
      receivedAt: "2026-01-02T03:04:07Z",
      writeKey: "secret",
      _metadata: { retryCount: 2 },
      event: "Product Viewed",
      properties: { sku: "S", price: 10.5 },
      context: { ip: "1.2.3.4", traits: { email: "a@b.c" } },
      integrations: { All: true },
      version: 1,
    },
    "product_viewed",
    {
      sku: "S",
      price: 10.5,
      message_id: "m-1",
      anonymous_id: "an",
      user_id: "us",
      timestamp: "2026-01-02T03:04:05.678Z",
      context: { ip: "1.2.3.4", traits: { email: "a@b.c" } },
      event_id: "m-1",
      occurred_at: "2026-01-02T03:04:05.678Z",
      segment: { type: "track", event: "Product Viewed", integrations: { All: true }, version: 1 },
    },
  ],
  // An alias wins over the name that the event would get, and originalTimestamp stands in for timestamp.
  [
    "t",
    { event: "Looked At Product", messageId: "m", originalTimestamp: "2026-01-01T00:00:00Z" },
    "product_viewed",
    {
      message_id: "m",
      event_id: "m",
      occurred_at: "2026-01-01T00:00:00Z",
      segment: { type: "track", event: "Looked At Product", originalTimestamp: "2026-01-01T00:00:00Z" },
    },
  ],
  // What the payload has stays; what would have taken its place is kept beside it.
  [
    "track",
    {
      event: "product-viewed",
      messageId: "m",
      userId: "u",
      timestamp: "2026-01-01T00:00:00Z",
      context: { a: 1 },
      properties: {
        event_id: "own",
        occurred_at: null,
        user_id: 7,
        context: "mine",
        segment: "s",
        segment_: "t",
        timestamp: "x",
      },
    },
    "product_viewed",
    {
      event_id: "own",
      occurred_at: null,
      user_id: 7,
      context: "mine",
      segment: "s",
      segment_: "t",
      timestamp: "x",
      message_id: "m",
      segment__: {
        type: "track",
        event: "product-viewed",
        userId: "u",
        timestamp: "2026-01-01T00:00:00Z",
        context: { a: 1 },
      },
    },
  ],
  // Fields of an unknown contract are not known, so nothing is filled in.
  [
    "track",
    { event: "Cart Emptied", messageId: "m", timestamp: "2026-01-01T00:00:00Z", properties: {} },
    "cart_emptied",
    { message_id: "m", timestamp: "2026-01-01T00:00:00Z", segment: { type: "track", event: "Cart Emptied" } },
  ],
  [
    "track",
    { event: "日本", properties: [1] },
    "日本",
    { segment: { type: "track", event: "日本", properties: [1] } },
  ],
  [
    "track",
    { event: "x", properties: null },
    "x",
    { segment: { type: "track", event: "x", properties: null } },
  ],
  [
    "identify",
    {
      userId: null,
      anonymousId: "a",
      messageId: "m",
      timestamp: "2026-01-01T00:00:00Z",
      traits: { email: "a@b.c", plan: null },
    },
    "identify",
    {
      email: "a@b.c",
      plan: null,
      message_id: "m",
      anonymous_id: "a",
      user_id: null,
      timestamp: "2026-01-01T00:00:00Z",
      segment: { type: "identify" },
    },
  ],
  [
    "page",
    { name: "Home", category: "Shop", properties: { url: "https://x", name: "Own" } },
    "page",
    { url: "https://x", name: "Own", category: "Shop", segment: { type: "page", name: "Home" } },
  ],
  [
    "screen",
    { name: "Home", messageId: "m" },
    "screen",
    { name: "Home", message_id: "m", segment: { type: "screen" } },
  ],
  [
    "group",
    { groupId: "g", userId: "u", traits: { seats: 5 } },
    "group",
    { seats: 5, user_id: "u", group_id: "g", segment: { type: "group" } },
  ],
  [
    "alias",
    { previousId: "a", userId: "u", traits: { x: 1 } },
    "alias",
    { user_id: "u", previous_id: "a", segment: { type: "alias", traits: { x: 1 } } },
  ],
  // The address says the kind; what the message says is kept.
  ["page", { type: "track", event: "x" }, "page", { segment: { type: "track", event: "x" } }],
];

test("each kind of message becomes a flat record", async () => {
  const collector = await shop();
  for (const [endpoint, message, ,] of messages) {
    const { status, body } = await collector.post(`/v1/${endpoint}`, JSON.stringify(message), json);
    expect({ status, body }).toMatchObject({ status: 202, body: { success: true, accepted: 1 } });
  }
  const records = collector.logged();
  expect(records.map(({ contract: name, text }): unknown => [name, JSON.parse(text)])).toEqual(
    messages.map(([, , name, record]) => [name, record]),
  );
  for (const { text, keys, nulls } of records) {
    const values = Object.values(JSON.parse(text) as object);
    expect([keys, nulls]).toEqual([values.length, values.filter((value) => value === null).length]);
  }
});

test("a batch gives the records that its messages give alone, and a retry gives the same bytes", async () => {
  const collector = await shop();
  const kinds: Record<string, string> = { t: "track" };
  const batch = messages
    .slice(0, -1)
    .map(([endpoint, message]) => Object.assign({ type: kinds[endpoint] ?? endpoint }, message));
  const send = (path: string, sentAt: string, retry: number) =>
    collector.post(
      path,
      JSON.stringify({
        sentAt,
        batch: batch.map((message) => ({ ...message, sentAt, _metadata: { retry } })),
        writeKey: "any",
        integrations: {},
      }),
      json,
    );
  expect(await send("/v1/batch", "2026-01-01T00:00:00Z", 0)).toMatchObject({
    status: 202,
    body: { accepted: batch.length },
  });
  await send("/v1/import", "2026-01-01T00:00:09Z", 1);
  const texts = collector.logged().map(({ contract: name, text }) => `${name} ${text}`);
  expect(texts.slice(batch.length)).toEqual(texts.slice(0, batch.length));
  expect(
    texts.slice(0, batch.length).map((text): unknown => JSON.parse(text.slice(text.indexOf(" ")))),
  ).toEqual(messages.slice(0, -1).map(([, , , record]) => record));
});

test("values and names stay as they were written, and whatever an event is called", async () => {
  const collector = await shop();
  const properties =
    '{"price":10.50,"big":12345678901234567890,"n":1E400,"\\u0061":"\\u00e9\\/","é":"\\"}{\\\\","":[{"a":1}]}';
  await collector.post(
    "/v1/track",
    `{ "event" : "x", "properties" : ${properties} , "\\u0075serId":"u" }`,
    json,
  );
  expect(collector.logged().map(({ text }) => text)).toEqual([
    `${properties.slice(0, -1)},"user_id":"u","segment":{"type":"track","event":"x"}}`,
  ]);
  const names = {
    "Product Viewed": "product_viewed",
    ProductViewed: "product_viewed",
    "  product--VIEWED!  ": "product_viewed",
    "Café Visité": "cafe_visite",
    HTTPRequestSent: "http_request_sent",
    "Step 2 Done": "step_2_done",
    "3D": "3D",
    "!!!": "!!!",
    "a\tb": "a_b",
  };
  const before = collector.logged().length;
  for (const event of Object.keys(names)) await collector.post("/v1/track", JSON.stringify({ event }), json);
  expect(
    collector
      .logged()
      .slice(before)
      .map(({ contract: name }) => name),
  ).toEqual(Object.values(names));
});

test("a context of the batch is the context of messages that have none", async () => {
  const collector = await shop();
  const batch = [
    { type: "track", event: "a" },
    { type: "track", event: "b", context: { own: 1 } },
    { type: "track", event: "c", properties: { context: 2 } },
  ];
  await collector.post("/v1/batch", JSON.stringify({ batch, context: { ip: "1.2.3.4" } }), json);
  const records = collector.logged().map(({ text }) => JSON.parse(text) as Record<string, unknown>);
  expect(records.map(({ context }) => context)).toEqual([{ ip: "1.2.3.4" }, { own: 1 }, 2]);
  expect(records[2]).toMatchObject({ segment: { context: { ip: "1.2.3.4" } } });
});

const good = '{"type":"track","event":"ok"}';
test.each<[string, string, [string, string][]]>([
  [
    "a message that is no object",
    `{"batch":[${good},1,${good}]}`,
    [
      ["", "ok"],
      ["not_an_object: a number at byte 0", "1"],
      ["", "ok"],
    ],
  ],
  [
    "malformed JSON",
    `{"batch":[{"type":tru},${good}],"sentAt":"x"}`,
    [
      ["invalid_json: unexpected byte 0x7d at byte 11", '{"type":tru}'],
      ["", "ok"],
    ],
  ],
  [
    "a brace too many",
    `{"batch":[{"a":1}},${good}],"writeKey":"k"}`,
    [
      ["invalid_json: unexpected byte 0x7d at byte 7", '{"a":1}}'],
      ["", "ok"],
    ],
  ],
  [
    "an unknown type",
    `{"batch":[{"type":"tracks"},${good}]}`,
    [
      ["invalid_message: type is none of track, page, screen, identify, group, alias", '{"type":"tracks"}'],
      ["", "ok"],
    ],
  ],
  [
    "no type",
    `{"batch":[{"event":"x"}]}`,
    [["invalid_message: type is none of track, page, screen, identify, group, alias", '{"event":"x"}']],
  ],
  [
    "a type of Object.prototype",
    `{"batch":[{"type":"constructor"}]}`,
    [
      [
        "invalid_message: type is none of track, page, screen, identify, group, alias",
        '{"type":"constructor"}',
      ],
    ],
  ],
  [
    "track without an event",
    `{"batch":[{"type":"track"},{"type":"track","event":""},{"type":"track","event":{}}]}`,
    [
      ["invalid_message: event is not a name", '{"type":"track"}'],
      ["invalid_message: event is not a name", '{"type":"track","event":""}'],
      ["invalid_message: event is not a name", '{"type":"track","event":{}}'],
    ],
  ],
  [
    "duplicate names",
    `{"batch":[{"type":"track","event":"a","event":"b"},${good}]}`,
    [
      ["duplicate_key: name at byte 28", '{"type":"track","event":"a","event":"b"}'],
      ["", "ok"],
    ],
  ],
  [
    "a message cut off",
    `{"batch":[${good},{"type":"tra`,
    [
      ["", "ok"],
      ["invalid_json: it ends at byte 12, before it is complete", '{"type":"tra'],
    ],
  ],
  [
    "an envelope cut off",
    `{"batch":[${good}],"sentAt":"202`,
    [
      ["", "ok"],
      ["invalid_json: bytes that belong to no message", ',"sentAt":"202'],
    ],
  ],
  ["no closing brace", `{"batch":[${good}]`, [["", "ok"]]],
  [
    "bytes behind the envelope",
    `{"batch":[${good}]} x`,
    [
      ["", "ok"],
      ["invalid_json: bytes that belong to no message", "x"],
    ],
  ],
  [
    "two batches",
    `{"batch":[${good}],"batch":[${good}]}`,
    [
      ["", "ok"],
      ["", "ok"],
    ],
  ],
  [
    "a bad context",
    `{"context":[1],"batch":[${good}]}`,
    [
      ["not_an_object: an array at byte 0", "[1]"],
      ["", "ok"],
    ],
  ],
  ["an empty batch", '{"batch":[]}', []],
  ["no batch", '{"a":1}', [["invalid_message: no array in batch", '{"a":1}']]],
  [
    "a batch that is no array",
    '{"batch":{"a":1}}',
    [["invalid_message: no array in batch", '{"batch":{"a":1}}']],
  ],
  ["an array for a body", `[${good}]`, [["not_an_object: an array at byte 0", `[${good}]`]]],
  ["no JSON", "batch", [["invalid_json: unexpected byte 0x62 at byte 0", "batch"]]],
])("a batch with %s", async (_name, body, expected) => {
  const collector = await shop();
  const answer = await collector.post("/v1/batch", body, json);
  expect(answer).toMatchObject({ status: 202, body: { received: expected.length } });
  const records = collector.logged();
  expect(records.map(({ error, text, contract: name }) => [error, error === "" ? name : text])).toEqual(
    expected,
  );
});

test("a message of depth 63 fits under the members that are added around it", async () => {
  const collector = await shop();
  const nested = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const body = (depth: number) => `{"event":"x","integrations":${nested(depth)}}`;
  await collector.post("/v1/track", body(62), json);
  await collector.post("/v1/track", body(63), json);
  const [fits, tooDeep] = collector.logged();
  expect(fits).toMatchObject({
    error: "",
    text: `{"segment":{"type":"track","event":"x","integrations":${nested(62)}}}`,
  });
  expect(tooDeep!.error).toBe("too_deep: deeper than 63 at byte 90");
});

test("a write key in the body, in the header, and none", async () => {
  const collector = await startCollector({
    sources: {
      web: http({ contracts: [productViewed], writeKeys: ["key-web"] }),
      app: http({ contracts: [productViewed], writeKeys: ["key-app"] }),
    },
  });
  const post = async (body: string, headers = {}) =>
    (await collector.post("/v1/batch", body, { ...json, ...headers })).status;
  expect(await post(`{"batch":[${good}],"writeKey":"key-app"}`)).toBe(202);
  expect(await post(`{"writeKey":"key-\\u0061pp","batch":[{"broken":tru}]}`)).toBe(202);
  expect(await post(`{"batch":[${good}],"writeKey":"nope"}`)).toBe(401);
  expect(await post(`{"batch":[${good}],"writeKey":7}`)).toBe(401);
  expect(await post(`{"batch":[${good}]}`)).toBe(401);
  expect(await post("nonsense")).toBe(401);
  // The header counts, also when it is wrong.
  expect(
    await post(`{"batch":[${good}],"writeKey":"key-app"}`, { authorization: `Basic ${btoa("key-web:")}` }),
  ).toBe(202);
  expect(
    await post(`{"batch":[${good}],"writeKey":"key-app"}`, { authorization: `Basic ${btoa("x:")}` }),
  ).toBe(401);
  expect([collector.logged("app").length, collector.logged("web").length]).toEqual([2, 1]);
  expect(collector.logged("app")[0]!.text).not.toContain("key-app");
});
