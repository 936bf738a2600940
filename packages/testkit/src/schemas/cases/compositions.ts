import type { JSONSchema } from "@weir/contract";
import { table } from "./case.ts";
import type { CaseTable } from "./case.ts";

const card: JSONSchema = {
  type: "object",
  required: ["kind", "last4"],
  properties: { kind: { const: "card" }, last4: { type: "string", pattern: "^\\d{4}$" } },
};
const cash: JSONSchema = {
  type: "object",
  required: ["kind"],
  properties: { kind: { const: "cash" }, tip: { type: "integer", minimum: 0 } },
};
const everything = ["null", "true", "false", "0", "1.5", '""', '"a"', "[]", "{}"];

/** Keywords that combine schemas, and references. */
export const compositionTables: readonly CaseTable[] = [
  table(
    "anyOf",
    { anyOf: [{ type: "string", maxLength: 1 }, { type: "integer" }] },
    ['"a"', '""', "1", "1.0"],
    ['"ab"', "1.5", "null", "[]"],
  ),
  table(
    "anyOf beside other keywords",
    { type: "number", anyOf: [{ minimum: 10 }, { multipleOf: 2 }] },
    ["10", "11", "2", "-4"],
    ["3", "9", '"a"'],
  ),
  table(
    "nullable by anyOf",
    { anyOf: [{ type: "string", minLength: 1 }, { type: "null" }] },
    ["null", '"a"'],
    ['""', "0", "false"],
  ),
  table(
    "nullable object by anyOf",
    {
      anyOf: [{ type: "object", required: ["a"], properties: { a: { type: "integer" } } }, { type: "null" }],
    },
    ["null", '{"a":1}'],
    ["{}", '{"a":"x"}', "[]"],
  ),
  table(
    "nullable decimal by anyOf",
    { anyOf: [{ type: ["string", "number"], decimal: { precision: 3, scale: 1 } }, { type: "null" }] },
    ["null", '"1.5"', "1.5"],
    ['"1.25"', "true", '""'],
  ),
  table(
    "union of constants",
    { anyOf: [{ const: "a" }, { const: "b" }, { type: "null" }] },
    ['"a"', '"b"', "null"],
    ['"c"', '""', "0", "false"],
  ),
  table(
    "union of a constant and a type",
    { anyOf: [{ const: "none" }, { type: "integer" }] },
    ['"none"', "1"],
    ['"one"', "null", "1.5"],
  ),
  table(
    "oneOf",
    { oneOf: [{ type: "integer" }, { type: "number", minimum: 10 }] },
    ["1", "10.5", "-3"],
    ["10", "1.5", '"a"', "null", "11.0"],
  ),
  table(
    "oneOf of overlapping strings",
    {
      oneOf: [
        { type: "string", minLength: 2 },
        { type: "string", maxLength: 3 },
      ],
    },
    ['""', '"a"', '"abcd"'],
    ['"ab"', '"abc"', "1"],
  ),
  table(
    "oneOf that names a constant twice",
    { oneOf: [{ const: "a" }, { const: "a" }, { const: "b" }] },
    ['"b"'],
    ['"a"', '"c"'],
  ),
  table(
    "discriminated union",
    { oneOf: [card, cash] },
    ['{"kind":"card","last4":"1234"}', '{"kind":"cash"}', '{"kind":"cash","tip":1,"last4":0}'],
    [
      "{}",
      '{"kind":"card"}',
      '{"kind":"cash","tip":-1}',
      '{"kind":"x"}',
      '{"kind":"card","last4":"12345"}',
      "null",
    ],
  ),
  table(
    "allOf",
    { allOf: [{ type: "string", minLength: 2 }, { maxLength: 3 }, { pattern: "^a" }] },
    ['"ab"', '"abc"'],
    ['"a"', '"abcd"', '"bc"', "1"],
  ),
  table(
    "allOf of objects",
    {
      allOf: [
        { type: "object", required: ["a"], properties: { a: { type: "integer" } } },
        { properties: { b: { type: "string" } } },
      ],
    },
    ['{"a":1}', '{"a":1,"b":"x"}'],
    ["{}", '{"a":"x"}', '{"a":1,"b":1}'],
  ),
  table("allOf with false", { allOf: [true, false] }, [], everything),
  table("not", { not: { type: "string" } }, ["1", "null", "[]", "true"], ['""', '"a"']),
  table(
    "not integer",
    { not: { type: "integer" } },
    ["1.5", '"1"', "null"],
    ["1", "1.0", "9007199254740993", "1e300"],
  ),
  table("not of everything", { not: {} }, [], everything),
  table("not not", { not: { not: { type: "integer" } } }, ["1", "1e300"], ["1.5", '"1"']),
  table(
    "a type and not",
    { type: "string", not: { enum: ["admin", "root"] } },
    ['"a"', '"Admin"'],
    ['"admin"', '"root"', "1"],
  ),
  table(
    "if then else",
    conditional(
      { properties: { country: { const: "US" } }, required: ["country"] },
      { required: ["zip"] },
      { required: ["postcode"] },
    ),
    ['{"country":"US","zip":1}', '{"country":"DE","postcode":1}', '{"postcode":1}', "null", "1"],
    ['{"country":"US"}', '{"country":"US","postcode":1}', "{}", '{"zip":1}'],
  ),
  table("if then", conditional({ type: "string" }, { minLength: 2 }), ['"ab"', "1", "null"], ['"a"', '""']),
  table("if else", conditional({ type: "string" }, undefined, { minimum: 5 }), ['""', "5", "null"], ["4"]),
  table("a reference", { $ref: "#/$defs/code" }, ['"ab"', '"abc"'], ['"a"', '"abcd"', "1", "null"], {
    code: { type: "string", minLength: 2, maxLength: 3 },
  }),
  table(
    "a reference beside other keywords",
    { $ref: "#/$defs/code", pattern: "^a" },
    ['"ab"'],
    ['"bb"', '"a"'],
    { code: { type: "string", minLength: 2 } },
  ),
  table(
    "a reference or null",
    { anyOf: [{ $ref: "#/$defs/code" }, { type: "null" }] },
    ["null", '"ab"'],
    ['"a"', "0"],
    { code: { type: "string", minLength: 2 } },
  ),
  table("a reference by name", { $ref: "#code" }, ['"ab"'], ['"a"', "1"], {
    x: { $anchor: "code", type: "string", minLength: 2 },
  }),
  table("a reference with escapes", { $ref: "#/$defs/a~1b%20c" }, ["1"], ['"1"'], {
    "a/b c": { type: "integer" },
  }),
  table(
    "a recursive reference",
    { $ref: "#/$defs/tree" },
    ['{"v":1}', '{"v":1,"kids":[]}', '{"v":1,"kids":[{"v":2,"kids":[{"v":3}]}]}'],
    ["{}", '{"v":"1"}', '{"v":1,"kids":[{}]}', '{"v":1,"kids":[{"v":2,"kids":[{"v":null}]}]}', "null"],
    {
      tree: {
        type: "object",
        required: ["v"],
        properties: { v: { type: "integer" }, kids: { type: "array", items: { $ref: "#/$defs/tree" } } },
      },
    },
  ),
  table(
    "two references that recurse together",
    { $ref: "#/$defs/a" },
    ["[]", "[{}]", '[{"next":[]}]'],
    ["{}", "[[]]", '[{"next":{}}]'],
    {
      a: { type: "array", items: { $ref: "#/$defs/b" } },
      b: { type: "object", properties: { next: { $ref: "#/$defs/a" } } },
    },
  ),
];

/** Assigned by name, as an object literal with the member `then` is taken for a promise by tools. */
function conditional(condition: JSONSchema, yes?: JSONSchema, no?: JSONSchema): JSONSchema {
  const branches: [string, JSONSchema | undefined][] = [
    ["if", condition],
    ["then", yes],
    ["else", no],
  ];
  return Object.fromEntries(branches.filter(([, schema]) => schema !== undefined)) as JSONSchema;
}
