import { contractArbitrary, instanceArbitrary, seedOfRun } from "@weir/testkit";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compatibility } from "./compatibility.ts";
import { Type, contract, decimal } from "./index.ts";
import type { DecimalRule } from "./decimal.ts";
import type { Contract, JSONSchema } from "./index.ts";
import { validator } from "./validate.ts";

const head = { id: Type.String(), at: Type.String({ format: "date-time" }) };
const of = (fields: object, root: Record<string, unknown> = {}): Contract =>
  contract("c", {
    version: "1.0.0",
    owner: "o",
    id: "id",
    time: "at",
    fields: Type.Object({ ...head, ...fields } as never, root),
  });

type Verdict = "full" | "backward" | "forward" | "none";
const verdict = (before: Contract, after: Contract): Verdict => {
  const { backward, forward } = compatibility(before.schema, after.schema);
  return backward && forward ? "full" : backward ? "backward" : forward ? "forward" : "none";
};

const s = Type.String();
const n = Type.Integer();
const open = (schema: object): object => ({ a: Type.Optional(schema as never) });

/** Pairs of versions, and who can read whom: `backward`, the later the earlier's records; `forward`, the other way round. */
const corpus: [what: string, before: Contract, after: Contract, Verdict][] = [
  ["nothing", of({ a: s }), of({ a: s }), "full"],
  ["a description", of({ a: s }), of({ a: Type.String({ description: "x" }) }), "full"],
  ["an optional field more", of({}), of(open(s)), "full"],
  ["a required field more", of({}), of({ a: s }), "forward"],
  ["an optional field less", of(open(s)), of({}), "full"],
  ["a required field less", of({ a: s }), of({}), "backward"],
  ["a required field that is optional now", of({ a: s }), of(open(s)), "backward"],
  ["an optional field that is required now", of(open(s)), of({ a: s }), "forward"],
  [
    "an optional field more, in a closed object",
    of({}, { additionalProperties: false }),
    of(open(s), { additionalProperties: false }),
    "backward",
  ],
  [
    "a field less, in a closed object",
    of(open(s), { additionalProperties: false }),
    of({}, { additionalProperties: false }),
    "forward",
  ],
  ["an object that is closed now", of({}), of({}, { additionalProperties: false }), "forward"],
  ["a string that is a number now", of({ a: s }), of({ a: n }), "none"],
  ["an integer that is any number now", of({ a: n }), of({ a: Type.Number() }), "backward"],
  ["a number that is an integer now", of({ a: Type.Number() }), of({ a: n }), "forward"],
  ["null allowed", of({ a: s }), of({ a: Type.Union([s, Type.Null()]) }), "backward"],
  ["null not allowed any more", of({ a: Type.Union([s, Type.Null()]) }), of({ a: s }), "forward"],
  ["a value more", of({ a: Type.Enum(["x"]) }), of({ a: Type.Enum(["x", "y"]) }), "backward"],
  ["a value less", of({ a: Type.Enum(["x", "y"]) }), of({ a: Type.Enum(["y"]) }), "forward"],
  ["a value exchanged", of({ a: Type.Enum(["x", "y"]) }), of({ a: Type.Enum(["x", "z"]) }), "none"],
  ["an enum that is any string now", of({ a: Type.Enum(["x"]) }), of({ a: s }), "backward"],
  [
    "longer strings",
    of({ a: Type.String({ maxLength: 5 }) }),
    of({ a: Type.String({ maxLength: 9 }) }),
    "backward",
  ],
  [
    "shorter strings",
    of({ a: Type.String({ maxLength: 9 }) }),
    of({ a: Type.String({ maxLength: 5 }) }),
    "forward",
  ],
  [
    "bounds moved",
    of({ a: Type.Integer({ minimum: 1, maximum: 5 }) }),
    of({ a: Type.Integer({ minimum: 2, maximum: 6 }) }),
    "none",
  ],
  ["a pattern more", of({ a: s }), of({ a: Type.String({ pattern: "^a" }) }), "forward"],
  [
    "another pattern",
    of({ a: Type.String({ pattern: "^b" }) }),
    of({ a: Type.String({ pattern: "^a" }) }),
    "none",
  ],
  [
    "another format",
    of({ a: Type.String({ format: "email" }) }),
    of({ a: Type.String({ format: "uuid" }) }),
    "none",
  ],
  [
    "multiples of 10 that were of 5",
    of({ a: Type.Integer({ multipleOf: 5 }) }),
    of({ a: Type.Integer({ multipleOf: 10 }) }),
    "forward",
  ],
  [
    "a decimal with more digits",
    of({ a: decimal({ precision: 8, scale: 2 }) }),
    of({ a: decimal({ precision: 10, scale: 3 }) }),
    "backward",
  ],
  [
    "a decimal with digits moved",
    of({ a: decimal({ precision: 8, scale: 2 }) }),
    of({ a: decimal({ precision: 8, scale: 4 }) }),
    "none",
  ],
  [
    "a field of a nested object",
    of({ a: Type.Object({ b: n }) }),
    of({ a: Type.Object({ b: Type.Number() }) }),
    "backward",
  ],
  ["elements of an array", of({ a: Type.Array(n) }), of({ a: Type.Array(s) }), "none"],
  [
    "more elements",
    of({ a: Type.Array(n, { maxItems: 3 }) }),
    of({ a: Type.Array(n, { maxItems: 4 }) }),
    "backward",
  ],
  [
    "elements that must differ",
    of({ a: Type.Array(n) }),
    of({ a: Type.Array(n, { uniqueItems: true }) }),
    "forward",
  ],
  ["values of a map", of({ a: Type.Record(s, n) }), of({ a: Type.Record(s, Type.Number()) }), "backward"],
  [
    "an alternative more",
    of({ a: Type.Union([Type.Object({ b: s }), Type.Object({ c: n })]) }),
    of({ a: Type.Union([Type.Object({ b: s }), Type.Object({ c: n }), n]) }),
    "backward",
  ],
];

