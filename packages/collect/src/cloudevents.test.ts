import { expect, test } from "vitest";
import { productViewed, startCollector } from "./collector.fixture.ts";
import { http } from "./source.ts";

const structured = { "content-type": "application/cloudevents+json; charset=UTF-8" };
const batched = { "content-type": "application/cloudevents-batch+json" };
const required = { specversion: "1.0", id: "1", source: "/shop", type: "com.shop.product.viewed" };
const headers = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/shop",
  "ce-type": "com.shop.product.viewed",
};

async function shop() {
  return startCollector({ sources: { web: http({ contracts: [productViewed] }) } });
}

/** event, contract, record */
const events: [object, string, unknown][] = [
  [
    {
      ...required,
      time: "2026-01-02T03:04:05Z",
      subject: "s",
      traceparent: "00-1",
      count: 3,
      data: { sku: "S", price: 10.5 },
    },
    "product_viewed",
    {
      sku: "S",
      price: 10.5,
      event_id: "1",
      occurred_at: "2026-01-02T03:04:05Z",
      cloudevent: { ...required, time: "2026-01-02T03:04:05Z", subject: "s", traceparent: "00-1", count: 3 },
    },
  ],
  // What the data has stays.
  [
    {
      ...required,
      time: "2026-01-02T03:04:05Z",
      data: { event_id: "own", occurred_at: null, cloudevent: 1, cloudevent_: 2 },
    },
    "product_viewed",
    {
      event_id: "own",
      occurred_at: null,
      cloudevent: 1,
      cloudevent_: 2,
      cloudevent__: { ...required, time: "2026-01-02T03:04:05Z" },
    },
  ],
  // Types: a name, a text that makes the name, nothing known.
  [
    { ...required, type: "product_viewed" },
    "product_viewed",
    { event_id: "1", cloudevent: { ...required, type: "product_viewed" } },
  ],
  [
    { ...required, type: "Product.Viewed" },
    "product_viewed",
    { event_id: "1", cloudevent: { ...required, type: "Product.Viewed" } },
  ],
  [{ ...required, type: "com.x.Y" }, "com.x.Y", { cloudevent: { ...required, type: "com.x.Y" } }],
  // Data that is no object.
  [
    { ...required, type: "x", data: "<a/>", datacontenttype: "application/xml" },
    "x",
    { data: "<a/>", cloudevent: { ...required, type: "x", datacontenttype: "application/xml" } },
  ],
  [{ ...required, type: "x", data: [1] }, "x", { data: [1], cloudevent: { ...required, type: "x" } }],
  [{ ...required, type: "x", data: null }, "x", { data: null, cloudevent: { ...required, type: "x" } }],
  [
    { ...required, type: "x", data_base64: "AQID" },
    "x",
    { data_base64: "AQID", cloudevent: { ...required, type: "x" } },
  ],
];

test("structured and batched mode", async () => {
  const collector = await shop();
  for (const [event] of events) {
    expect(await collector.post("/v1/cloudevents", JSON.stringify(event), structured)).toMatchObject({
      status: 202,
      body: { accepted: 1 },
    });
  }
  const all = JSON.stringify(events.map(([event]) => event));
  expect(await collector.post("/v1/cloudevents", all, batched)).toMatchObject({
    status: 202,
    body: { accepted: events.length },
  });
  const records = collector.logged().map(({ contract, text }): unknown => [contract, JSON.parse(text)]);
  const expected = events.map(([, contract, record]) => [contract, record]);
  expect(records).toEqual([...expected, ...expected]);
});

