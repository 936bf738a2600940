import { describe, expect, test } from "vitest";
import { contract, maxShownLength, maxViolations, validator } from "./index.ts";
import type { Violation } from "./index.ts";

/** Judges `{"f": <text>}` by a field schema; the pointers of the violations start below `/f`. */
function judge(schema: unknown, text: string): Violation[] {
  const record: unknown = JSON.parse(`{"id":"1","at":"2026-01-01T00:00:00Z","f":${text}}`);
  return validatorOf({ f: schema })(record).map((violation) => ({
    ...violation,
    pointer: violation.pointer.replace(/^\/f/, ""),
  }));
}

function validatorOf(properties: object, more: object = {}): (value: unknown) => Violation[] {
  const fields: object = {
    type: "object",
    required: ["id", "at"],
    properties: { id: { type: "string" }, at: { type: "string", format: "date-time" }, ...properties },
    ...more,
  };
  return validator(contract("c", { version: "1.0.0", owner: "o", id: "id", time: "at", fields }));
}

describe("violations", () => {
  const cases: [string, object, string, [string, string, string, string][]][] = [
    ["type", { type: "string" }, "1", [["", "type", '"string"', "1"]]],
    ["types", { type: ["string", "null"] }, "{}", [["", "type", '["string","null"]', "{}"]]],
    ["minLength", { type: "string", minLength: 2 }, '"é"', [["", "minLength", "2", '"é"']]],
    ["pattern", { type: "string", pattern: "^a$" }, '"b"', [["", "pattern", '"^a$"', '"b"']]],
    [
      "format",
      { type: "string", format: "date" },
      '"2026-02-29"',
      [["", "format", '"date"', '"2026-02-29"']],
    ],
    ["enum", { enum: ["a", 1] }, "null", [["", "enum", '["a",1]', "null"]]],
    ["const", { const: { a: 1 } }, "[]", [["", "const", '{"a":1}', "[]"]]],
    ["minimum", { type: "number", minimum: 0 }, "-1", [["", "minimum", "0", "-1"]]],
    ["implied bound", { type: "integer" }, "1e300", [["", "maximum", "9007199254740991", "1e+300"]]],
    ["beyond a double", { type: "number" }, "-1E999", [["", "type", '"number"', "-1e400"]]],
    [
      "decimal",
      { type: ["string", "number"], decimal: { precision: 3, scale: 1 } },
      '"1.25"',
      [["", "decimal", '{"precision":3,"scale":1}', '"1.25"']],
    ],
    [
      "required",
      { type: "object", required: ["a/b", "m~n"] },
      "{}",
      [
        ["/a~1b", "required", '"a/b"', ""],
        ["/m~0n", "required", '"m~n"', ""],
      ],
    ],
    [
      "additionalProperties",
      { type: "object", additionalProperties: false },
      '{"x/y":[1]}',
      [["/x~1y", "additionalProperties", "false", "[1]"]],
    ],
    [
      "unevaluatedProperties",
      { type: "object", unevaluatedProperties: false },
      '{"x":1}',
      [["/x", "unevaluatedProperties", "false", "1"]],
    ],
    [
      "propertyNames",
      { type: "object", propertyNames: { maxLength: 1 } },
      '{"xy":1}',
      [
        ["/xy", "maxLength", "1", '"xy"'],
        ["/xy", "propertyNames", '{"maxLength":1}', '"xy"'],
      ],
    ],
    [
      "dependentRequired",
      { type: "object", dependentRequired: { a: ["b"] } },
      '{"a":1}',
      [["/b", "dependentRequired", '"b"', ""]],
    ],
    ["false", { type: "object", properties: { a: false } }, '{"a":1}', [["/a", "false", "false", "1"]]],
    [
      "items",
      { type: "array", items: { type: "string" } },
      '["a",1,null]',
      [
        ["/1", "type", '"string"', "1"],
        ["/2", "type", '"string"', "null"],
      ],
    ],
    [
      "tuple",
      { type: "array", prefixItems: [{ type: "string" }], items: false },
      '["a",1]',
      [["", "items", "false", '["a",1]']],
    ],
    ["uniqueItems", { type: "array", uniqueItems: true }, "[1,1.0]", [["", "uniqueItems", "true", "[1,1]"]]],
    [
      "contains",
      { type: "array", contains: { const: 1 } },
      "[2]",
      [
        ["/0", "const", "1", "2"],
        ["", "contains", '{"type":"integer","const":1}', "[2]"],
      ],
    ],
    [
      "if",
      { if: { type: "number" }, else: { minLength: 2 } },
      '"a"',
      [
        ["", "minLength", "2", '"a"'],
        ["", "if", '{"type":"number"}', '"a"'],
      ],
    ],
    ["not", { not: { type: "string" } }, '"a"', [["", "not", '{"type":"string"}', '"a"']]],
    [
      "anyOf",
      { anyOf: [{ type: "string" }, { type: "boolean" }] },
      "1",
      [
        ["", "type", '"string"', "1"],
        ["", "type", '"boolean"', "1"],
        ["", "anyOf", '[{"type":"string"},{"type":"boolean"}]', "1"],
      ],
    ],
  ];
  test.each(cases)("%s", (_, schema, text, expected) => {
    const found = judge(schema, text);
    expect(found.map(({ pointer, keyword, expected, found }) => [pointer, keyword, expected, found])).toEqual(
      expected,
    );
    for (const violation of found) expect(violation.message).not.toBe("");
  });

  test("are all told, with a sentence each", () => {
    const judgeRecord = validatorOf({ n: { type: "integer", minimum: 1 } }, { required: ["id", "at", "n"] });
    expect(judgeRecord({ id: 1, at: "x" }).map((violation) => violation.message)).toEqual([
      "/n is missing.",
      '/id is 1, which breaks type "string".',
      '/at is "x", which breaks format "date-time".',
    ]);
    expect(judgeRecord([]).map((violation) => violation.message)).toEqual([
      'The record is [], which breaks type "object".',
    ]);
  });

  test("show at most 200 characters of a value, never half of one", () => {
    const [violation] = judge({ type: "number" }, JSON.stringify("😀".repeat(10_000)));
    expect(violation?.found).toBe(`"${"😀".repeat(maxShownLength - 1)}`);
  });

  test("are at most 100; a huge record is told the first", () => {
    const schema = { type: "array", items: { type: "string" } };
    expect(judge(schema, JSON.stringify(Array.from({ length: 5000 }, () => 1)))).toHaveLength(maxViolations);
    expect(judge(schema, JSON.stringify(Array.from({ length: 50_000 }, () => 1)))).toHaveLength(1);
  });
});

