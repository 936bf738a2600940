/** The part of JSON Schema draft 2020-12 that contracts are written in, as tables: types, keywords, formats. */
import type { DecimalRule } from "./decimal.ts";
import type { Json } from "./json.ts";
import type { PiiTag } from "./privacy.ts";

export type SchemaType = "string" | "number" | "integer" | "boolean" | "object" | "array" | "null";

export const schemaTypes: readonly string[] = [
  "string",
  "number",
  "integer",
  "boolean",
  "object",
  "array",
  "null",
] satisfies SchemaType[];

/** A schema in a place where JSON Schema also allows `true` and `false`. */
export type Subschema = JSONSchema | boolean;

/** A draft 2020-12 schema, every keyword that a contract may use, and Weir's own `decimal` and `pii`. */
export interface JSONSchema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly $anchor?: string;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, Subschema>>;
  readonly $comment?: string;

  readonly type?: SchemaType | readonly SchemaType[];
  readonly enum?: readonly Json[];
  readonly const?: Json;

  readonly minLength?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
  readonly format?: string;

  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
  readonly decimal?: DecimalRule;

  readonly properties?: Readonly<Record<string, Subschema>>;
  readonly patternProperties?: Readonly<Record<string, Subschema>>;
  readonly additionalProperties?: Subschema;
  readonly unevaluatedProperties?: Subschema;
  readonly propertyNames?: Subschema;
  readonly required?: readonly string[];
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly dependentRequired?: Readonly<Record<string, readonly string[]>>;
  readonly dependentSchemas?: Readonly<Record<string, Subschema>>;

  readonly prefixItems?: readonly Subschema[];
  readonly items?: Subschema;
  readonly unevaluatedItems?: Subschema;
  readonly contains?: Subschema;
  readonly minContains?: number;
  readonly maxContains?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;

  readonly allOf?: readonly Subschema[];
  readonly anyOf?: readonly Subschema[];
  readonly oneOf?: readonly Subschema[];
  readonly not?: Subschema;
  readonly if?: Subschema;
  readonly then?: Subschema;
  readonly else?: Subschema;

  readonly title?: string;
  readonly description?: string;
  readonly default?: Json;
  readonly examples?: readonly Json[];
  readonly deprecated?: boolean;
  readonly readOnly?: boolean;
  readonly writeOnly?: boolean;
  readonly contentEncoding?: string;
  readonly contentMediaType?: string;
  readonly contentSchema?: Subschema;
  /** Weir's own: whether the value is personal, and what it is (see privacy.ts). */
  readonly pii?: PiiTag;
}

/** What a keyword holds: one subschema, a list or a map of them, a value that judges, or a note that judges nothing. */
export type KeywordKind = "schema" | "schemas" | "schemaMap" | "assertion" | "annotation";

/** Every keyword a contract may use. A keyword that is not here makes the contract invalid; none is ignored. */
export const schemaKeywords: Readonly<Record<keyof JSONSchema, KeywordKind>> = {
  $schema: "annotation",
  $id: "annotation",
  $anchor: "annotation",
  $ref: "assertion",
  $defs: "schemaMap",
  $comment: "annotation",
  type: "assertion",
  enum: "assertion",
  const: "assertion",
  minLength: "assertion",
  maxLength: "assertion",
  pattern: "assertion",
  format: "assertion",
  minimum: "assertion",
  maximum: "assertion",
  exclusiveMinimum: "assertion",
  exclusiveMaximum: "assertion",
  multipleOf: "assertion",
  decimal: "assertion",
  properties: "schemaMap",
  patternProperties: "schemaMap",
  additionalProperties: "schema",
  unevaluatedProperties: "schema",
  propertyNames: "schema",
  required: "assertion",
  minProperties: "assertion",
  maxProperties: "assertion",
  dependentRequired: "assertion",
  dependentSchemas: "schemaMap",
  prefixItems: "schemas",
  items: "schema",
  unevaluatedItems: "schema",
  contains: "schema",
  minContains: "assertion",
  maxContains: "assertion",
  minItems: "assertion",
  maxItems: "assertion",
  uniqueItems: "assertion",
  allOf: "schemas",
  anyOf: "schemas",
  oneOf: "schemas",
  not: "schema",
  if: "schema",
  // oxlint-disable-next-line unicorn/no-thenable -- the keyword has this name; nobody awaits the table
  then: "schema",
  else: "schema",
  title: "annotation",
  description: "annotation",
  default: "annotation",
  examples: "annotation",
  deprecated: "annotation",
  readOnly: "annotation",
  writeOnly: "annotation",
  contentEncoding: "annotation",
  contentMediaType: "annotation",
  contentSchema: "annotation",
  pii: "annotation",
};

