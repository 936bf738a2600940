import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PADDING_BYTES, Scanner } from "./scan.ts";
import { verdict } from "./scan.oracle.ts";
import { splitSingle } from "./split.ts";
import { bodyOf } from "./protocol.ts";

const limits = { depth: 6, recordBytes: 400 };

interface Scanned {
  readonly code: string | undefined;
  readonly detail: string;
  readonly keys: number;
  readonly nulls: number;
  readonly type: string | undefined;
  readonly text: string;
}

const scanner = new Scanner();

function scan(text: string | Uint8Array): Scanned | undefined {
  const content = Buffer.from(text);
  const { bytes, end, isUtf8 } = bodyOf(
    Buffer.concat([content, Buffer.alloc(PADDING_BYTES)]),
    content.length,
  );
  scanner.open(bytes, isUtf8, limits);
  let scanned: Scanned | undefined;
  splitSingle(scanner, 0, end, {
    record({ code, detail, keys, nulls, typeStart, typeEnd, textBytes }) {
      const minified = Buffer.alloc(code === undefined ? textBytes : 0);
      if (code === undefined) expect(scanner.copyTo(minified, 0)).toBe(textBytes);
      const type = typeStart < 0 ? undefined : scanner.text(typeStart, typeEnd);
      scanned = { code, detail, keys, nulls, type, text: minified.toString() };
    },
  });
  return scanned;
}

/** The scanner agrees with the oracle in all it says of the text. */
function agree(text: string): void {
  const scanned = scan(text);
  if (/^[ \t\r\n]*$/.test(text)) {
    expect(scanned).toBeUndefined();
    return;
  }
  const expected = verdict(text, limits);
  // What is cut short by a depth limit may be malformed behind it.
  if (expected.code === "invalid_json" && scanned?.code === "too_deep") return;
  expect(scanned?.code, text).toBe(expected.code);
  if (expected.code !== undefined) return;
  expect({ keys: scanned?.keys, nulls: scanned?.nulls, type: scanned?.type }, text).toEqual({
    keys: expected.keys,
    nulls: expected.nulls,
    type: expected.type,
  });
  const minified = scanned!.text;
  expect(JSON.parse(minified)).toStrictEqual(JSON.parse(text));
  expect(minified.match(/"(?:[^"\\]|\\.)*"|\s/gs)?.filter((token) => !token.startsWith('"')) ?? []).toEqual(
    [],
  );
}

// Few names and characters, so that duplicates, escapes and surrogates meet often.
const unit = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", "type", "é", "日", "😀", "\u007f", "\u2028") },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...'\\n \\\\ \\" \\/ \\u0061 \\u00e9 \\ud83d\\ude00 \\u0000 \\uD83D \\ud83d\\ue000 \\udbff\\uDFFF \\ud800\\udbff \\uDC00'.split(
        " ",
      ),
    ),
  },
);
const stringText = fc.array(unit, { maxLength: 4 }).map((units) => `"${units.join("")}"`);
const nameText = fc.oneof(
  fc.constantFrom(
    '"type"',
    '"a"',
    '"b"',
    '"\\u0061"',
    '"\\u0074ype"',
    '""',
    '"abcd"',
    '"abcdefgh"',
    '"日本"',
    '"\\u65e5本"',
  ),
  stringText,
);
const numberText = fc.oneof(
  fc.constantFrom("0", "-0", "1", "10.50", "1e400", "-1E-7", "12345678901234567890", "0.1e+5", "-9.0"),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);
const space = fc.constantFrom("", "", "", "", " ", "\t", "\r\n", "  \n ");

const { object } = fc.letrec<{ value: string; object: string; array: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "medium" },
    fc.constantFrom("null", "true", "false"),
    numberText,
    stringText,
    tie("object"),
    tie("array"),
  ),
  object: fc
    .array(fc.tuple(space, nameText, space, space, tie("value"), space), { maxLength: 5 })
    .map((members) => {
      const texts = members.map(([before, name, colon, value, text, after]) => {
        return `${before}${name}${colon}:${value}${text}${after}`;
      });
      return `{${texts.join(",")}}`;
    }),
  array: fc
    .array(fc.tuple(space, tie("value"), space), { maxLength: 4 })
    .map((items) => `[${items.map((item) => item.join("")).join(",")}]`),
}));

/** One byte-level change of a text: what broken clients and cut connections do. */
const mutation = fc.record({
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  kind: fc.constantFrom("delete", "insert", "replace", "cut", "double"),
  with: fc.constantFrom(
    ...'{ } [ ] : , " \\ 0 1 9 - + . e E t f n u'.split(" "),
    " ",
    "\n",
    "\t",
    "\u0000",
    "\u001f",
    "é",
    "\ufeff",
    "NaN",
    "//",
    "\\u",
    "\\ud800",
    "null",
  ),
});

function mutate(
  text: string,
  { at, kind, with: piece }: typeof mutation extends fc.Arbitrary<infer M> ? M : never,
): string {
  const i = Math.floor(at * (text.length + 1));
  if (kind === "delete") return text.slice(0, i) + text.slice(i + 1);
  if (kind === "insert") return text.slice(0, i) + piece + text.slice(i);
  if (kind === "replace") return text.slice(0, i) + piece + text.slice(i + 1);
  if (kind === "cut") return text.slice(0, i);
  return text.slice(0, i) + text.slice(Math.floor(i / 2));
}

