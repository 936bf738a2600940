import { describe, expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import {
  Type,
  WeirError,
  contract,
  contractHash,
  date,
  decimal,
  describeContract,
  nullable,
  timestamp,
  uuid,
  validator,
} from "./index.ts";
import type { Contract, ContractSpec, Infer } from "./index.ts";

const fields = Type.Object({
  event_id: uuid(),
  anonymous_id: nullable(Type.String()),
  occurred_at: timestamp(),
  day: Type.Optional(date()),
  price: Type.Optional(decimal({ precision: 10, scale: 2, minimum: 0 })),
});

const head = { version: "1.0.0", owner: "growth", id: "event_id", time: "occurred_at" } as const;

const record = {
  event_id: "0190a5a5-58f0-7000-8000-000000000000",
  anonymous_id: null,
  occurred_at: "2026-01-02T03:04:05Z",
};

/** The lines of the contract_invalid error that a definition throws. */
function problemsOf(define: () => unknown): string[] {
  try {
    define();
  } catch (error) {
    expect(error).toBeInstanceOf(WeirError);
    expect((error as WeirError).code).toBe("contract_invalid");
    return (error as WeirError).message.split("\n  ").slice(1);
  }
  throw new Error("The contract was accepted.");
}

/** The problems of a contract whose schema is a plain one with the given properties and keywords. */
function schemaProblems(properties: object, keywords: object = {}): string[] {
  const schema: object = {
    type: "object",
    required: ["id", "at"],
    properties: { id: { type: "string" }, at: { type: "string", format: "date-time" }, ...properties },
    ...keywords,
  };
  return problemsOf(() => contract("c", { ...head, id: "id", time: "at", fields: schema }));
}

describe("a contract", () => {
  const made = contract("product_viewed", {
    ...head,
    description: "Somebody looked at a product.",
    key: "anonymous_id",
    aliases: ["Product Viewed", "shop.product.viewed"],
    fields,
  });

  test("is frozen plain data", () => {
    expect(made).toMatchObject({
      name: "product_viewed",
      version: "1.0.0",
      owner: "growth",
      id: "event_id",
      key: "anonymous_id",
      time: "occurred_at",
      latenessMs: 86_400_000,
      aliases: ["Product Viewed", "shop.product.viewed"],
    });
    expect(structuredClone(made)).toEqual(made);
    expect(JSON.parse(JSON.stringify(made))).toEqual(made);
    expect(Object.isFrozen(made)).toBe(true);
    expect(Object.isFrozen(made.schema.properties?.["price"])).toBe(true);
  });

  test("judges records", () => {
    expect(validator(made)({ ...record, price: "12.50", day: "2024-02-29", unknown: {} })).toEqual([]);
    expect(validator(made)({ ...record, price: -1, day: "2023-02-29" }).map((v) => v.pointer)).toEqual([
      "/day",
      "/price",
    ]);
  });

  test("takes an id of integers, a lateness in milliseconds, and no key", () => {
    const other = contract("o", {
      ...head,
      id: "n",
      time: "at",
      lateness: 0,
      fields: Type.Object({ n: Type.Integer(), at: timestamp() }),
    });
    expect(other.latenessMs).toBe(0);
    expect("key" in other).toBe(false);
  });

  test("describes itself with its hash and the draft of its schema", () => {
    const description = describeContract(made);
    expect(description).toMatchObject({
      name: "product_viewed",
      description: "Somebody looked at a product.",
      key: "anonymous_id",
    });
    expect(description.schema.$schema).toBe("https://json-schema.org/draft/2020-12/schema");
    expect(description.schema.properties).toEqual(made.schema.properties);
    expect(description.hash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(JSON.stringify(description))).toEqual(description);
  });

  test("has a hash that follows the definition, not the order it is written in", () => {
    const hash = (spec: Partial<ContractSpec<typeof fields>>): string =>
      contractHash(contract("product_viewed", { ...head, fields, ...spec }));
    const reversed = Object.fromEntries(Object.entries(fields.properties).toReversed());
    expect(hash({ fields: Type.Object(reversed) as unknown as typeof fields })).toBe(hash({}));
    expect(hash({ lateness: "24h" })).toBe(hash({}));
    const others = [
      { lateness: "1h" },
      { version: "1.0.1" },
      { owner: "x" },
      { key: "event_id" },
      { aliases: ["a"] },
      { description: "x" },
    ] as const;
    expect(new Set([hash({}), ...others.map(hash)]).size).toBe(others.length + 1);
    // The same text on every machine and in every release: stored hashes are compared with it.
    expect(
      contractHash(
        contract("c", {
          ...head,
          fields: Type.Object({ event_id: Type.String(), occurred_at: timestamp() }),
        }),
      ),
    ).toBe("885063e6e177b88b230c74f964c7c0f9d5b783060cc8b810dc265ee13c7d421c");
  });
});

describe("types", () => {
  test("the record type follows the fields", () => {
    const made = contract("c", { ...head, fields });
    expectTypeOf<Infer<typeof made>>().toEqualTypeOf<{
      event_id: string;
      anonymous_id: string | null;
      occurred_at: string;
      day?: string;
      price?: string | number;
    }>();
    expectTypeOf(made).toExtend<Contract>();
    expectTypeOf<Infer<Contract>>().toEqualTypeOf<unknown>();
  });

  test("id, key and time are names of fields that can be it", () => {
    const all = Type.Object({
      id: Type.String(),
      number: Type.Integer(),
      at: timestamp(),
      flag: Type.Boolean(),
      price: decimal({ precision: 9, scale: 2 }),
      maybe: Type.Optional(Type.String()),
      empty: nullable(Type.String()),
      list: Type.Array(Type.String()),
    });
    type Spec = ContractSpec<typeof all>;
    expectTypeOf<Spec["id"]>().toEqualTypeOf<"id" | "number" | "at">();
    expectTypeOf<Spec["time"]>().toEqualTypeOf<"id" | "at">();
    expectTypeOf<NonNullable<Spec["key"]>>().toEqualTypeOf<"id" | "number" | "at" | "maybe" | "empty">();
    // @ts-expect-error there is no such field
    expect(() => contract("c", { ...head, id: "nope", time: "at", fields: all })).toThrowError(
      /There is no field "nope"/,
    );
    // @ts-expect-error an id is required
    expect(() => contract("c", { ...head, id: "maybe", time: "at", fields: all })).toThrowError(
      /"maybe" cannot be the id/,
    );
    // @ts-expect-error a time is a string
    expect(() => contract("c", { ...head, id: "id", time: "number", fields: all })).toThrowError(
      /"number" cannot be the time/,
    );
    // @ts-expect-error a key is a scalar
    expect(() => contract("c", { ...head, id: "id", time: "at", key: "list", fields: all })).toThrowError(
      /"list" cannot be the key/,
    );
    // The type cannot tell a string from a time; the definition can.
    expect(() => contract("c", { ...head, id: "id", time: "id", fields: all })).toThrowError(
      /"id" cannot be the time/,
    );
    expect(contract("c", { ...head, id: "number", time: "at", key: "empty", fields: all }).key).toBe("empty");
  });

  test("also where the fields are Zod's, or a JSON Schema literal", () => {
    const fields = z.object({ id: z.string(), at: z.iso.datetime(), n: z.number().optional() });
    expectTypeOf<ContractSpec<typeof fields>["id"]>().toEqualTypeOf<"id" | "at">();
    // @ts-expect-error there is no such field
    expect(() => contract("c", { ...head, id: "x", time: "at", fields })).toThrowError(WeirError);
    // A schema whose type is not known leaves the names to the definition.
    expectTypeOf<ContractSpec<object>["id"]>().toEqualTypeOf<string>();
  });
});

describe("a contract that is not valid", () => {
  test("tells everything that is wrong with it at once", () => {
    const wrong: object = {
      type: "object",
      properties: { x: { type: "string", format: "nope", unknown: 1 } },
    };
    const lines = problemsOf(() =>
      contract("Bad Name", {
        version: "1",
        owner: " ",
        id: "x",
        time: "x",
        aliases: ["", "a", "a"],
        lateness: "-1h",
        fields: wrong,
      }),
    );
    expect(lines).toEqual([
      'name: "Bad Name" is not a name: a small letter, then small letters, digits and _, at most 63.',
      'version: "1" is not a semantic version such as "1.0.0".',
      "owner: Name the team or person who answers for these records.",
      'aliases: "" is not an alias: 1 to 200 characters, no control characters.',
      'aliases: "a" names this contract twice.',
      expect.stringMatching(/^lateness: "-1h" is not a duration. Write whole milliseconds/),
      'fields/properties/x: "unknown" is not a keyword of JSON Schema draft 2020-12.',
      expect.stringMatching(
        /^fields\/properties\/x\/format: "nope" is not a format that can be checked; those are date-time, /,
      ),
    ]);
  });

  test("names itself and every role its fields cannot play", () => {
    const onlyA: object = { type: "object", properties: { a: { type: "string" } } };
    try {
      contract("orders", {
        ...head,
        id: "a",
        time: "b",
        fields: onlyA,
      });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "contract_invalid", where: "contract orders" });
      expect((error as WeirError).message).toBe(
        "The contract orders is not valid:\n" +
          '  id: The field "a" cannot be the id: it must be a required string or integer.\n' +
          `  time: There is no field "b" in the schema's own properties; there are: "a".`,
      );
    }
  });

  const names = ["", "A", "1a", "_a", "a-b", "a b", "é", "a".repeat(64), "a;drop table x", "a\n"];
  test.each(names)("cannot be named %j", (name) => {
    expect(problemsOf(() => contract(name, { ...head, fields }))[0]).toMatch(/^name: /);
  });

  const cases: [string, object, object, RegExp][] = [
    [
      "a name reserved for Weir",
      { _x: {} },
      {},
      /^fields\/properties\/_x: Names that start with _ are reserved/,
    ],
    ["an empty name", { "": {} }, {}, /^fields\/properties\/: A field needs a name/],
    ["a control character in a name", { "a\u0000": {} }, {}, /has no control characters/],
    ["a long name", { ["a".repeat(129)]: {} }, {}, /at most 128 characters/],
    [
      "names that differ in case",
      { ID: {} },
      {},
      /^fields\/properties\/ID: The name differs from "id" only in case/,
    ],
    [
      "nested names that differ in case",
      { o: { type: "object", properties: { a: {}, A: {} } } },
      {},
      /^fields\/properties\/o\/properties\/A: /,
    ],
    [
      "an unknown keyword",
      { x: { minLenght: 1 } },
      {},
      /^fields\/properties\/x: "minLenght" is not a keyword/,
    ],
    ["a keyword of another draft", { x: { items: {}, additionalItems: false } }, {}, /Write prefixItems/],
    [
      "a keyword of OpenAPI",
      { x: { type: "string", nullable: true } },
      {},
      /"nullable" is not a keyword.* Write type/,
    ],
    [
      "another draft",
      {},
      { $schema: "http://json-schema.org/draft-07/schema#" },
      /Only https:\/\/json-schema.org\/draft\/2020-12\/schema is read/,
    ],
    ["an unknown type", { x: { type: "text" } }, {}, /"text" is not a JSON Schema type/],
    [
      "an unknown format",
      { x: { type: "string", format: "iri" } },
      {},
      /"iri" is not a format that can be checked/,
    ],
    [
      "a format of OpenAPI that checks nothing",
      { x: { type: "string", format: "password" } },
      {},
      /"password" is not a format/,
    ],
    [
      "a pattern that is none",
      { x: { pattern: "(" } },
      {},
      /^fields\/properties\/x\/pattern: This is not a regular expression/,
    ],
    [
      "a pattern that could run for years",
      { x: { pattern: "^(?=a)(a+)+$" } },
      {},
      /^fields\/properties\/x\/pattern: .*must not nest/,
    ],
    ["a pattern for older engines", { x: { pattern: "a\\-b" } }, {}, /Unicode mode/],
    [
      "a pattern of names that is none",
      { x: { patternProperties: { "[": {} } } },
      {},
      /^fields\/properties\/x\/patternProperties\/\[: /,
    ],
    [
      "a bound of the wrong type",
      { x: { minLength: "1" } },
      {},
      /^fields\/properties\/x\/minLength: The schema must be integer/,
    ],
    [
      "a negative length",
      { x: { minLength: -1 } },
      {},
      /^fields\/properties\/x\/minLength: The schema must be >= 0/,
    ],
    ["required that is not a list", {}, { required: "id" }, /^fields\/required: The schema must be array/],
    [
      "an empty enum",
      { x: { enum: [] } },
      {},
      /^fields\/properties\/x\/enum: An enum without values accepts nothing/,
    ],
    ["else without if", { x: { else: {} } }, {}, /else has no effect without if/],
    ["if without then", { x: { if: {} } }, {}, /if has no effect without then or else/],
    [
      "minContains without contains",
      { x: { minContains: 1 } },
      {},
      /minContains has no effect without contains/,
    ],
    [
      "a field named __proto__",
      {},
      { properties: JSON.parse('{"id":{"type":"string"},"__proto__":{}}') as object },
      /cannot be used for a field/,
    ],
    [
      "a reference to elsewhere",
      { x: { $ref: "https://example.com/a.json" } },
      {},
      /is not in this schema. Nothing is fetched/,
    ],
    [
      "a reference to nothing",
      { x: { $ref: "#/$defs/nope" } },
      {},
      /"#\/\$defs\/nope" is not in this schema/,
    ],
    [
      "a reference to itself",
      { x: { $ref: "#/$defs/a" } },
      { $defs: { a: { $ref: "#/$defs/a" } } },
      /leads back to itself/,
    ],
    [
      "a round of references",
      { x: { $ref: "#/$defs/a" } },
      { $defs: { a: { allOf: [{ $ref: "#/$defs/b" }] }, b: { anyOf: [{ $ref: "#/$defs/a" }] } } },
      /leads back to itself/,
    ],
    [
      "a decimal without precision",
      { x: { type: "string", decimal: { scale: 2 } } },
      {},
      /precision is a whole number from 1 to 38/,
    ],
    [
      "a decimal too wide",
      { x: { type: "string", decimal: { precision: 39, scale: 2 } } },
      {},
      /precision is a whole number from 1 to 38/,
    ],
    [
      "a decimal with more scale than precision",
      { x: { decimal: { precision: 3, scale: 4 } } },
      {},
      /scale is a whole number from 0 to precision, which is 3/,
    ],
    [
      "a decimal bound that is none",
      { x: { decimal: { precision: 3, scale: 1, minimum: "1e2" } } },
      {},
      /^fields\/properties\/x\/decimal\/minimum: A bound is a decimal/,
    ],
    [
      "decimal bounds the wrong way round",
      { x: { decimal: { precision: 3, scale: 1, minimum: 2, maximum: "1.9" } } },
      {},
      /minimum is above maximum/,
    ],
    [
      "an unknown member of decimal",
      { x: { decimal: { precision: 3, scale: 1, step: 2 } } },
      {},
      /^fields\/properties\/x\/decimal\/step: decimal has no such member/,
    ],
    ["a root that is no object", {}, { type: "array" }, /the schema's type is "object"/],
    ["a root that may be no object", {}, { type: ["object", "null"] }, /the schema's type is "object"/],
  ];
  test.each(cases)("has %s", (_, properties, keywords, message) => {
    const lines = schemaProblems(properties, keywords);
    expect(
      lines.some((line) => message.test(line)),
      lines.join("\n"),
    ).toBe(true);
  });

  test("a recursive schema that goes into the record is valid", () => {
    const schema: object = {
      required: ["id", "at"],
      properties: {
        id: { type: "string" },
        at: { type: "string", format: "date-time" },
        tree: { $ref: "#/$defs/t" },
      },
      $defs: {
        t: {
          type: "object",
          properties: { l: { $ref: "#/$defs/t" }, r: { anyOf: [{ $ref: "#/$defs/t" }, { type: "null" }] } },
        },
      },
    };
    expect(contract("c", { ...head, id: "id", time: "at", fields: schema }).schema.type).toBe("object");
  });
});
