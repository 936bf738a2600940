import {
  childSchemas,
  cutJson,
  effectiveSchema,
  maxInteger,
  maxShownLength,
  parsePointer,
  validator,
} from "@weir/contract";
import type { Subschema } from "@weir/contract";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contractArbitrary, schemaArbitrary } from "./contract-arbitrary.ts";
import { array, documentOf, object, spellings, string, textOf, token } from "./document.ts";
import { formatSamples } from "./format-samples.ts";
import { commonPatterns, peculiarPatterns } from "./patterns.ts";
import { instanceArbitrary } from "./instance-arbitrary.ts";

describe("documents", () => {
  test("are written as strict, minified JSON that parses to what they hold", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(textOf(documentOf(value)))).toEqual(value);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.constantFrom(...spellings), (value, spelling) => {
        const text = textOf(string(value, spelling));
        expect(JSON.parse(text)).toBe(value);
        if (spelling !== "plain") expect(text).toMatch(/^[\x20-\x7e]*$/);
      }),
    );
    expect(
      textOf(
        object([
          ["a", token("1.0")],
          ["a", token("2")],
          ["", array([token("-0")])],
        ]),
      ),
    ).toBe('{"a":1.0,"":[-0]}');
    expect(textOf(string("a😀", "escaped"))).toBe(String.raw`"\u0061\ud83d\ude00"`);
  });
});

describe("samples", () => {
  test("good samples of a format are of it", () => {
    for (const [format, { good }] of Object.entries(formatSamples)) {
      const judge = validator({ schema: { format } });
      expect(
        good.filter((text) => judge(text).length > 0),
        format,
      ).toEqual([]);
    }
  });

  test("the first sample of a pattern matches it, and one does not", () => {
    for (const { pattern, samples } of [...commonPatterns, ...peculiarPatterns]) {
      const matches = (text: string | undefined): boolean => new RegExp(pattern, "u").test(text ?? "");
      expect(matches(samples[0]), pattern).toBe(true);
      if (pattern !== "") expect(samples.every(matches), pattern).toBe(false);
    }
  });
});

/** What a generator makes often enough is a statement about one sample of it; with a seed it is the same one each run. */
const seed = 1;

