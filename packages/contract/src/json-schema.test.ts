import { toStandardJsonSchema } from "@valibot/to-json-schema";
import { type } from "arktype";
import * as v from "valibot";
import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { Type, WeirError, contract, decimal, jsonSchemaOf, timestamp, validator } from "./index.ts";
import type { Contract, Infer } from "./index.ts";

const head = { version: "1.0.0", owner: "growth", id: "id", time: "at" } as const;

const good = { id: "1", at: "2026-01-02T03:04:05Z", amount: 3, plan: "pro", note: null, tags: ["a"] };
const bad = { id: 1, at: "yesterday", amount: 3.5, plan: "gold", note: 1, tags: [1] };
const badPointers = ["/amount", "/at", "/id", "/note", "/plan", "/tags/0"];

function expectSameJudgement(made: Contract): void {
  expect(validator(made)(good)).toEqual([]);
  expect(validator(made)({ ...good, more: 1 })).toEqual([]);
  const pointers = new Set(validator(made)(bad).map((violation) => violation.pointer));
  expect([...pointers].sort()).toEqual(badPointers);
}

describe("every schema language makes the same contract", () => {
  test("TypeBox", () => {
    const made = contract("purchase", {
      ...head,
      fields: Type.Object({
        id: Type.String(),
        at: timestamp(),
        amount: Type.Integer(),
        plan: Type.Union([Type.Literal("free"), Type.Literal("pro")]),
        note: Type.Union([Type.String(), Type.Null()]),
        tags: Type.Optional(Type.Array(Type.String())),
      }),
    });
    expectTypeOf<Infer<typeof made>>().toEqualTypeOf<{
      id: string;
      at: string;
      amount: number;
      plan: "free" | "pro";
      note: string | null;
      tags?: string[];
    }>();
    expectSameJudgement(made);
  });

  test("plain JSON Schema, whose literals carry the type", () => {
    const made = contract("purchase", {
      ...head,
      fields: {
        $schema: "https://json-schema.org/draft/2020-12/schema",
        type: "object",
        required: ["id", "at"],
        properties: {
          id: { type: "string" },
          at: { type: "string", format: "date-time" },
          amount: { type: "integer" },
          plan: { enum: ["free", "pro"] },
          note: { type: ["string", "null"] },
          tags: { type: "array", items: { type: "string" } },
        },
      },
    });
    expectTypeOf<Infer<typeof made>["id"]>().toEqualTypeOf<string>();
    expectTypeOf<Infer<typeof made>["plan"]>().toEqualTypeOf<"free" | "pro" | undefined>();
    expectSameJudgement(made);
  });

  test("Zod 4", () => {
    const made = contract("purchase", {
      ...head,
      fields: z.object({
        id: z.string(),
        at: z.iso.datetime(),
        amount: z.int(),
        plan: z.enum(["free", "pro"]),
        note: z.string().nullable(),
        tags: z.array(z.string()).optional(),
      }),
    });
    expectTypeOf<Infer<typeof made>["plan"]>().toEqualTypeOf<"free" | "pro">();
    expectTypeOf<Infer<typeof made>["note"]>().toEqualTypeOf<string | null>();
    expectSameJudgement(made);
  });

  test("Valibot", () => {
    const made = contract("purchase", {
      ...head,
      fields: toStandardJsonSchema(
        v.object({
          id: v.string(),
          at: v.pipe(v.string(), v.isoTimestamp()),
          amount: v.pipe(v.number(), v.integer()),
          plan: v.picklist(["free", "pro"]),
          note: v.nullable(v.string()),
          tags: v.optional(v.array(v.string())),
        }),
      ),
    });
    expectTypeOf<Infer<typeof made>["plan"]>().toEqualTypeOf<"free" | "pro">();
    expectSameJudgement(made);
  });

  test("ArkType", () => {
    const made = contract("purchase", {
      ...head,
      fields: type({
        id: "string",
        at: type("string").configure({ format: "date-time" }),
        amount: "number.integer",
        plan: "'free' | 'pro'",
        note: "string | null",
        "tags?": "string[]",
      }),
    });
    expectTypeOf<Infer<typeof made>["plan"]>().toEqualTypeOf<"free" | "pro">();
    expectSameJudgement(made);
  });
});