describe("judgement", () => {
  /** Names that JavaScript objects inherit, and that other judges stumble over. */
  const names = ["constructor", "toString", "valueOf", "hasOwnProperty", "__proto__"];

  test.each(names)("a member named %s is a member like any other", (name) => {
    const text = `{"${name}":1}`;
    expect(judge({ type: "object", required: [name] }, "{}")).toHaveLength(1);
    expect(judge({ type: "object", required: [name] }, text)).toEqual([]);
    expect(judge({ type: "object", additionalProperties: false }, text)).toHaveLength(1);
    expect(judge({ type: "object", minProperties: 1 }, text)).toEqual([]);
    expect(judge({ type: "array", uniqueItems: true }, `[${text},${text}]`)).toHaveLength(1);
    expect(judge({ type: "array", uniqueItems: true }, `[{},${text}]`)).toEqual([]);
    expect(judge({ const: { a: 1 } }, text)).toHaveLength(1);
    expect(judge({ enum: [[JSON.parse(text)]] }, `[${text}]`)).toEqual([]);
  });

  test.each(names.slice(0, 4))("a field named %s is a field like any other", (name) => {
    const schema = { type: "object", properties: { [name]: { type: "string" } } };
    expect(judge(schema, "{}")).toEqual([]);
    expect(judge(schema, `{"${name}":"a"}`)).toEqual([]);
    expect(judge(schema, `{"${name}":1}`)).toHaveLength(1);
  });

  test("equality is that of JSON: numbers by value, objects without order, never across types", () => {
    expect(judge({ const: 1 }, "1.0")).toEqual([]);
    expect(judge({ const: 0 }, "-0")).toEqual([]);
    expect(judge({ const: { a: 1, b: [2] } }, '{"b":[2.0],"a":1}')).toEqual([]);
    expect(judge({ enum: ["1", [1], null] }, "1")).toHaveLength(1);
    expect(judge({ enum: ["\u0000[1]"] }, "[1]")).toHaveLength(1);
    expect(
      judge(
        { type: "array", uniqueItems: true },
        String.raw`["\u0000[1]",[1],"[1]",1,"1",true,"true",null,"null"]`,
      ),
    ).toEqual([]);
    expect(judge({ type: "array", uniqueItems: true }, '[{"a":1,"b":2},{"b":2,"a":1}]')).toHaveLength(1);
    expect(judge({ type: "array", uniqueItems: false }, "[1,1]")).toEqual([]);
  });

  test("local references work, also recursive ones", () => {
    const judgeRecord = validatorOf(
      { tree: { $ref: "#/$defs/node" } },
      {
        $defs: {
          node: {
            type: "object",
            required: ["v"],
            properties: { v: { type: "integer" }, next: { $ref: "#/$defs/node" } },
          },
        },
      },
    );
    const record = { id: "1", at: "2026-01-01T00:00:00Z" };
    expect(judgeRecord({ ...record, tree: { v: 1, next: { v: 2, next: { v: 3 } } } })).toEqual([]);
    const [violation] = judgeRecord({ ...record, tree: { v: 1, next: { v: 2, next: {} } } });
    expect(violation).toMatchObject({ pointer: "/tree/next/next/v", keyword: "required" });
  });

  test("unique items of a large list cost one pass", () => {
    const text = JSON.stringify(Array.from({ length: 100_000 }, (_, i) => ({ i })));
    const started = performance.now();
    expect(judge({ type: "array", uniqueItems: true }, text)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(2000);
  });

  test("a text cannot make a pattern run long", () => {
    const started = performance.now();
    const text = JSON.stringify(`${"a".repeat(100_000)}!`);
    expect(judge({ type: "string", pattern: "^(a+)+$" }, text)).toHaveLength(1);
    expect(judge({ type: "object", patternProperties: { "^(a|a)*$": false } }, `{${text}:1}`)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test("patterns of one schema are told apart", () => {
    const schema = {
      type: "object",
      properties: { a: { type: "string", pattern: "^a+b+$" }, b: { type: "string", pattern: "^b+a+$" } },
    };
    expect(judge(schema, '{"a":"ab","b":"ba"}')).toEqual([]);
    expect(judge(schema, '{"a":"ba","b":"ab"}')).toHaveLength(2);
  });

  test("one judge is kept a contract, and answers do not depend on the one before", () => {
    const made = contract("c", {
      version: "1.0.0",
      owner: "o",
      id: "id",
      time: "at",
      fields: {
        type: "object",
        required: ["id", "at"],
        properties: { id: { type: "string" }, at: { type: "string", format: "date-time" } },
      },
    });
    expect(validator(made)).toBe(validator(made));
    const first = validator(made)({ id: 1 });
    expect(validator(made)({ id: "1", at: "2026-01-01T00:00:00Z" })).toEqual([]);
    expect(validator(made)({ id: 1 })).toEqual(first);
  });
});
