/** What lands in the log, byte by byte, for whatever is sent to `/v1/events`, and what the client is told of it. */
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { type LoggedRecord, orderPlaced, productViewed, startCollector } from "./collector.fixture.ts";
import { http } from "./source.ts";

const json = { "content-type": "application/json" };
const lines = { "content-type": "application/x-ndjson" };

/** contract, keys, nulls, error, text */
type Landed = [string, number, number, string, string];
const landed = (records: readonly LoggedRecord[]): Landed[] =>
  records.map(({ contract, keys, nulls, error, text }) => [contract, keys, nulls, error, text]);

const bytes = (...parts: (string | number)[]) =>
  Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part))));
const latin1 = (text: string) => Buffer.from(text).toString("latin1");
const sql = `'; DROP TABLE product_viewed; -- \\"`;
const unreadable = (error: string, text: string): Landed => ["", 0, 0, error, text];

const cases: [string, Record<string, string>, string | Buffer, Landed[]][] = [
  [
    "one object",
    json,
    '{"type":"product_viewed","sku":null}',
    [["product_viewed", 2, 1, "", '{"type":"product_viewed","sku":null}']],
  ],
  ["pretty-printed", json, '\n{ "a" : [ 1 , 2 ] }\r\n', [["", 1, 0, "", '{"a":[1,2]}']]],
  [
    "an array",
    json,
    '[{"a":1}, {"b":null}]',
    [
      ["", 1, 0, "", '{"a":1}'],
      ["", 1, 1, "", '{"b":null}'],
    ],
  ],
  ["an empty array", json, "[]", []],
  ["an empty object", json, "{}", [["", 0, 0, "", "{}"]]],
  [
    "an alias in type",
    json,
    '{"type":"Looked At Product"}',
    [["product_viewed", 1, 0, "", '{"type":"Looked At Product"}']],
  ],
  [
    "a version in type",
    json,
    '{"type":"order_placed@2.1.0"}',
    [["order_placed@2.1.0", 1, 0, "", '{"type":"order_placed@2.1.0"}']],
  ],
  ["an unknown type", json, '{"type":"nobody"}', [["nobody", 1, 0, "", '{"type":"nobody"}']]],
  [
    "an escaped type",
    json,
    '{"t\\u0079pe":"product\\u005fviewed"}',
    [["product_viewed", 1, 0, "", '{"t\\u0079pe":"product\\u005fviewed"}']],
  ],
  ["an empty type", json, '{"type":""}', [["", 1, 0, "", '{"type":""}']]],
  ["a type that is no string", json, '{"type":{"type":"x"}}', [["", 1, 0, "", '{"type":{"type":"x"}}']]],
  [
    "control characters in type",
    json,
    '{"type":"a\\tb\\nc\\u0000d\\u009f"}',
    [["a_b_c_d_", 1, 0, "", '{"type":"a\\tb\\nc\\u0000d\\u009f"}']],
  ],
  [
    "a long type",
    json,
    `{"type":"${"😀".repeat(300)}"}`,
    [["😀".repeat(200), 1, 0, "", `{"type":"${"😀".repeat(300)}"}`]],
  ],
  [
    "sendBeacon of a string",
    { "content-type": "text/plain;charset=UTF-8" },
    '[{"a":1}]',
    [["", 1, 0, "", '{"a":1}']],
  ],
  ["a byte order mark", json, '\ufeff{"a":1}', [["", 1, 0, "", '{"a":1}']]],
  ["a byte order mark before an array", json, '\ufeff[{"a":1}]', [["", 1, 0, "", '{"a":1}']]],
  [
    "a byte order mark before lines, and one too many",
    lines,
    '\ufeff{"a":1}\n\ufeff{"b":1}',
    [
      ["", 1, 0, "", '{"a":1}'],
      unreadable("invalid_json: unexpected byte 0xef at byte 0", latin1('\ufeff{"b":1}')),
    ],
  ],
  [
    "CRLF lines, blank lines, no last line feed",
    lines,
    '{"a":1}\r\n\r\n \t\n{"b":1}',
    [
      ["", 1, 0, "", '{"a":1}'],
      ["", 1, 0, "", '{"b":1}'],
    ],
  ],
  [
    "lines as application/json",
    json,
    '{"a":1}\n{"b":1}',
    [unreadable("invalid_json: unexpected byte 0x7b at byte 8", '{"a":1}\n{"b":1}')],
  ],
  [
    "an array as one line of lines",
    lines,
    '[{"a":1}]',
    [unreadable("not_an_object: an array at byte 0", '[{"a":1}]')],
  ],
  [
    "an array of non-objects",
    json,
    '[1,"a",null,true,[{}]]',
    [
      unreadable("not_an_object: a number at byte 0", "1"),
      unreadable("not_an_object: a string at byte 0", '"a"'),
      unreadable("not_an_object: null at byte 0", "null"),
      unreadable("not_an_object: a boolean at byte 0", "true"),
      unreadable("not_an_object: an array at byte 0", "[{}]"),
    ],
  ],
  [
    "malformed JSON among good records",
    json,
    '[{"a":1},{"b":tru},{"c":1}]',
    [
      ["", 1, 0, "", '{"a":1}'],
      unreadable("invalid_json: unexpected byte 0x7d at byte 8", '{"b":tru}'),
      ["", 1, 0, "", '{"c":1}'],
    ],
  ],
  [
    "truncated JSON",
    json,
    '[{"a":1},{"b":"',
    [
      ["", 1, 0, "", '{"a":1}'],
      unreadable("invalid_json: it ends at byte 6, before it is complete", '{"b":"'),
    ],
  ],
  ["single quotes", json, "{'a':1}", [unreadable("invalid_json: unexpected byte 0x27 at byte 1", "{'a':1}")]],
  [
    "invalid UTF-8",
    json,
    bytes('{"a":"', 0xff, '"}'),
    [unreadable("invalid_utf8: byte 0xff at byte 6", '{"a":"\u00ff"}')],
  ],
  [
    "invalid UTF-8 among good records",
    lines,
    bytes('{"a":"é"}\n{"a":"', 0xc3, '"}\n{"a":"ü"}\n'),
    [
      ["", 1, 0, "", '{"a":"é"}'],
      unreadable("invalid_utf8: byte 0xc3 at byte 6", '{"a":"\u00c3"}'),
      ["", 1, 0, "", '{"a":"ü"}'],
    ],
  ],
  [
    "Latin-1",
    json,
    bytes('[{"a":"', 0xe9, '"},{"b":1}]'),
    [unreadable("invalid_utf8: byte 0xe9 at byte 6", '{"a":"\u00e9"}'), ["", 1, 0, "", '{"b":1}']],
  ],
  [
    "UTF-16",
    json,
    Buffer.from('\ufeff{"a":1}', "utf16le"),
    [
      unreadable(
        "invalid_utf8: byte 0xff at byte 0",
        Buffer.from('\ufeff{"a":1}', "utf16le").toString("latin1"),
      ),
    ],
  ],
  [
    "an overlong slash",
    json,
    bytes('{"a":"', 0xc0, 0xaf, '"}'),
    [unreadable("invalid_utf8: byte 0xc0 at byte 6", '{"a":"\u00c0\u00af"}')],
  ],
  [
    "a surrogate as raw bytes",
    json,
    bytes('{"a":"', 0xed, 0xa0, 0x80, '"}'),
    [unreadable("invalid_utf8: byte 0xed at byte 6", '{"a":"\u00ed\u00a0\u0080"}')],
  ],
  [
    "a lone surrogate",
    json,
    '{"a":"\\ud83d"}',
    [unreadable("lone_surrogate: escape at byte 6", '{"a":"\\ud83d"}')],
  ],
  [
    "surrogates in the wrong order",
    json,
    '{"a":"\\ude00\\ud83d"}',
    [unreadable("lone_surrogate: escape at byte 6", '{"a":"\\ude00\\ud83d"}')],
  ],
  ["a surrogate pair", json, '{"a":"\\ud83d\\ude00"}', [["", 1, 0, "", '{"a":"\\ud83d\\ude00"}']]],
  [
    "NUL inside a string",
    json,
    '{"a":"\u0000"}',
    [unreadable("invalid_json: unexpected byte 0x00 at byte 6", '{"a":"\u0000"}')],
  ],
  [
    "NUL between tokens",
    json,
    '{"a":\u00001}',
    [unreadable("invalid_json: unexpected byte 0x00 at byte 5", '{"a":\u00001}')],
  ],
  [
    "NUL behind the record",
    json,
    '{"a":1}\u0000',
    [unreadable("invalid_json: unexpected byte 0x00 at byte 7", '{"a":1}\u0000')],
  ],
  ["NUL alone", json, "\u0000", [unreadable("invalid_json: unexpected byte 0x00 at byte 0", "\u0000")]],
  ["NUL escaped, in a name too", json, '{"a\\u0000":"\\u0000"}', [["", 1, 0, "", '{"a\\u0000":"\\u0000"}']]],
  [
    "TAB and line feed inside strings",
    json,
    '[{"a":"x\ty"},{"a":"x\ny"},{"a":"x\\ty\\n"}]',
    [
      unreadable("invalid_json: unexpected byte 0x09 at byte 7", '{"a":"x\ty"}'),
      unreadable("invalid_json: unexpected byte 0x0a at byte 7", '{"a":"x\ny"}'),
      ["", 1, 0, "", '{"a":"x\\ty\\n"}'],
    ],
  ],
  [
    "duplicate names",
    json,
    '{"a":1,"b":2,"a":3}',
    [unreadable("duplicate_key: name at byte 13", '{"a":1,"b":2,"a":3}')],
  ],
  [
    "duplicate names, one escaped",
    json,
    '{"a":1,"\\u0061":2}',
    [unreadable("duplicate_key: name at byte 7", '{"a":1,"\\u0061":2}')],
  ],
  [
    "duplicate names deep inside",
    json,
    '{"a":[{"b":{"c":1,"c":2}}]}',
    [unreadable("duplicate_key: name at byte 18", '{"a":[{"b":{"c":1,"c":2}}]}')],
  ],
  [
    "one name in two objects",
    json,
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
    [["", 2, 0, "", '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}']],
  ],
  [
    "__proto__",
    json,
    '{"__proto__":{"a":1},"constructor":2}',
    [["", 2, 0, "", '{"__proto__":{"a":1},"constructor":2}']],
  ],
  [
    "huge numbers, to the last digit",
    json,
    `{"a":1e400,"b":${"9".repeat(400)},"c":-0,"d":1E-999,"e":10.50}`,
    [["", 5, 0, "", `{"a":1e400,"b":${"9".repeat(400)},"c":-0,"d":1E-999,"e":10.50}`]],
  ],
  [
    "numbers JSON does not have",
    json,
    '[{"a":NaN},{"a":01},{"a":+1},{"a":.5},{"a":1.},{"a":0x1},{"a":Infinity}]',
    [
      unreadable("invalid_json: unexpected byte 0x4e at byte 5", '{"a":NaN}'),
      unreadable("invalid_json: unexpected byte 0x31 at byte 6", '{"a":01}'),
      unreadable("invalid_json: unexpected byte 0x2b at byte 5", '{"a":+1}'),
      unreadable("invalid_json: unexpected byte 0x2e at byte 5", '{"a":.5}'),
      unreadable("invalid_json: unexpected byte 0x7d at byte 7", '{"a":1.}'),
      unreadable("invalid_json: unexpected byte 0x78 at byte 6", '{"a":0x1}'),
      unreadable("invalid_json: unexpected byte 0x49 at byte 5", '{"a":Infinity}'),
    ],
  ],
  [
    "dates out of range are for the contract to judge",
    json,
    '{"type":"product_viewed","occurred_at":"2026-13-45T99:99:99Z","x":"-999999-01-01T00:00:00Z"}',
    [
      [
        "product_viewed",
        3,
        0,
        "",
        '{"type":"product_viewed","occurred_at":"2026-13-45T99:99:99Z","x":"-999999-01-01T00:00:00Z"}',
      ],
    ],
  ],
  [
    "SQL in every string",
    json,
    `{"type":"${sql}","${sql}":"${sql}"}`,
    [[JSON.parse(`"${sql}"`) as string, 2, 0, "", `{"type":"${sql}","${sql}":"${sql}"}`]],
  ],
  [
    "depth at the limit",
    json,
    `${'{"a":'.repeat(63)}{}${"}".repeat(63)}`,
    [["", 1, 0, "", `${'{"a":'.repeat(63)}{}${"}".repeat(63)}`]],
  ],
  [
    "depth above the limit, among good records",
    json,
    `[{"a":1},${'{"a":'.repeat(64)}{}${"}".repeat(64)},{"b":1}]`,
    [
      ["", 1, 0, "", '{"a":1}'],
      unreadable("too_deep: deeper than 64 at byte 320", `${'{"a":'.repeat(64)}{}${"}".repeat(64)}`),
      ["", 1, 0, "", '{"b":1}'],
    ],
  ],
  [
    "100,000 brackets",
    json,
    "[".repeat(100_000),
    [unreadable("too_deep: deeper than 64 at byte 64", "[".repeat(99_999))],
  ],
  [
    "a record a byte too large, among good ones",
    lines,
    `{"a":1}\n{"a":"${"x".repeat(262_137)}"}\n{"b":1}`,
    [
      ["", 1, 0, "", '{"a":1}'],
      unreadable("too_large: 262145 bytes, limit 262144", `{"a":"${"x".repeat(262_137)}"}`),
      ["", 1, 0, "", '{"b":1}'],
    ],
  ],
  ["gzip", { ...json, "content-encoding": "gzip" }, gzipSync('{"a":1}'), [["", 1, 0, "", '{"a":1}']]],
  [
    "gzip of two members",
    { ...json, "content-encoding": "x-gzip" },
    Buffer.concat([gzipSync('{"a"'), gzipSync(":1}")]),
    [["", 1, 0, "", '{"a":1}']],
  ],
  [
    "deflate",
    { ...json, "content-encoding": "deflate" },
    deflateSync('{"a":1}'),
    [["", 1, 0, "", '{"a":1}']],
  ],
  [
    "deflate without its header",
    { ...json, "content-encoding": "Deflate" },
    deflateRawSync('{"a":1}'),
    [["", 1, 0, "", '{"a":1}']],
  ],
  [
    "brotli",
    { ...json, "content-encoding": "br" },
    brotliCompressSync('{"a":1}'),
    [["", 1, 0, "", '{"a":1}']],
  ],
  ["identity", { ...json, "content-encoding": "identity" }, '{"a":1}', [["", 1, 0, "", '{"a":1}']]],
];

