import { Type, contract, date, decimal, nullable, timestamp, uuid, validator } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { caseContract, caseRecord, caseTables, contractArbitrary, instanceArbitrary } from "@weir/testkit";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { SqlJudge } from "./judge.fixture.ts";

let judge: SqlJudge;
beforeAll(async () => {
  judge = await SqlJudge.open();
});

/** Texts that SQL accepts and Ajv does not. There must be none: such a record would be loaded unseen. */
async function wronglyAccepted(contract: Contract, texts: readonly string[]): Promise<string[]> {
  const verdicts = await judge.verdicts(contract, texts);
  const ajv = validator(contract);
  return texts.filter((text, i) => verdicts[i] === true && ajv(JSON.parse(text)).length > 0);
}

describe("what SQL accepts, Ajv accepts", () => {
  test.each(caseTables.map((table) => [table.name, table] as const))("%s", async (_, table) => {
    const contract = caseContract(table);
    const texts = table.cases.map((item, i) => caseRecord(String(i), item));
    expect(await wronglyAccepted(contract, texts)).toEqual([]);
  });

  test.each(["expressible", "any"] as const)("%s schemas", async (schemas) => {
    const samples = contractArbitrary({ schemas }).chain((contract) =>
      fc.record({
        contract: fc.constant(contract),
        texts: fc.array(instanceArbitrary(contract.schema), { minLength: 25, maxLength: 40 }),
      }),
    );
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(samples, async ({ contract, texts }) => {
        expect(await wronglyAccepted(contract, texts)).toEqual([]);
        accepted += (await judge.verdicts(contract, texts)).filter(Boolean).length;
      }),
      { numRuns: 150 },
    );
    // Accepting nothing would be sound as well.
    expect(accepted).toBeGreaterThan(50);
  });
});

/** A contract with the field `f`, which is optional. */
const withField = (f: object): Contract =>
  contract("one", {
    version: "1.0.0",
    owner: "tests",
    id: "id",
    time: "at",
    fields: {
      type: "object",
      required: ["id", "at"],
      properties: { id: { type: "string" }, at: { type: "string", format: "date-time" }, f },
    },
  });

const record = (f: string): string => `{"id":"1","at":"2026-01-01T00:00:00Z","f":${f}}`;

describe("schemas that say more than their type", () => {
  const rejected: readonly [string, object, string][] = [
    ["type null", { type: "null" }, "1"],
    ["bounds of a decimal", decimal({ precision: 12, scale: 2, minimum: 0 }), '"-5.00"'],
    ["bounds finer than the scale", decimal({ precision: 4, scale: 1, maximum: "0.55" }), '"0.6"'],
    ["an integer that rounds up to more digits", decimal({ precision: 16, scale: 0 }), "9999999999999999"],
    ["a constant beside null", { type: ["string", "null"], const: "a" }, "null"],
    ["a boolean constant beside null", { type: ["boolean", "null"], const: true }, "null"],
    ["not beside null", { type: ["string", "null"], not: { type: "null" } }, "null"],
    ["no value at all", { not: {} }, "null"],
    [
      "a required member that is not declared",
      { type: "object", properties: { a: { type: "string" } }, required: ["b"] },
      '{"a":"x"}',
    ],
    [
      "no members but those that match",
      { type: "object", patternProperties: { "^.*$": { type: "integer" } }, additionalProperties: false },
      String.raw`{"a\nb":1}`,
    ],
    ["a value of another type in a list", { type: "array", items: { type: "string" } }, "5"],
    [
      "a value of another type in a map",
      { type: "object", additionalProperties: { type: "integer" } },
      "[1]",
    ],
    ["an integer with wide bounds", { type: "integer", minimum: 0, maximum: 1e300 }, "1.5"],
  ];

  test.each(rejected)("%s", async (_, schema, value) => {
    const contract = withField(schema);
    expect(validator(contract)(JSON.parse(record(value))), "the case is wrong").not.toEqual([]);
    expect(await judge.verdicts(contract, [record(value)])).toEqual([false]);
  });

  test("a contract that allows no other members does not allow `type`", async () => {
    const closed = contract("one", {
      version: "1.0.0",
      owner: "tests",
      id: "id",
      time: "at",
      fields: Type.Object({ id: Type.String(), at: timestamp() }, { additionalProperties: false }),
    });
    const texts = [
      '{"id":"1","at":"2026-01-01T00:00:00Z"}',
      '{"id":"1","at":"2026-01-01T00:00:00Z","type":"one"}',
    ];
    expect(await judge.verdicts(closed, texts)).toEqual([true, false]);
  });
});

/** What would be slow if it went to Ajv, record by record. */
describe("what SQL judges by itself", () => {
  const accepted: readonly [string, object, readonly string[]][] = [
    ["strings", Type.String(), ['"a"', '""', String.raw`"\u0000😀"`]],
    ["lengths", Type.String({ minLength: 2, maxLength: 2 }), ['"ab"', '"😀😀"']],
    ["patterns", Type.String({ pattern: "^[a-z]{2}-\\d+$" }), ['"ab-12"']],
    ["enumerations", Type.Enum(["a", "it's"]), ['"a"', `"it's"`]],
    ["constants", Type.Literal("a"), ['"a"']],
    ["uuids", uuid(), ['"0190a5a5-58f0-7000-8000-00000000000A"']],
    ["emails", Type.String({ format: "email" }), ['"a.b@example.com"']],
    ["integers", Type.Integer(), ["0", "-5", "9007199254740991"]],
    ["numbers", Type.Number({ minimum: 0 }), ["0", "1.5", "1e300", "123456789012345678901234567890"]],
    ["decimals", decimal({ precision: 12, scale: 2, minimum: 0 }), ['"19.90"', "19.9", "0", '"9999999999"']],
    ["booleans", Type.Boolean(), ["true", "false"]],
    ["timestamps", timestamp(), ['"2026-01-01T00:00:00.123456+05:30"', '"1969-12-31T23:59:59Z"']],
    ["dates", date(), ['"2024-02-29"']],
    ["lists", Type.Array(Type.Integer(), { maxItems: 2 }), ["[]", "[1,2]"]],
    ["maps", Type.Record(Type.String(), Type.Number()), ["{}", '{"a":1.5}']],
    ["objects", Type.Object({ city: Type.String(), zip: Type.Optional(Type.String()) }), ['{"city":"B"}']],
    ["null", nullable(Type.String()), ["null", '"a"']],
    ["anything", Type.Unknown(), ["null", "1", '{"a":[]}']],
  ];

  test.each(accepted)("%s", async (_, schema, values) => {
    const texts = values.map((value) => record(value));
    expect(await judge.verdicts(withField(schema), texts)).toEqual(values.map(() => true));
  });

  test("members that the contract does not declare, and none", async () => {
    const contract = withField(Type.String());
    const bare = '{"id":"1","at":"2026-01-01T00:00:00Z"}';
    const other = '{"id":"1","at":"2026-01-01T00:00:00Z","type":"one","more":{"a":null}}';
    expect(await judge.verdicts(contract, [bare, other])).toEqual([true, true]);
  });
});
