import { describe, expect, test } from "vitest";
import { effectiveSchema, maxInteger } from "./effective.ts";
import type { JSONSchema, Subschema } from "./schema.ts";

/** The effective form of one field. */
function field(schema: Subschema): Subschema | undefined {
  return effectiveSchema({ type: "object", properties: { f: schema } }).properties?.["f"];
}

const string: JSONSchema = { type: "string" };
const nothing: JSONSchema = { type: "null" };

describe("the effective schema", () => {
  test("the root is an object and names no draft", () => {
    expect(
      effectiveSchema({ $schema: "https://json-schema.org/draft/2020-12/schema", properties: { a: string } }),
    ).toEqual({
      type: "object",
      properties: { a: string },
    });
    expect(effectiveSchema({ type: ["object"] })).toEqual({ type: "object" });
  });

  const folds: [string, Subschema, Subschema][] = [
    ["a schema or null", { anyOf: [string, nothing] }, { type: ["string", "null"] }],
    [
      "null or a schema, by oneOf",
      { oneOf: [{ const: null }, { ...string, minLength: 1 }] },
      { type: ["string", "null"], minLength: 1 },
    ],
    [
      "notes beside the union",
      { anyOf: [{ ...string, title: "in" }, nothing], title: "out" },
      { type: ["string", "null"], title: "out" },
    ],
    [
      "an object or null",
      { anyOf: [{ type: "object", properties: { x: string } }, nothing] },
      { type: ["object", "null"], properties: { x: string } },
    ],
    [
      "constants",
      { anyOf: [{ const: "a" }, { type: "string", const: "b" }] },
      { type: "string", enum: ["a", "b"] },
    ],
    [
      "constants and null",
      { anyOf: [{ const: "a" }, { enum: ["b", "a"] }, nothing] },
      { type: ["string", "null"], enum: ["a", "b", null] },
    ],
    [
      "an enum or null",
      { anyOf: [{ type: "string", enum: ["a"] }, nothing] },
      { type: ["string", "null"], enum: ["a", null] },
    ],
    [
      "a union in a union",
      { anyOf: [{ anyOf: [{ const: 1 }, { const: 2.5 }] }, nothing] },
      { type: ["number", "null"], enum: [1, 2.5, null] },
    ],
    ["constants of several types", { anyOf: [{ const: "a" }, { const: 1 }] }, { enum: ["a", 1] }],
    ["an enum of one type", { enum: ["a", "b"] }, { type: "string", enum: ["a", "b"] }],
    ["a const", { const: true }, { type: "boolean", const: true }],
    ["a list of types", { type: ["null", "string", "string"] }, { type: ["string", "null"] }],
    ["integer in number", { type: ["integer", "number"] }, { type: "number" }],
    [
      "a map by pattern",
      { type: "object", patternProperties: { "^.*$": string } },
      { type: "object", additionalProperties: string },
    ],
    [
      "a map with plain names",
      { type: "object", propertyNames: string, additionalProperties: {} },
      { type: "object", additionalProperties: true },
    ],
    [
      "decimal bounds",
      {
        type: ["string", "number"],
        decimal: { precision: 5, scale: 2, minimum: 1e-2 as never, maximum: "09.90" },
      },
      { type: ["string", "number"], decimal: { precision: 5, scale: 2, minimum: "0.01", maximum: "9.9" } },
    ],
  ];
  test.each(folds)("%s", (_, written, effective) => {
    expect(field(written)).toEqual(effective);
  });

  const kept: [string, Subschema][] = [
    ["true", true],
    ["false", false],
    ["an anyOf beside something that judges", { anyOf: [string, nothing], minLength: 2 }],
    ["a reference or null", { anyOf: [{ $ref: "#/$defs/a" }, nothing] }],
    ["three branches", { anyOf: [string, { type: "boolean" }, nothing] }],
    ["a union inside, or null", { anyOf: [{ ...string, not: { type: "string", const: "a" } }, nothing] }],
    ["an untyped schema or null, by oneOf", { oneOf: [{ minLength: 1 }, nothing] }],
    [
      "a oneOf that names a constant twice",
      {
        oneOf: [
          { type: "string", const: "a" },
          { type: "string", const: "a" },
        ],
      },
    ],
    [
      "a constant of the wrong type",
      {
        anyOf: [
          { type: "string", const: 1 },
          { type: "string", const: "b" },
        ],
      },
    ],
    ["a map with a second rule", { type: "object", patternProperties: { "^.*$": string, "^a": string } }],
    [
      "a map that is closed",
      { type: "object", patternProperties: { "^.*$": string }, additionalProperties: false },
    ],
    [
      "a map with properties",
      { type: "object", patternProperties: { "^.*$": string }, properties: { a: string } },
    ],
    ["names with a rule", { type: "object", propertyNames: { pattern: "^a" } }],
  ];
  test.each(kept)("leaves alone: %s", (_, written) => {
    expect(field(written)).toEqual(written);
  });

  test("integers get the bounds of RFC 7493 where they state none", () => {
    const bounds = { minimum: -maxInteger, maximum: maxInteger };
    expect(field({ type: "integer" })).toEqual({ type: "integer", ...bounds });
    expect(field({ type: ["null", "integer"] })).toEqual({ type: ["integer", "null"], ...bounds });
    expect(field({ type: "integer", minimum: 0 })).toEqual({
      type: "integer",
      minimum: 0,
      maximum: maxInteger,
    });
    expect(field({ type: "integer", exclusiveMaximum: 9 })).toEqual({
      type: "integer",
      minimum: -maxInteger,
      exclusiveMaximum: 9,
    });
    expect(field({ type: "array", items: { type: "integer" } })).toEqual({
      type: "array",
      items: { type: "integer", ...bounds },
    });
    expect(field({ oneOf: [{ type: "integer" }, string] })).toEqual({
      oneOf: [{ type: "integer", ...bounds }, string],
    });
    expect(field({ type: "number" })).toEqual({ type: "number" });
  });

  test("but not where a bound would accept more", () => {
    const integer: JSONSchema = { type: "integer" };
    for (const schema of [
      { not: integer },
      { if: integer, else: true },
      { contains: integer },
      { propertyNames: integer },
    ]) {
      expect(field(schema)).toEqual(schema);
    }
  });

  test("is its own effective schema", () => {
    for (const [, written] of [...folds, ...kept.map(([name, schema]) => [name, schema, schema] as const)]) {
      const once = effectiveSchema({ type: "object", properties: { f: written } });
      expect(effectiveSchema(once)).toEqual(once);
    }
  });
});