describe("a corpus of version pairs", () => {
  test.each(corpus)("%s", (_, before, after, expected) => {
    expect(verdict(before, after)).toBe(expected);
    const mirrored: Record<Verdict, Verdict> = {
      full: "full",
      none: "none",
      backward: "forward",
      forward: "backward",
    };
    expect(verdict(after, before)).toBe(mirrored[expected]);
  });

  test("each change says where and what", () => {
    const before = of({ a: Type.Object({ "b/c": n }), gone: s });
    const after = of({ a: Type.Object({ "b/c": s }), more: s });
    expect(
      compatibility(before.schema, after.schema).changes.map(
        ({ pointer, what, effect }) => `${effect} ${pointer} ${what}`,
      ),
    ).toEqual([
      'fewer /required "more" is required now',
      'more /required "gone" is optional now',
      'other /properties/a/properties/b~1c/type it was "integer" and is "string"',
      "more /properties/a/properties/b~1c/minimum -9007199254740991 is not asked for any more",
      "more /properties/a/properties/b~1c/maximum 9007199254740991 is not asked for any more",
      "same /properties/gone a field less; records that have it keep it in _extra",
      "same /properties/more a new field",
    ]);
  });
});

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const holdsObject = (value: unknown): boolean =>
  isObject(value) || (Array.isArray(value) && value.some(holdsObject));
const elsewhere = [
  "$ref",
  "anyOf",
  "allOf",
  "oneOf",
  "not",
  "if",
  "patternProperties",
  "dependentSchemas",
  "prefixItems",
  "contains",
];

/** Whether a record has members that its schema does not declare, or may have: verdicts are not about those. */
function hasUndeclared(value: unknown, schema: unknown): boolean {
  if (!holdsObject(value)) return false;
  if (!isObject(schema) || elsewhere.some((keyword) => Object.hasOwn(schema, keyword))) return true;
  if (Array.isArray(value)) return value.some((element) => hasUndeclared(element, schema["items"]));
  const properties = (schema["properties"] ?? {}) as Record<string, unknown>;
  return Object.entries(value as object).some(([name, member]) => {
    if (Object.hasOwn(properties, name)) return hasUndeclared(member, properties[name]);
    const rest = schema["additionalProperties"];
    return !isObject(rest) || hasUndeclared(member, rest);
  });
}

const seed = seedOfRun();

const numbers = [
  "minLength",
  "maxLength",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "minItems",
  "maxItems",
  "minProperties",
  "maxProperties",
  "multipleOf",
];

