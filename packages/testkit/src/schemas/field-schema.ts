/** Random schemas of one field, over everything a contract may say. */
import type { JSONSchema, Subschema } from "@weir/contract";
import { schemaFormats } from "@weir/contract";
import * as fc from "fast-check";
import { fieldName, memberName } from "./names.ts";
import { commonPatterns, peculiarPatterns } from "./patterns.ts";

export interface FieldOptions {
  /** How many levels of arrays, objects and unions may follow. */
  readonly depth: number;
  /** Whether schemas may leave the part of JSON Schema that SQL can judge. */
  readonly odd: boolean;
}

type Schemas = fc.Arbitrary<JSONSchema>;

/** A record with some of the given members; the others are left out. */
function some<T extends object>(members: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  return fc.record(members, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>;
}

function ordered(pair: { low?: number; high?: number }): { low?: number; high?: number } {
  const { low, high } = pair;
  return low !== undefined && high !== undefined && low > high ? { low: high, high: low } : pair;
}

function range(low: keyof JSONSchema, high: keyof JSONSchema, value: fc.Arbitrary<number>): Schemas {
  return some<{ low: number; high: number }>({ low: value, high: value })
    .map(ordered)
    .map((pair) => ({
      ...(pair.low === undefined ? {} : { [low]: pair.low }),
      ...(pair.high === undefined ? {} : { [high]: pair.high }),
    }));
}

const merged = (...parts: Schemas[]): Schemas =>
  fc.tuple(...parts).map((list) => Object.assign({}, ...list) as JSONSchema);

const says = (schema: JSONSchema): Schemas => fc.constant(schema);

function maybe(schema: Schemas): Schemas {
  return fc.oneof(fc.constant({}), schema);
}

function stringSchema(odd: boolean): Schemas {
  const patterns = [...commonPatterns, ...(odd ? peculiarPatterns : [])].map(({ pattern }) => pattern);
  const listed = fc.uniqueArray(
    fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom("a", "b", "😀", "", "'")),
    {
      minLength: 1,
      maxLength: 4,
    },
  );
  return merged(
    says({ type: "string" }),
    fc.oneof(
      { weight: 3, arbitrary: range("minLength", "maxLength", fc.nat(8)) },
      { weight: 2, arbitrary: fc.constantFrom(...patterns).map((pattern) => ({ pattern })) },
      { weight: 2, arbitrary: fc.constantFrom(...schemaFormats).map((format) => ({ format })) },
      { weight: 1, arbitrary: listed.map((values) => ({ enum: values })) },
      { weight: 1, arbitrary: listed.map(([value = ""]) => ({ const: value })) },
    ),
    odd ? maybe(fc.constantFrom(...patterns).map((pattern) => ({ pattern }))) : says({}),
  );
}

