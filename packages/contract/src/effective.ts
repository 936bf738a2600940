/**
 * The effective schema: one normal form for schemas that say the same thing in different words, so that whatever judges,
 * compiles or documents a contract meets one of them. Every rule but the integer bounds keeps the set of accepted records.
 */
import { canonicalDecimal } from "./decimal.ts";
import type { DecimalRule } from "./decimal.ts";
import { foldUnion, typeOfAll } from "./fold.ts";
import { mapChildren } from "./schema.ts";
import type { JSONSchema, SchemaType, Subschema } from "./schema.ts";

/** The greatest integer that every JSON reader keeps exact (RFC 7493 section 2.2). */
export const maxInteger = Number.MAX_SAFE_INTEGER;

/** Patterns that match every member name, or every one without a line break, which is what their authors mean. */
const anyName = new Set(["^.*$", ".*", "", "^", "^[\\s\\S]*$"]);

/**
 * The effective form of a checked schema:
 *
 * 1. The root says `type: "object"`; `$schema` is left out.
 * 2. `anyOf` or `oneOf` of a schema and null becomes that schema with null among its types (and in its enum).
 * 3. `anyOf` or `oneOf` of constants becomes one `enum`; an enum or const whose values share a type says so in `type`.
 * 4. `patternProperties` with one pattern that matches every name becomes `additionalProperties`.
 * 5. `propertyNames` that asks only for strings is left out; `additionalProperties: {}` is written `true`.
 * 6. `type` names each type once, null last, alone when it is one; `required` is sorted; bounds of `decimal` are texts.
 * 7. `integer` without a lower bound gets `minimum: -(2^53-1)`, without an upper one `maximum: 2^53-1`, except below
 *    `not`, `if`, `contains` and `propertyNames`, where a bound would widen what is accepted.
 */
export function effectiveSchema(schema: JSONSchema): JSONSchema {
  const { $schema: _, ...rest } = schema;
  return bounded(normal({ type: "object", ...rest }));
}

function normal(schema: JSONSchema): JSONSchema {
  let node = mapChildren(schema, (child) => (typeof child === "boolean" ? child : normal(child)));
  node = withOneType(foldUnion(node));
  node = withTypeOfValues(node);
  node = asMap(node);
  if (node.required !== undefined) node = { ...node, required: node.required.toSorted() };
  return node.decimal === undefined ? node : { ...node, decimal: withTextBounds(node.decimal) };
}

function withOneType(node: JSONSchema): JSONSchema {
  if (!Array.isArray(node.type)) return node;
  const named = new Set(node.type as readonly SchemaType[]);
  if (named.has("number")) named.delete("integer");
  const types: SchemaType[] = [...named].filter((type) => type !== "null");
  if (named.has("null")) types.push("null");
  const [first] = types;
  return first !== undefined && types.length === 1 ? { ...node, type: first } : { ...node, type: types };
}

function withTypeOfValues(node: JSONSchema): JSONSchema {
  if (node.type !== undefined) return node;
  const values = node.const === undefined ? node.enum : [node.const];
  const type = values === undefined ? undefined : typeOfAll(values);
  return type === undefined ? node : { type, ...node };
}

function asMap(node: JSONSchema): JSONSchema {
  const { patternProperties, propertyNames, additionalProperties, ...rest } = node;
  const [pattern, ...otherPatterns] = Object.entries(patternProperties ?? {});
  const isMap =
    pattern !== undefined &&
    otherPatterns.length === 0 &&
    anyName.has(pattern[0]) &&
    node.properties === undefined &&
    additionalProperties === undefined;
  const rule = isMap ? pattern[1] : additionalProperties;
  return {
    ...rest,
    ...(patternProperties === undefined || isMap ? {} : { patternProperties }),
    ...(propertyNames === undefined || asksForStringsOnly(propertyNames) ? {} : { propertyNames }),
    ...(rule === undefined ? {} : { additionalProperties: isEmpty(rule) ? true : rule }),
  };
}

function asksForStringsOnly(schema: Subschema): boolean {
  if (typeof schema === "boolean") return schema;
  return Object.keys(schema).every((keyword) => keyword === "type") && (schema.type ?? "string") === "string";
}

function isEmpty(schema: Subschema): boolean {
  return typeof schema === "object" && Object.keys(schema).length === 0;
}

function withTextBounds(rule: DecimalRule): DecimalRule {
  const minimum = canonicalDecimal(rule.minimum);
  const maximum = canonicalDecimal(rule.maximum);
  return {
    precision: rule.precision,
    scale: rule.scale,
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
}

const unbounded = new Set<string>(["not", "if", "contains", "propertyNames"]);

function bounded(schema: JSONSchema): JSONSchema {
  const node = mapChildren(schema, (child, keyword) =>
    typeof child === "boolean" || unbounded.has(keyword) ? child : bounded(child),
  );
  const types: readonly SchemaType[] = typeof node.type === "string" ? [node.type] : (node.type ?? []);
  if (!types.includes("integer")) return node;
  const hasMinimum = node.minimum !== undefined || node.exclusiveMinimum !== undefined;
  const hasMaximum = node.maximum !== undefined || node.exclusiveMaximum !== undefined;
  return {
    ...node,
    ...(hasMinimum ? {} : { minimum: -maxInteger }),
    ...(hasMaximum ? {} : { maximum: maxInteger }),
  };
}