test("what is sent lands so, and the reply says so", async () => {
  const collector = await startCollector();
  let before = 0;
  for (const [name, headers, body, expected] of cases) {
    const answer = await collector.post("/v1/events", body, headers);
    const records = collector.logged();
    expect(landed(records.slice(before)), name).toEqual(expected);
    before = records.length;
    const bad = expected.flatMap(([, , , error], index) => {
      const [code, message] = error.split(": ");
      return error === "" ? [] : [{ index, code, message }];
    });
    expect(answer, name).toMatchObject({ status: 202 });
    expect(answer.body, name).toEqual({
      success: true,
      received: expected.length,
      accepted: expected.length - bad.length,
      unreadable: bad.length,
      quarantined: bad,
    });
  }
  const readable = collector.logged().filter(({ error }) => error === "").length;
  expect(collector.stats().records["web"]?.readable).toBe(readable);
});

test("the reply describes the first hundred unreadable records and counts all", async () => {
  const collector = await startCollector();
  const { body } = await collector.post("/v1/events", "x\n".repeat(250), lines);
  expect(body).toMatchObject({ received: 250, accepted: 0, unreadable: 250 });
  expect(body["quarantined"]).toHaveLength(100);
  expect(collector.logged()).toHaveLength(250);
  expect(collector.stats().records["web"]).toEqual({ readable: 0, unreadable: { invalid_json: 250 } });
});