function numberSchema(odd: boolean): Schemas {
  const small = fc.integer({ min: -20, max: 20 });
  const any = fc.oneof(
    small,
    small.map((n) => n / 8),
    fc.constantFrom(0.1, 1e21, -1e21, 2 ** 53, 2 ** 63, 5e-324, 1e300),
  );
  const steps = fc.constantFrom(1, 2, 5, 10, 0.5, 0.01, 0.1, 1e-7);
  return merged(
    fc.constantFrom<JSONSchema>({ type: "integer" }, { type: "number" }),
    fc.oneof(
      { weight: 2, arbitrary: says({}) },
      { weight: 3, arbitrary: range("minimum", "maximum", fc.oneof(small, any)) },
      { weight: 1, arbitrary: range("exclusiveMinimum", "exclusiveMaximum", fc.oneof(small, any)) },
      {
        weight: 1,
        arbitrary: fc.uniqueArray(small, { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
      },
      { weight: 1, arbitrary: any.map((value) => ({ const: value })) },
    ),
    odd ? maybe(steps.map((multipleOf) => ({ multipleOf }))) : says({}),
  );
}

function decimalSchema(): Schemas {
  const bound = fc.constantFrom("0", "-0.5", "0.01", "9.99", "100", "-100", "99999999999999999999.99");
  return fc
    .integer({ min: 1, max: 38 })
    .chain((precision) =>
      fc.record({
        precision: fc.constant(precision),
        scale: fc.nat(Math.min(precision, 20)),
        bounds: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, fc.tuple(bound), fc.tuple(bound, bound)),
      }),
    )
    .map(({ precision, scale, bounds }) => {
      const [minimum, maximum] = bounds.toSorted((a, b) => Number(a) - Number(b));
      return {
        type: ["string", "number"],
        decimal: {
          precision,
          scale,
          ...(minimum === undefined ? {} : { minimum }),
          ...(maximum === undefined ? {} : { maximum }),
        },
      };
    });
}

function scalarSchema(odd: boolean): Schemas {
  return fc.oneof(
    { weight: 5, arbitrary: stringSchema(odd) },
    { weight: 4, arbitrary: numberSchema(odd) },
    { weight: 3, arbitrary: decimalSchema() },
    {
      weight: 2,
      arbitrary: merged(says({ type: "boolean" }), maybe(fc.boolean().map((value) => ({ const: value })))),
    },
    { weight: 3, arbitrary: says({ type: "string", format: "date-time" }) },
    { weight: 2, arbitrary: says({ type: "string", format: "date" }) },
  );
}

/** `properties` and `required` of up to `maxFields` fields whose names differ in more than case. */
export function propertiesSchema(field: Schemas, maxFields: number): Schemas {
  const names = fc.uniqueArray(fieldName(), { maxLength: maxFields, selector: (name) => name.toLowerCase() });
  return names.chain((names) =>
    fc
      .record({
        schemas: fc.tuple(...names.map(() => field)),
        required: fc.subarray(names),
      })
      .map(({ schemas, required }) => ({
        properties: Object.fromEntries(names.map((name, index) => [name, schemas[index] ?? {}])),
        ...(required.length === 0 ? {} : { required }),
      })),
  );
}

function arraySchema(item: Schemas, odd: boolean): Schemas {
  const oddities = fc.oneof<Schemas[]>(
    says({ uniqueItems: true }),
    item.map((contains) => ({ contains })),
    merged(
      item.map((contains) => ({ contains })),
      range("minContains", "maxContains", fc.integer({ min: 1, max: 3 })),
    ),
    fc.array(item, { minLength: 1, maxLength: 3 }).map((prefixItems) => ({ prefixItems })),
    says({ prefixItems: [{ type: "string" }], unevaluatedItems: false }),
  );
  return merged(
    says({ type: "array" }),
    fc.oneof(
      { weight: 5, arbitrary: item.map((items) => ({ items })) },
      fc.boolean().map((items) => ({ items })),
      says({}),
    ),
    maybe(range("minItems", "maxItems", fc.nat(4))),
    odd ? maybe(oddities) : says({}),
  );
}

function objectSchema(field: Schemas, odd: boolean): Schemas {
  const oddities = fc.oneof<Schemas[]>(
    fc
      .tuple(fc.constantFrom("^a", "^.*$", "[0-9]", "."), field)
      .map(([pattern, schema]) => ({ patternProperties: { [pattern]: schema } })),
    fc
      .constantFrom<Subschema>({ maxLength: 3 }, { pattern: "^[a-z]" }, { enum: ["a", "sku"] }, false)
      .map((propertyNames) => ({ propertyNames })),
    range("minProperties", "maxProperties", fc.nat(4)),
    fc.tuple(fieldName(), fieldName()).map(([a, b]) => ({ dependentRequired: { [a]: [b] } })),
    fc
      .tuple(fieldName(), field)
      .map(([a, schema]) => ({ dependentSchemas: { [a]: { properties: { b: schema } } } })),
    says({ unevaluatedProperties: false }),
    memberName()
      .filter((name) => name !== "__proto__")
      .map((name) => ({ required: [name] })),
  );
  const fields = merged(
    says({ type: "object" }),
    propertiesSchema(field, 4),
    maybe(fc.boolean().map((additionalProperties) => ({ additionalProperties }))),
  );
  const map = merged(
    says({ type: "object" }),
    field.map((additionalProperties) => ({ additionalProperties })),
  );
  return merged(
    fc.oneof({ weight: 3, arbitrary: fields }, { weight: 2, arbitrary: map }, says({ type: "object" })),
    odd ? maybe(oddities) : says({}),
  );
}

/** Schemas that judge a value by other schemas, or by nothing; never by SQL. */
function compoundSchema(field: Schemas): Schemas {
  const two = fc.array(field, { minLength: 1, maxLength: 3 });
  return fc.oneof<Schemas[]>(
    two.map((anyOf) => ({ anyOf })),
    two.map((oneOf) => ({ oneOf })),
    two.map((allOf) => ({ allOf })),
    fc.tuple(field, field).map(([schema, not]) => ({ ...schema, not })),
    // oxlint-disable-next-line unicorn/no-thenable -- the keyword has this name; nobody awaits a schema
    fc.tuple(field, field, field).map(([condition, yes, no]) => ({ if: condition, then: yes, else: no })),
    fc
      .uniqueArray(
        fc.constantFrom(
          "string" as const,
          "number" as const,
          "boolean" as const,
          "object" as const,
          "array" as const,
          "null" as const,
        ),
        { minLength: 2, maxLength: 4 },
      )
      .map((type) => ({ type })),
    fc.jsonValue({ maxDepth: 1 }).map((value) => ({ const: value as null })),
    fc
      .array(fc.jsonValue({ maxDepth: 1 }), { minLength: 1, maxLength: 3 })
      .map((values) => ({ enum: values as null[] })),
    says({}),
    says({ not: {} }),
    says({ $ref: "#/$defs/tree" }),
    says({ $ref: "#/$defs/code" }),
  );
}

function nullableSchema(field: Schemas): Schemas {
  return fc.oneof<Schemas[]>(
    field.map((schema) => ({ anyOf: [schema, { type: "null" }] })),
    field.map((schema) =>
      typeof schema.type === "string" ? { ...schema, type: [schema.type, "null"] } : schema,
    ),
  );
}

/** A schema of one field. References in it lead to `sharedDefinitions`. */
export function fieldSchema(options: FieldOptions): Schemas {
  const { depth, odd } = options;
  const scalar = scalarSchema(odd);
  if (depth === 0) return scalar;
  const inner = fieldSchema({ depth: depth - 1, odd });
  return fc.oneof(
    { weight: 12, arbitrary: scalar },
    { weight: 3, arbitrary: nullableSchema(scalar) },
    { weight: 2, arbitrary: arraySchema(inner, odd) },
    { weight: 3, arbitrary: objectSchema(inner, odd) },
    { weight: 1, arbitrary: nullableSchema(inner) },
    { weight: odd ? 5 : 0, arbitrary: compoundSchema(inner) },
  );
}

/** Definitions that generated schemas refer to: one that recurses and one that does not. */
export const sharedDefinitions: Readonly<Record<string, JSONSchema>> = {
  tree: {
    type: "object",
    required: ["v"],
    properties: {
      v: { type: "integer" },
      l: { $ref: "#/$defs/tree" },
      r: { anyOf: [{ $ref: "#/$defs/tree" }, { type: "null" }] },
    },
  },
  code: { type: "string", minLength: 2, maxLength: 3 },
};