describe("jsonSchemaOf", () => {
  test("takes the input side of a schema that transforms", () => {
    const schema = z.object({ n: z.string().transform(Number), d: z.string().default("x") });
    expect(jsonSchemaOf(schema)).toMatchObject({ properties: { n: { type: "string" } }, required: ["n"] });
  });

  test("keeps the pattern of a format only Zod knows, and keeps such a format that has none", () => {
    const { properties } = jsonSchemaOf(z.object({ a: z.cuid(), b: z.jwt(), c: z.email() }));
    expect(properties?.["a"]).toEqual({ type: "string", pattern: "^[cC][0-9a-z]{6,}$" });
    expect(properties?.["b"]).toEqual({ type: "string", format: "jwt" });
    expect(properties?.["c"]).toMatchObject({ format: "email" });
  });

  test("writes TypeBox tuples and patterns as draft 2020-12 does", () => {
    expect(jsonSchemaOf(Type.Tuple([Type.String(), Type.Number()]))).toEqual({
      type: "array",
      prefixItems: [{ type: "string" }, { type: "number" }],
      items: false,
      minItems: 2,
    });
    expect(jsonSchemaOf(Type.String({ pattern: /^a\/b$/u }))).toEqual({ type: "string", pattern: "^a\\/b$" });
  });

  test("is a copy: what happens to the original later changes nothing", () => {
    const original = { type: "object", properties: { a: { type: "string" } } };
    const copy = jsonSchemaOf(original);
    original.properties.a.type = "number";
    expect(copy.properties?.["a"]).toEqual({ type: "string" });
  });

  const cyclic: Record<string, unknown> = { type: "object" };
  cyclic["properties"] = { self: cyclic };
  const refused: [string, unknown, RegExp][] = [
    ["nothing", undefined, /A schema is an object/],
    ["null", null, /A schema is an object/],
    ["a boolean schema", true, /A schema is an object/],
    ["a list", [], /A schema is an object/],
    ["a function", () => ({}), /A function is not a schema/],
    ["a Valibot schema as it is", v.object({}), /toStandardJsonSchema/],
    [
      "what a library cannot say",
      z.object({ when: z.date() }),
      /zod cannot say this schema as JSON Schema: .*Date/,
    ],
    ["what ArkType cannot say", type({ when: "Date" }), /arktype cannot say this schema as JSON Schema/],
    ["ArkType's own code", type({ n: type("string").narrow((s) => s.length > 2) }), /predicate/],
    [
      "Zod's own code",
      z.object({ s: z.string().refine((s) => s.length > 2) }),
      /fields\/properties\/s: refine, superRefine and check run code/,
    ],
    [
      "Valibot's own code",
      toStandardJsonSchema(
        v.pipe(
          v.string(),
          v.check((s) => s.length > 2),
        ),
      ),
      /valibot cannot say/,
    ],
    [
      "TypeBox's own code",
      Type.Object({ s: Type.Refine(Type.String(), (s) => s.length > 2) }),
      /fields\/properties\/s: Type.Refine runs code/,
    ],
    [
      "TypeBox's codecs",
      Type.Decode(Type.String(), (s) => Number(s)),
      /Type.Decode and Type.Encode run code/,
    ],
    ["a cycle", cyclic, /at most 100 levels deep/],
    ["too much", { enum: Array.from({ length: 50_001 }, (_, i) => i) }, /at most 50000 values/],
    ["NaN", { minimum: Number.NaN }, /fields\/minimum: NaN is not a JSON number/],
    ["an inexact bigint", { minimum: 2n ** 53n + 1n }, /9007199254740993 has no exact double/],
    ["a flag", { pattern: /a/i }, /patterns have no flags/],
    ["a date", { default: new Date(0) }, /Only plain objects are JSON/],
    ["a symbol", { default: Symbol("x") }, /symbol is not JSON/],
    [
      "a standard schema that lies",
      { "~standard": { vendor: "v", jsonSchema: { input: () => 1 } } },
      /v gives no JSON Schema object/,
    ],
  ];
  test.each(refused)("refuses %s", (_, input, message) => {
    expect(() => jsonSchemaOf(input)).toThrowError(WeirError);
    expect(() => jsonSchemaOf(input)).toThrowError(message);
  });

  test("keeps the error of the library as the cause", () => {
    try {
      contract("x", { ...head, fields: z.object({ id: z.string(), at: z.string(), when: z.date() }) });
      expect.unreachable();
    } catch (error) {
      expect((error as WeirError).where).toBe("contract x");
      expect((error as WeirError).cause).toBeInstanceOf(Error);
    }
  });

  test("an exact bigint is a number", () => {
    expect(jsonSchemaOf({ minimum: 10n })).toEqual({ minimum: 10 });
  });

  test("decimal is JSON Schema with a keyword", () => {
    expect(
      jsonSchemaOf(decimal({ precision: 12, scale: 2, maximum: "9.5", description: "In euros." })),
    ).toEqual({
      type: ["string", "number"],
      decimal: { precision: 12, scale: 2, maximum: "9.5" },
      description: "In euros.",
    });
  });
});