test("generated objects, with duplicates, escapes, depth and sizes around the limits", () => {
  fc.assert(fc.property(object, agree), { numRuns: 10_000 });
});

test("mutated objects", () => {
  const mutated = fc
    .tuple(object, fc.array(mutation, { minLength: 1, maxLength: 3 }))
    .map(([text, changes]) => changes.reduce(mutate, text).toWellFormed());
  fc.assert(fc.property(mutated, agree), { numRuns: 40_000 });
});

test("white space of every kind in every place changes nothing but the copy", () => {
  const text = '{"a":[1,{"b":"c d"},[]],"type":"x\\" y","n":null,"e":{}}';
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:,]|[^{}[\]:,"]+/g)!;
  for (const gap of [" ", "\n", "\r", "\t", "\r\n  \t"]) {
    for (let i = 0; i <= tokens.length; i++) {
      const spaced = tokens.slice(0, i).join("") + gap + tokens.slice(i).join("");
      expect(scan(spaced), JSON.stringify(spaced)).toMatchObject({
        code: undefined,
        text,
        keys: 4,
        nulls: 1,
      });
    }
    expect(scan(tokens.join(gap))).toMatchObject({ code: undefined, text, type: 'x" y' });
  }
  for (const noGap of ["\u000b", "\u000c", "\u00a0", "\u2028", "\ufeff", "\u0000"]) {
    for (let i = 0; i <= tokens.length; i++) {
      const spaced = tokens.slice(0, i).join("") + noGap + tokens.slice(i).join("");
      expect(scan(spaced)?.code, JSON.stringify(spaced)).toBe("invalid_json");
    }
  }
});

test("every prefix of an object is no object", () => {
  const text = '{"a":[1.5e3,{"b":"\\u00e9\\ud83d\\ude00"},true,false,null],"é":-0.1}';
  for (let i = 1; i < text.length; i++)
    expect(scan(text.slice(0, i))?.code, text.slice(0, i)).toBe("invalid_json");
  expect(scan(text)?.code).toBeUndefined();
});

test("every byte in the place of a string's character, a value and a separator", () => {
  for (let byte = 0; byte < 256; byte++) {
    for (const [before, after] of [
      ['{"a":"x', 'y"}'],
      ['{"a":', "}"],
      ['{"a"', ":1}"],
      ['{"a":"\\', 'b"}'],
      ["", '{"a":1}'],
    ]) {
      const bytes = Buffer.concat([Buffer.from(before!), Buffer.from([byte]), Buffer.from(after!)]);
      const found = scan(bytes);
      if (byte >= 0x80) expect(found?.code).toBe("invalid_utf8");
      else expect(found?.code, bytes.toString()).toBe(verdict(bytes.toString(), limits).code);
    }
  }
});

test("random bytes: what is accepted is what a strict decoder and JSON.parse accept", () => {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.tuple(object, fc.uint8Array({ minLength: 1, maxLength: 3 }), fc.nat()).map(([text, noise, at]) => {
      const whole = Buffer.from(text);
      const i = at % (whole.length + 1);
      return new Uint8Array(Buffer.concat([whole.subarray(0, i), noise, whole.subarray(i)]));
    }),
  );
  const check = (content: Uint8Array): void => {
    let text: string;
    try {
      text = decoder.decode(content);
    } catch {
      expect(scan(content)?.code).toBe("invalid_utf8");
      return;
    }
    if (!text.startsWith("\ufeff")) agree(text);
  };
  fc.assert(fc.property(bytes, check), { numRuns: 20_000 });
});

test("depth counts objects and arrays, the record included", () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth - 1)}{}${"}".repeat(depth - 1)}`;
  expect(scan(nested(limits.depth))?.code).toBeUndefined();
  expect(scan(nested(limits.depth + 1))).toMatchObject({
    code: "too_deep",
    detail: "deeper than 6 at byte 30",
  });
  expect(scan(`{"a":${"[".repeat(100_000)}`)?.code).toBe("too_deep");
});

test("size counts the bytes of the minified text", () => {
  const fitting = `{"a":"${"é".repeat((limits.recordBytes - 8) / 2)}"}`;
  expect(scan(fitting)?.code).toBeUndefined();
  expect(scan(`  ${fitting.replace(":", `:${" ".repeat(1000)}`)}  `)).toMatchObject({
    code: undefined,
    text: fitting,
  });
  const large = fitting.replace("}", " , }").replace(", }", ',"b":1}');
  expect(scan(large)).toMatchObject({ code: "too_large", detail: "406 bytes, limit 400" });
});

test("details name the place", () => {
  expect(scan('{"a":tru}')?.detail).toBe("unexpected byte 0x7d at byte 8");
  expect(scan('{"a":1')?.detail).toBe("it ends at byte 6, before it is complete");
  expect(scan('{"a":1} x')?.detail).toBe("unexpected byte 0x78 at byte 8");
  expect(scan('{"a":1,"a":2}')?.detail).toBe("name at byte 7");
  expect(scan('{"a":"\\ud800"}')?.detail).toBe("escape at byte 6");
  expect(scan(" [1]")).toMatchObject({ code: "not_an_object", detail: "an array at byte 0" });
  expect(scan(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))?.detail).toBe("byte 0xff at byte 2");
});