test("binary mode", async () => {
  const collector = await shop();
  const sent: [Record<string, string>, string | Uint8Array, unknown][] = [
    [
      {
        ...headers,
        "ce-time": "2026-01-02T03:04:05Z",
        "ce-zext": "2",
        "ce-aext": "1",
        "content-type": "application/json",
      },
      '{"price": 10.50}',
      '{"price":10.50,"event_id":"1","occurred_at":"2026-01-02T03:04:05Z","cloudevent":{"specversion":"1.0","id":"1","source":"/shop",' +
        '"type":"com.shop.product.viewed","time":"2026-01-02T03:04:05Z","datacontenttype":"application/json","aext":"1","zext":"2"}}',
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "application/vnd.shop+json" },
      "[1]",
      expect.stringMatching(/^\{"data":\[1\],"cloudevent"/),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "application/json" },
      '"text"',
      expect.stringMatching(/^\{"data":"text","cloudevent"/),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "text/plain" },
      "a\tb é",
      expect.stringMatching(/^\{"data":"a\\tb é","cloudevent"/),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "application/xml" },
      "<a/>",
      expect.stringMatching(/^\{"data":"<a\/>","cloudevent"/),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "image/png" },
      new Uint8Array([1, 2, 3]),
      expect.stringMatching(/^\{"data_base64":"AQID","cloudevent"/),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "text/plain" },
      new Uint8Array([0xff]),
      expect.stringMatching(/^\{"data_base64":"\/w==","cloudevent"/),
    ],
    [
      { ...headers, "ce-type": "x" },
      new Uint8Array(),
      expect.stringMatching(
        /^\{"cloudevent":\{"specversion":"1.0","id":"1","source":"\/shop","type":"x"\}\}$/,
      ),
    ],
    [
      { ...headers, "ce-type": "x", "ce-subject": '"Euro \\"%E2%82%AC\\" %F0%9F%98%80"' },
      new Uint8Array(),
      expect.stringContaining('"subject":"Euro \\"€\\" 😀"'),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "application/json" },
      " \n",
      expect.stringMatching(/^\{"cloudevent":/),
    ],
    [
      { ...headers, "ce-type": "x", "content-type": "text/plain" },
      " \n",
      expect.stringMatching(/^\{"data":" \\n","cloudevent":/),
    ],
  ];
  for (const [event, body] of sent) {
    expect(await collector.post("/v1/cloudevents", body, event)).toMatchObject({
      status: 202,
      body: { accepted: 1 },
    });
  }
  expect(collector.logged().map(({ text }) => text)).toEqual(sent.map(([, , text]) => text));
});

const event = (change: object) => JSON.stringify({ ...required, ...change });
test.each<[string, string, [string, string][]]>([
  [
    "no id",
    event({ id: undefined }),
    [["invalid_message: attribute id is no string, or empty", event({ id: undefined })]],
  ],
  [
    "an id that is no string",
    event({ id: 7 }),
    [["invalid_message: attribute id is no string, or empty", event({ id: 7 })]],
  ],
  [
    "an empty source",
    event({ source: "" }),
    [["invalid_message: attribute source is no string, or empty", event({ source: "" })]],
  ],
  [
    "another version",
    event({ specversion: "0.3" }),
    [["invalid_message: specversion is not 1.0", event({ specversion: "0.3" })]],
  ],
  [
    "two kinds of data",
    event({ data: 1, data_base64: "AQ==" }),
    [["invalid_message: both data and data_base64", event({ data: 1, data_base64: "AQ==" })]],
  ],
  [
    "data_base64 that is no string",
    event({ data_base64: 1 }),
    [["invalid_message: data_base64 is no string", event({ data_base64: 1 })]],
  ],
  [
    "malformed JSON",
    '{"specversion":"1.0",}',
    [["invalid_json: unexpected byte 0x7d at byte 21", '{"specversion":"1.0",}']],
  ],
  ["an array", `[${event({})}]`, [["not_an_object: an array at byte 0", `[${event({})}]`]]],
])("a structured event with %s", async (_name, body, expected) => {
  const collector = await shop();
  const answer = await collector.post("/v1/cloudevents", body, structured);
  expect(answer).toMatchObject({ status: 202, body: { received: expected.length, accepted: 0 } });
  expect(collector.logged().map(({ error, text }) => [error, text])).toEqual(expected);
});

test("a bad event in a batch costs only itself", async () => {
  const collector = await shop();
  const body = `[${event({})},{"id":tru},7,${event({ id: "2" })}]`;
  expect(await collector.post("/v1/cloudevents", body, batched)).toMatchObject({
    status: 202,
    body: { received: 4, accepted: 2 },
  });
  expect(collector.logged().map(({ error }) => error.split(":")[0])).toEqual([
    "",
    "invalid_json",
    "not_an_object",
    "",
  ]);
});

test("unreadable binary-mode data keeps its attributes: its bytes are the event in the JSON format", async () => {
  const collector = await shop();
  const sent: [Record<string, string>, string | Uint8Array, string, unknown][] = [
    [
      { "content-type": "application/json" },
      '{"a":1,"a":2}',
      "duplicate_key: name at byte 7",
      { data_base64: btoa('{"a":1,"a":2}') },
    ],
    [
      { "content-type": "application/json" },
      '"\\ud800"',
      "lone_surrogate: escape at byte 1",
      { data_base64: btoa('"\\ud800"') },
    ],
    [
      { "content-type": "application/json" },
      new Uint8Array([0x22, 0xff, 0x22]),
      "invalid_utf8: byte 0xff at byte 1",
      { data_base64: "Iv8i" },
    ],
    [
      { "content-type": "text/plain", "ce-id": "" },
      "text",
      "invalid_message: attribute id is no string, or empty",
      { data: "text" },
    ],
    [
      { "content-type": "text/plain" },
      "x".repeat(300_000),
      "too_large: 300002 bytes of data, limit 262144",
      { data: "x".repeat(300_000) },
    ],
  ];
  for (const [change, body] of sent) {
    const answer = await collector.post("/v1/cloudevents", body, { ...headers, ...change });
    expect(answer).toMatchObject({ status: 202, body: { accepted: 0 } });
  }
  const records = collector.logged();
  expect(records.map(({ error }) => error)).toEqual(sent.map(([, , error]) => error));
  for (const [i, { text }] of records.entries()) {
    expect(JSON.parse(text)).toMatchObject({
      specversion: "1.0",
      source: "/shop",
      ...(sent[i]![3] as object),
    });
  }
});

test("what is no CloudEvent is refused", async () => {
  const collector = await shop();
  const refused = { status: 415, body: { code: "unsupported_media_type" } };
  expect(await collector.post("/v1/cloudevents", "{}", { "content-type": "application/json" })).toMatchObject(
    refused,
  );
  expect(
    await collector.post("/v1/cloudevents", "{}", {
      "content-type": "application/cloudevents+avro",
      "ce-specversion": "1.0",
    }),
  ).toMatchObject(refused);
  expect(collector.logged()).toEqual([]);
});
