import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PADDING_BYTES, Scanner } from "./scan.ts";
import { type RecordSink, splitJson, splitLines } from "./split.ts";

interface Found {
  readonly text: string;
  readonly code: string | undefined;
  readonly start: number;
  readonly end: number;
}

function split(how: typeof splitJson, text: string): Found[] {
  const content = Buffer.from(text);
  const scanner = new Scanner();
  scanner.open(Buffer.concat([content, Buffer.alloc(PADDING_BYTES)]), true, { depth: 20, recordBytes: 1000 });
  const found: Found[] = [];
  const sink: RecordSink = {
    record({ code }, start, end) {
      found.push({ text: content.toString("utf8", start, end), code, start, end });
    },
  };
  how(scanner, 0, content.length, sink);
  return found;
}

const brief = (found: readonly Found[]) => found.map(({ text, code }) => [text, code]);

test.each<[string, [string, string | undefined][]]>([
  ["[]", []],
  [" [ ] ", []],
  ['[{"a":1}]', [['{"a":1}', undefined]]],
  [
    '[ {"a":1} , {"b":[2]} ]',
    [
      ['{"a":1}', undefined],
      ['{"b":[2]}', undefined],
    ],
  ],
  [
    "[{},tru,{}]",
    [
      ["{}", undefined],
      ["tru", "invalid_json"],
      ["{}", undefined],
    ],
  ],
  [
    '[1,"x",null,[{}],{}]',
    [
      ["1", "not_an_object"],
      ['"x"', "not_an_object"],
      ["null", "not_an_object"],
      ["[{}]", "not_an_object"],
      ["{}", undefined],
    ],
  ],
  ['[{"a":1,,"b":[1,2}, {"c":3}]', [['{"a":1,,"b":[1,2}, {"c":3}]', "invalid_json"]]],
  [
    '[{"a":tru},{"b":1}]',
    [
      ['{"a":tru}', "invalid_json"],
      ['{"b":1}', undefined],
    ],
  ],
  [
    '[{"a":1}},{"b":1}]',
    [
      ['{"a":1}}', "invalid_json"],
      ['{"b":1}', undefined],
    ],
  ],
  [
    '[{"a":1} {"b":1},{"c":1}]',
    [
      ['{"a":1} {"b":1}', "invalid_json"],
      ['{"c":1}', undefined],
    ],
  ],
  [
    '[{"a":"x\\q,]"},{"b":1}]',
    [
      ['{"a":"x\\q,]"}', "invalid_json"],
      ['{"b":1}', undefined],
    ],
  ],
  [
    '[{"a":"line\nfeed"},{"b":1}]',
    [
      ['{"a":"line\nfeed"}', "invalid_json"],
      ['{"b":1}', undefined],
    ],
  ],
  ['[{"a":"x},{"b":"y"}]', [['{"a":"x},{"b":"y"}]', "invalid_json"]]],
  [
    '[{"a":1},,{"b":1}]',
    [
      ['{"a":1}', undefined],
      [",", "invalid_json"],
      ['{"b":1}', undefined],
    ],
  ],
  [
    '[{"a":1},]',
    [
      ['{"a":1}', undefined],
      [",", "invalid_json"],
    ],
  ],
  [
    "[,]",
    [
      [",", "invalid_json"],
      [",", "invalid_json"],
    ],
  ],
  ["[", [["[", "invalid_json"]]],
  [
    '[{"a":1},',
    [
      ['{"a":1}', undefined],
      [",", "invalid_json"],
    ],
  ],
  [
    '[{"a":1},{"b":',
    [
      ['{"a":1}', undefined],
      ['{"b":', "invalid_json"],
    ],
  ],
  ['[{"a":1}', [['{"a":1}', "invalid_json"]]],
  [
    '[{"a":1}] x',
    [
      ['{"a":1}', undefined],
      ["x", "invalid_json"],
    ],
  ],
  ['{"a":1}', [['{"a":1}', undefined]]],
  ['{"a":1}{"b":2}', [['{"a":1}{"b":2}', "invalid_json"]]],
  ["hello", [["hello", "invalid_json"]]],
  ["7", [["7", "not_an_object"]]],
  ["  \n ", []],
])("JSON %s", (text, expected) => {
  expect(brief(split(splitJson, text))).toEqual(expected);
});