describe("generators", () => {
  test("make contracts of every kind of field, all of them valid", () => {
    const kinds = new Map<string, number>();
    fc.assert(
      fc.property(contractArbitrary(), ({ schema }) => {
        for (const keyword of keywordsOf(schema)) kinds.set(keyword, (kinds.get(keyword) ?? 0) + 1);
      }),
      { numRuns: 1000, seed },
    );
    const expected = [
      "minLength",
      "maxLength",
      "pattern",
      "format",
      "enum",
      "const",
      "minimum",
      "maximum",
      "exclusiveMinimum",
      "exclusiveMaximum",
      "multipleOf",
      "decimal",
      "items",
      "minItems",
      "maxItems",
      "uniqueItems",
      "contains",
      "minContains",
      "prefixItems",
      "properties",
      "required",
      "additionalProperties",
      "patternProperties",
      "propertyNames",
      "minProperties",
      "dependentRequired",
      "dependentSchemas",
      "unevaluatedProperties",
      "unevaluatedItems",
      "anyOf",
      "oneOf",
      "allOf",
      "not",
      "if",
      "then",
      "else",
      "$ref",
    ];
    expect(expected.filter((keyword) => (kinds.get(keyword) ?? 0) < 5)).toEqual([]);
  });

  test("make contracts that SQL can judge when asked for", () => {
    const judged = [
      "type",
      "enum",
      "const",
      "minLength",
      "maxLength",
      "pattern",
      "format",
      "minimum",
      "maximum",
      "exclusiveMinimum",
      "exclusiveMaximum",
      "decimal",
      "properties",
      "required",
      "additionalProperties",
      "items",
      "minItems",
      "maxItems",
    ];
    fc.assert(
      fc.property(contractArbitrary({ schemas: "expressible" }), ({ schema }) => {
        expect(keywordsOf(schema).filter((keyword) => !judged.includes(keyword))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test("make texts as the log holds them, of which a good part is valid and a good part is not", () => {
    let valid = 0;
    let total = 0;
    const text = contractArbitrary().chain((contract) =>
      fc.tuple(fc.constant(contract), instanceArbitrary(contract.schema)),
    );
    fc.assert(
      fc.property(text, ([contract, text]) => {
        const value: unknown = JSON.parse(text);
        expect(typeof value === "object" && value !== null && !Array.isArray(value)).toBe(true);
        expect(text.isWellFormed()).toBe(true);
        expect(Array.from(text).every((character) => character >= " ")).toBe(true);
        expect(membersWritten(text)).toBe(membersParsed(value));
        total++;
        if (validator(contract)(value).length === 0) valid++;
      }),
      { numRuns: 400 },
    );
    expect(valid / total).toBeGreaterThan(0.25);
    expect(valid / total).toBeLessThan(0.7);
  });

  test("the same seed gives the same texts", () => {
    const draw = (): unknown[] =>
      fc.sample(
        contractArbitrary().chain((made) => instanceArbitrary(made.schema)),
        { numRuns: 20, seed: 7 },
      );
    expect(draw()).toEqual(draw());
  });
});

function keywordsOf(schema: Subschema): string[] {
  if (typeof schema === "boolean") return [];
  const inner = childSchemas(schema as Record<string, unknown>).flatMap((child) =>
    keywordsOf(child.schema as Subschema),
  );
  return [...Object.keys(schema), ...inner];
}

/** Member names in a text, counted by its colons outside strings; equal to the parsed count only when no name is doubled. */
function membersWritten(text: string): number {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"/g, "").split(":").length - 1;
}

function membersParsed(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  const inner = Object.values(value).reduce((sum: number, part) => sum + membersParsed(part), 0);
  return inner + (Array.isArray(value) ? 0 : Object.keys(value).length);
}

describe("violations", () => {
  test("say where, what was found there, and never fail on any record", () => {
    let total = 0;
    const pairs = contractArbitrary({ schemas: "any" }).chain((contract) =>
      fc.tuple(
        fc.constant(contract),
        fc.array(instanceArbitrary(contract.schema), { minLength: 5, maxLength: 5 }),
      ),
    );
    fc.assert(
      fc.property(pairs, ([contract, texts]) => {
        const judge = validator(contract);
        for (const text of texts) {
          const record: unknown = JSON.parse(text);
          for (const { pointer, found, expected, keyword, message } of judge(record)) {
            total++;
            const steps = parsePointer(pointer) ?? expect.unreachable(pointer);
            const value = valueAt(record, steps);
            // A rule about names finds the name, which is the last step.
            const name = JSON.stringify(steps.at(-1));
            expect([value === undefined ? "" : cutJson(value, maxShownLength), name]).toContain(found);
            expect(value === undefined).toBe(keyword === "required" || keyword === "dependentRequired");
            expect(expected).not.toBe("");
            expect(message).not.toBe("");
          }
        }
      }),
      { numRuns: 200 },
    );
    expect(total).toBeGreaterThan(500);
  });
});

function valueAt(record: unknown, steps: readonly string[]): unknown {
  let value = record;
  for (const step of steps) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

describe("the effective schema", () => {
  test("accepts what the schema as written accepts, but for integers beyond 2^53", () => {
    let compared = 0;
    const pairs = fc
      .boolean()
      .chain((odd) => schemaArbitrary(odd, 4))
      .chain((schema) =>
        fc.tuple(fc.constant(schema), fc.array(instanceArbitrary(schema), { minLength: 5, maxLength: 10 })),
      );
    fc.assert(
      fc.property(pairs, ([schema, texts]) => {
        const written = validator({ schema });
        const effective = validator({ schema: effectiveSchema(schema) });
        for (const text of texts) {
          const value: unknown = JSON.parse(text);
          if (hasHugeNumber(value)) continue;
          compared++;
          expect(effective(value).length === 0, text).toBe(written(value).length === 0);
        }
      }),
      { numRuns: 300 },
    );
    expect(compared).toBeGreaterThan(1000);
  });
});

function hasHugeNumber(value: unknown): boolean {
  if (typeof value === "number") return Math.abs(value) > maxInteger;
  return typeof value === "object" && value !== null && Object.values(value).some(hasHugeNumber);
}