test("the contract is what the request says, else the record, else the source's only one", async () => {
  const contracts = [productViewed];
  const collector = await startCollector({ sources: { web: http({ contracts }) } });
  const sent: [string, Record<string, string>, string, string][] = [
    ["?contract=order_placed%402", {}, '{"type":"product_viewed"}', "order_placed@2"],
    ["?contract=Looked+At+Product", {}, '{"type":"x"}', "product_viewed"],
    ["?contract=x", { "weir-contract": "y" }, "{}", "x"],
    ["", { "weir-contract": "y" }, '{"type":"z"}', "y"],
    ["?contract=", {}, '{"type":"z"}', "z"],
    ["", {}, '{"type":"z"}', "z"],
    ["", {}, '{"type":7}', "product_viewed"],
    ["", {}, "{}", "product_viewed"],
    ["", {}, "nonsense", "product_viewed"],
    ["?contract=x", {}, "nonsense", "x"],
    ["?contract=a%09b%0Ac", {}, "{}", "a_b_c"],
  ];
  for (const [query, headers, body] of sent)
    await collector.post(`/v1/events${query}`, body, { ...json, ...headers });
  expect(collector.logged().map(({ contract }) => contract)).toEqual(
    sent.map(([, , , contract]) => contract),
  );
  const two = await startCollector({ sources: { web: http({ contracts: [...contracts, orderPlaced] }) } });
  await two.post("/v1/events", "{}", json);
  expect(two.logged()).toMatchObject([{ contract: "" }]);
});

test("all records of a request have its time of receipt, which never goes back", async () => {
  const times = [1_700_000_000_000_005, 1_700_000_000_000_001, 1_700_000_000_000_009];
  const collector = await startCollector({ clock: () => times.shift()! });
  for (let i = 0; i < 3; i++) await collector.post("/v1/events", "[{},{}]", json);
  expect(collector.logged().map(({ receivedUs }) => receivedUs % 10)).toEqual([5, 5, 5, 5, 9, 9]);
  const real = await startCollector();
  const before = Date.now() * 1000;
  await real.post("/v1/events", "{}", json);
  const [record] = real.logged();
  expect(record!.receivedUs).toBeGreaterThanOrEqual(before - 3000);
  expect(record!.receivedUs).toBeLessThanOrEqual(Date.now() * 1000 + 3000);
});