/** What to write instead of keywords of other drafts and of OpenAPI. */
export const keywordsOfOthers: Readonly<Record<string, string>> = {
  definitions: "Write $defs.",
  dependencies: "Write dependentRequired or dependentSchemas.",
  additionalItems: "Write prefixItems for the tuple and items for the rest.",
  $recursiveRef: "Write $ref.",
  $dynamicRef: "Write $ref.",
  nullable: 'Write type: ["string", "null"] or nullable(...).',
  id: "Write $id.",
  discriminator: "Write oneOf, each branch with a const.",
};

/**
 * Every format a contract may use: those that draft 2020-12 (Validation, section 7.3) defines and Ajv asserts. The four
 * international ones (idn-email, idn-hostname, iri, iri-reference) are not among them, because nothing here could check them.
 */
export const schemaFormats = [
  "date-time",
  "date",
  "time",
  "duration",
  "email",
  "hostname",
  "ipv4",
  "ipv6",
  "uri",
  "uri-reference",
  "uri-template",
  "uuid",
  "json-pointer",
  "relative-json-pointer",
  "regex",
] as const;

export type SchemaFormat = (typeof schemaFormats)[number];

/** A subschema and where it stands below its parent. */
export interface ChildSchema {
  readonly keyword: keyof JSONSchema;
  readonly steps: readonly (string | number)[];
  readonly schema: unknown;
}

/** The direct subschemas of a schema, in the order written; unchecked, as the schema may still be wrong. */
export function childSchemas(schema: Readonly<Record<string, unknown>>): ChildSchema[] {
  const children: ChildSchema[] = [];
  for (const [name, value] of Object.entries(schema)) {
    const kind = Object.hasOwn(schemaKeywords, name) ? schemaKeywords[name as keyof JSONSchema] : undefined;
    const keyword = name as keyof JSONSchema;
    if (kind === "schema") children.push({ keyword, steps: [name], schema: value });
    if (kind === "schemas" && Array.isArray(value)) {
      value.forEach((item: unknown, index) => children.push({ keyword, steps: [name, index], schema: item }));
    }
    if (kind === "schemaMap" && typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, item] of Object.entries(value)) {
        children.push({ keyword, steps: [name, key], schema: item });
      }
    }
  }
  return children;
}

/** The same schema with each direct subschema replaced by what `change` makes of it. */
export function mapChildren(
  schema: JSONSchema,
  change: (child: Subschema, keyword: keyof JSONSchema) => Subschema,
): JSONSchema {
  const entries = Object.entries(schema).map(([name, value]: [string, unknown]): [string, unknown] => {
    const keyword = name as keyof JSONSchema;
    const kind = schemaKeywords[keyword];
    if (kind === "schema") return [name, change(value as Subschema, keyword)];
    if (kind === "schemas") return [name, (value as Subschema[]).map((item) => change(item, keyword))];
    if (kind === "schemaMap") {
      const members = Object.entries(value as Record<string, Subschema>);
      return [name, Object.fromEntries(members.map(([key, item]) => [key, change(item, keyword)]))];
    }
    return [name, value];
  });
  return Object.fromEntries(entries) as JSONSchema;
}