/** Schemas below a schema whose place nothing but `properties`, `items`, `additionalProperties` and `anyOf` decides. */
function* nodes(schema: unknown): Generator<Record<string, unknown>> {
  if (typeof schema !== "object" || schema === null) return;
  const node = schema as Record<string, unknown>;
  yield node;
  for (const child of Object.values(node["properties"] ?? {})) yield* nodes(child);
  for (const child of [node["items"], node["additionalProperties"], ...((node["anyOf"] ?? []) as unknown[])])
    yield* nodes(child);
}

/** Changes one thing somewhere in a schema, as people do between versions. */
function tweak(schema: JSONSchema, place: number, way: number, by: number): JSONSchema {
  const copy = structuredClone(schema) as Record<string, unknown>;
  const all = [...nodes(copy)];
  const node = all[place % all.length]!;
  const keywords = Object.keys(node).filter((name) => !(node === copy && name === "type"));
  const keyword = keywords[way % Math.max(1, keywords.length)];
  if (keyword === undefined) node["maxLength"] = 3;
  else if (numbers.includes(keyword))
    node[keyword] = Math.max(keyword === "multipleOf" ? 1 : 0, (node[keyword] as number) + by);
  else if (keyword === "enum")
    node["enum"] =
      by > 0
        ? [...(node["enum"] as unknown[]), `new ${by}`]
        : (node["enum"] as unknown[])
            .slice(0, -1)
            .concat((node["enum"] as unknown[]).length === 1 ? ["x"] : []);
  else if (keyword === "required" && by < 0)
    node["required"] = (node["required"] as string[]).filter((name) => ["id", "at"].includes(name));
  else if (keyword === "required")
    node["required"] = [
      ...new Set([...(node["required"] as string[]), ...Object.keys(node["properties"] ?? {})]),
    ].sort();
  else if (keyword === "type" && by > 0)
    node["type"] = node["type"] === "integer" ? "number" : [...new Set([node["type"], "null"].flat())];
  else if (keyword === "type")
    node["type"] = node["type"] === "number" ? "integer" : [node["type"]].flat()[0];
  else if (keyword === "decimal")
    node["decimal"] = {
      ...(node["decimal"] as object),
      precision: Math.max(
        (node["decimal"] as DecimalRule).scale,
        1,
        (node["decimal"] as DecimalRule).precision + by,
      ),
    };
  else if (keyword === "additionalProperties") node["additionalProperties"] = by > 0;
  else if (keyword !== "properties" && by > 0) delete node[keyword];
  else if (keyword === "properties")
    delete (node["properties"] as Record<string, unknown>)[
      Object.keys(node["properties"] as object).find((name) => name !== "id" && name !== "at") ?? ""
    ];
  return copy;
}

const step = fc.tuple(fc.nat({ max: 30 }), fc.nat({ max: 12 }), fc.constantFrom(-2, -1, 1, 2));
const pairs = fc
  .tuple(contractArbitrary(), step, fc.option(step))
  .map(([{ schema }, one, two]) => {
    const once = tweak(schema, ...one);
    return { before: schema, after: two === null ? once : tweak(once, ...two) };
  })
  // Ajv in its strict mode refuses some of what comes out, such as bounds that exclude each other by type.
  .filter(({ after }) => {
    try {
      validator({ schema: after });
      return true;
    } catch {
      return false;
    }
  });

test(`Ajv finds no record that a verdict is wrong about (SEED=${seed})`, () => {
  let judged = 0;
  fc.assert(
    fc.property(
      pairs.chain(({ before, after }) =>
        fc.tuple(
          fc.constant({ before, after }),
          fc.array(instanceArbitrary(before), { minLength: 8, maxLength: 8 }),
          fc.array(instanceArbitrary(after), { minLength: 8, maxLength: 8 }),
        ),
      ),
      ([{ before, after }, olds, news]) => {
        const { backward, forward } = compatibility(before, after);
        const [old, now] = [validator({ schema: before }), validator({ schema: after })];
        const judge = (
          texts: readonly string[],
          mine: typeof old,
          other: typeof old,
          own: JSONSchema,
        ): void => {
          for (const text of texts) {
            const record: unknown = JSON.parse(text);
            if (mine(record).length > 0 || hasUndeclared(record, own)) continue;
            judged++;
            expect(other(record)).toEqual([]);
          }
        };
        if (backward) judge(olds, old, now, before);
        if (forward) judge(news, now, old, after);
      },
    ),
    { numRuns: 800, seed },
  );
  expect(judged).toBeGreaterThan(150);
});
