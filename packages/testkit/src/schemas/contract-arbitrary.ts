/** Random contracts. */
import { contract } from "@weir/contract";
import type { Contract, JSONSchema } from "@weir/contract";
import * as fc from "fast-check";
import { fieldSchema, propertiesSchema, sharedDefinitions } from "./field-schema.ts";

export interface ContractOptions {
  /** "expressible": only what SQL can judge by itself. "any": everything a contract may say. Default: both, 3 to 2. */
  readonly schemas?: "expressible" | "any";
  /** Most fields beside id and time; default 6. */
  readonly maxFields?: number;
}

const idSchemas: readonly JSONSchema[] = [
  { type: "string" },
  { type: "string", minLength: 1, maxLength: 64 },
  { type: "string", format: "uuid" },
  { type: "string", pattern: "^[a-z0-9-]+$" },
  { type: "integer" },
  { type: "integer", minimum: 1 },
];

/**
 * Contracts named `generated`, each with the fields `id` and `at` and up to `maxFields` others of any kind. Everything that
 * `contract` accepts can come out of it, weighted to what SQL can judge.
 */
export function contractArbitrary(options: ContractOptions = {}): fc.Arbitrary<Contract> {
  const maxFields = options.maxFields ?? 6;
  const expressible = schemaArbitrary(false, maxFields);
  const any = schemaArbitrary(true, maxFields);
  const schema =
    options.schemas === "expressible"
      ? expressible
      : options.schemas === "any"
        ? any
        : fc.oneof({ weight: 3, arbitrary: expressible }, { weight: 2, arbitrary: any });
  return schema.map((fields: object) =>
    contract("generated", { version: "1.0.0", owner: "testkit", id: "id", time: "at", fields }),
  );
}

/** Schemas as users write them, before they become effective. */
export function schemaArbitrary(odd: boolean, maxFields: number): fc.Arbitrary<JSONSchema> {
  const roots: JSONSchema[] = [{}, {}, {}, { additionalProperties: false }];
  if (odd) {
    roots.push(
      { additionalProperties: { type: "string" } },
      { unevaluatedProperties: false },
      { maxProperties: 4 },
      { patternProperties: { "^x": { type: "integer" } } },
      { propertyNames: { maxLength: 8 } },
      { dependentRequired: { sku: ["price"] } },
      { anyOf: [{ required: ["sku"] }, { required: ["price"] }] },
    );
  }
  return fc
    .record({
      id: fc.constantFrom(...idSchemas),
      fields: propertiesSchema(fieldSchema({ depth: 2, odd }), maxFields),
      root: fc.constantFrom(...roots),
    })
    .map(({ id, fields, root }) => {
      const others = Object.entries(fields.properties ?? {}).filter(
        ([name]) => !["id", "at"].includes(name.toLowerCase()),
      );
      const names = new Set(others.map(([name]) => name));
      const required = (fields.required ?? []).filter((name) => names.has(name));
      return {
        type: "object",
        ...root,
        required: ["id", "at", ...required],
        properties: { id, at: { type: "string", format: "date-time" }, ...Object.fromEntries(others) },
        ...(odd ? { $defs: sharedDefinitions } : {}),
      };
    });
}