test("NDJSON: LF and CRLF, blank lines, no line feed at the end, a bad line among good ones", () => {
  const text = '{"a":1}\r\n\n  \n{"a":\n [1] \n\t{"b": 2} \n{"c":3}';
  expect(brief(split(splitLines, text))).toEqual([
    ['{"a":1}', undefined],
    ['{"a":', "invalid_json"],
    ["[1]", "not_an_object"],
    ['{"b": 2}', undefined],
    ['{"c":3}', undefined],
  ]);
});

test("NDJSON: an object over two lines is two unreadable records, and does not swallow the third", () => {
  expect(brief(split(splitLines, '{"a":\n1}\n{"b":2}\n'))).toEqual([
    ['{"a":', "invalid_json"],
    ["1}", "invalid_json"],
    ['{"b":2}', undefined],
  ]);
});

const good = fc.constantFrom('{"a":1}', "{}", '{ "a" : [ 1 , { "b" : "],}" } ] }', '{"é":"\\"[{"}');
/** Broken, but with strings and brackets that close: what such a record costs is itself. */
const bad = fc.constantFrom(
  '{"a":tru}',
  '{"a" 1}',
  "{'a':1}",
  '{"a":01}',
  '{"a":"\u0001"}',
  '{"a":"\\x"}',
  '{"a":"\\"],{","b":tru}',
  '{"a":tru,"b":"]\\\\"}',
  '{"a":[1,]}',
  '{"a":1}}',
  '{"a":1}x',
  '{"a":1,"a":2}',
  '{"a":"\\ud800"}',
  "1",
  '"s"',
  "[1]",
  `${'{"a":'.repeat(30)}1${"}".repeat(30)}`,
  `{"a":"${"x".repeat(2000)}"}`,
);
const gap = fc.constantFrom("", "", " ", "\n ", "\t");

test("a broken element costs only itself, whatever stands around it", () => {
  const kind = fc.oneof(
    good.map((text) => ({ text, readable: true })),
    bad.map((text) => ({ text, readable: false })),
  );
  const elements = fc.array(fc.tuple(gap, kind, gap), { minLength: 1, maxLength: 8 });
  const check = (parts: readonly [string, { text: string; readable: boolean }, string][]): void => {
    const body = `[${parts.map(([before, { text }, after]) => before + text + after).join(",")}]`;
    const found = split(splitJson, body).map(({ text, code }) => ({ text, readable: code === undefined }));
    expect(found).toEqual(parts.map(([, element]) => element));
  };
  fc.assert(fc.property(elements, check), { numRuns: 2000 });
});

test("nothing vanishes: every byte of a broken array is in one record, or is white space or a separator", () => {
  const piece = fc.oneof(good, bad, fc.constantFrom(...'[]{}:,"\\ \n'.split(""), '"', '"', "\\"));
  const body = fc.array(piece, { maxLength: 12 }).map((pieces) => `[${pieces.join("")}`);
  const check = (text: string): void => {
    const bytes = Buffer.from(text);
    let at = 0;
    for (const { start, end } of split(splitJson, text)) {
      expect(bytes.toString("utf8", at, start)).toMatch(/^[\s,[\]]*$/);
      expect(end).toBeGreaterThan(start);
      // An empty element shows the separator beside it, which may be shown a second time.
      expect(start >= at || (end - start === 1 && start === at - 1)).toBe(true);
      at = Math.max(at, end);
    }
    expect(bytes.toString("utf8", at)).toMatch(/^[\s,[\]]*$/);
  };
  fc.assert(fc.property(body, check), { numRuns: 5000 });
});

test("what JSON.parse takes as an array has its elements as records", () => {
  const value = fc.jsonValue({ maxDepth: 3 });
  const check = (elements: unknown[], indent: number): void => {
    const found = split(splitJson, JSON.stringify(elements, null, indent));
    expect(found.map(({ text }) => JSON.parse(text) as unknown)).toEqual(
      JSON.parse(JSON.stringify(elements)),
    );
  };
  fc.assert(fc.property(fc.array(value, { maxLength: 6 }), fc.nat({ max: 3 }), check), { numRuns: 2000 });
});

test("a body of nothing but broken elements takes time in proportion to its size", () => {
  const cost = (count: number): number => {
    let best = Infinity;
    for (let run = 0; run < 5; run++) {
      const started = performance.now();
      split(splitJson, `[${'{"a":[{"b":tru,"'.repeat(count)}`);
      split(splitJson, `[${'{"a":tru},'.repeat(count)}`);
      best = Math.min(best, performance.now() - started);
    }
    return best;
  };
  cost(1000);
  // Quadratic, it would be a hundred times.
  expect(cost(200_000)).toBeLessThan(40 * cost(20_000) + 20);
});
