import { decimalTest, maxInteger } from "@weir/contract";
import type { DecimalRule } from "@weir/contract";

/**
 * What a JSON Schema says about one value, in the terms that SQL can judge.
 *
 * `exact` is the heart of it: true means that the check generated for this type accepts only values that Ajv
 * accepts too. Where it is false the value still has a column type, but every record goes to Ajv row by row.
 * A check may always refuse a valid value (Ajv then decides); it must never accept an invalid one.
 */
export type JsonSchema = Readonly<Record<string, unknown>>;

export interface NumberBounds {
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

export type FieldType = { readonly exact: boolean } & (
  | {
      readonly kind: "string";
      readonly minLength?: number;
      readonly maxLength?: number;
      readonly pattern?: string;
      readonly format?: string;
      readonly values?: readonly string[];
    }
  | { readonly kind: "integer"; readonly bounds: NumberBounds; readonly values?: readonly number[] }
  | { readonly kind: "number"; readonly bounds: NumberBounds; readonly values?: readonly number[] }
  | {
      readonly kind: "decimal";
      readonly precision: number;
      readonly scale: number;
      /** Inclusive bounds that DECIMAL(precision, scale) holds, as `canonicalDecimal` writes them. */
      readonly minimum?: string;
      readonly maximum?: string;
    }
  | { readonly kind: "boolean"; readonly value?: boolean }
  | { readonly kind: "timestamp" }
  | { readonly kind: "date" }
  | {
      readonly kind: "array";
      readonly items: ValueType;
      readonly minItems?: number;
      readonly maxItems?: number;
    }
  | { readonly kind: "object"; readonly fields: readonly Field[] }
  | { readonly kind: "map"; readonly values: ValueType }
  | { readonly kind: "json" }
);

export interface ValueType {
  readonly type: FieldType;
  readonly nullable: boolean;
}

export interface Field extends ValueType {
  readonly name: string;
  readonly required: boolean;
}

/** Keywords that say nothing about validity. */
const annotations = new Set([
  "$schema",
  "$id",
  "$comment",
  "title",
  "description",
  "default",
  "examples",
  "deprecated",
  "readOnly",
  "writeOnly",
  "pii",
]);

const isObject = (value: unknown): value is JsonSchema =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Reads keywords off a schema and remembers whether any was left that nobody understood. */
class Keywords {
  readonly #left: Map<string, unknown>;

  constructor(schema: JsonSchema) {
    this.#left = new Map(
      Object.entries(schema).filter(([keyword]) => !annotations.has(keyword) && !keyword.startsWith("x-")),
    );
  }

  has(keyword: string): boolean {
    return this.#left.has(keyword);
  }

  peek(keyword: string): unknown {
    return this.#left.get(keyword);
  }

  take(keyword: string): unknown {
    const value = this.#left.get(keyword);
    this.#left.delete(keyword);
    return value;
  }

  number(keyword: string): number | undefined {
    const value = this.#left.get(keyword);
    if (typeof value !== "number") return undefined;
    this.#left.delete(keyword);
    return value;
  }

  string(keyword: string): string | undefined {
    const value = this.#left.get(keyword);
    if (typeof value !== "string") return undefined;
    this.#left.delete(keyword);
    return value;
  }

  get none(): boolean {
    return this.#left.size === 0;
  }
}

const defined = <T extends object>(object: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };

/** The value type of a schema: what SQL type it becomes, whether null is allowed, what has to be checked. */
export function valueType(schema: unknown): ValueType {
  if (!isObject(schema)) return { type: { kind: "json", exact: schema === true }, nullable: true };
  const keywords = new Keywords(schema);
  const union = unionOf(keywords);
  if (union !== undefined) return union;
  const { types, nullable } = typesOf(keywords.take("type"));
  // `type: "null"` alone: a column of nothing, and nothing that SQL should judge.
  if (types.length === 0 && nullable) return { type: { kind: "json", exact: false }, nullable };
  if (types.length === 0) return { type: untyped(keywords), nullable: true };
  if (types.length === 2 && types.includes("string") && types.includes("number") && keywords.has("decimal")) {
    return { type: decimalType(keywords), nullable };
  }
  if (types.length === 1 && types[0] !== undefined)
    return { type: typed(types[0], keywords, nullable), nullable };
  return { type: { kind: "json", exact: false }, nullable };
}

function typesOf(type: unknown): { types: string[]; nullable: boolean } {
  const all =
    typeof type === "string" ? [type] : Array.isArray(type) ? type.filter((t) => typeof t === "string") : [];
  return { types: all.filter((t) => t !== "null"), nullable: all.includes("null") };
}

/** `anyOf` of one schema and null, or of string constants: the two unions that people write for columns. */
function unionOf(keywords: Keywords): ValueType | undefined {
  const anyOf = keywords.peek("anyOf");
  if (!Array.isArray(anyOf) || keywords.has("type")) return undefined;
  keywords.take("anyOf");
  if (!keywords.none) return undefined;
  const others = anyOf.filter((option) => !isNull(option));
  const nullable = others.length < anyOf.length;
  if (others.length === 1) {
    const inner = valueType(others[0]);
    return { type: inner.type, nullable: inner.nullable || nullable };
  }
  const constants = others.map((option) => (isObject(option) ? option["const"] : undefined));
  if (others.length > 0 && constants.every((constant) => typeof constant === "string")) {
    const inners = others.map((option) => valueType(option));
    return {
      type: { kind: "string", values: constants, exact: inners.every((i) => i.type.exact) },
      nullable,
    };
  }
  return { type: { kind: "json", exact: false }, nullable: true };
}

/** Whether a schema says "null" and nothing else. */
function isNull(schema: unknown): boolean {
  if (!isObject(schema)) return false;
  const keywords = new Keywords(schema);
  return keywords.take("type") === "null" && keywords.none;
}

function untyped(keywords: Keywords): FieldType {
  const constant = keywords.peek("const");
  const values = keywords.peek("enum");
  const all = keywords.has("const") ? [constant] : Array.isArray(values) ? values : [];
  if (all.length > 0 && all.every((value) => typeof value === "string")) {
    keywords.take("const");
    keywords.take("enum");
    return { kind: "string", values: all, exact: keywords.none };
  }
  return { kind: "json", exact: keywords.none };
}

function typed(type: string, keywords: Keywords, nullable: boolean): FieldType {
  switch (type) {
    case "string":
      return stringType(keywords, nullable);
    case "integer":
    case "number":
      return numberType(type, keywords, nullable);
    case "boolean": {
      const constant = keywords.peek("const");
      // A nullable type with a constant does not accept null: leave that to Ajv.
      if (typeof constant === "boolean" && !nullable) keywords.take("const");
      return {
        kind: "boolean",
        exact: keywords.none,
        ...defined({ value: typeof constant === "boolean" ? constant : undefined }),
      };
    }
    case "array":
      return arrayType(keywords);
    case "object":
      return objectType(keywords);
    default:
      return { kind: "json", exact: false };
  }
}

/** The allowed values of `const` and `enum`; undefined when there are none or they are not all of one type. */
function valuesOf<T>(
  keywords: Keywords,
  nullable: boolean,
  is: (value: unknown) => value is T,
): T[] | undefined {
  const constant = keywords.peek("const");
  if (keywords.has("const") && !keywords.has("enum") && is(constant) && !nullable) {
    keywords.take("const");
    return [constant];
  }
  const listed = keywords.peek("enum");
  if (!Array.isArray(listed) || keywords.has("const")) return undefined;
  // A nullable type whose enumeration leaves null out does not accept null: leave that to Ajv, as with a constant.
  if (nullable && !listed.includes(null)) return undefined;
  const values = listed.filter((value) => value !== null);
  if (!values.every(is)) return undefined;
  keywords.take("enum");
  return values;
}

const isString = (value: unknown): value is string => typeof value === "string";
const isNumber = (value: unknown): value is number => typeof value === "number";

function stringType(keywords: Keywords, nullable: boolean): FieldType {
  const format = keywords.string("format");
  if ((format === "date-time" || format === "date") && keywords.none) {
    return { kind: format === "date" ? "date" : "timestamp", exact: true };
  }
  const values = valuesOf(keywords, nullable, isString);
  const parts = defined({
    minLength: keywords.number("minLength"),
    maxLength: keywords.number("maxLength"),
    pattern: keywords.string("pattern"),
    format,
    values,
  });
  if (format === "date-time") return { kind: "timestamp", exact: false };
  if (format === "date") return { kind: "date", exact: false };
  return { kind: "string", exact: keywords.none, ...parts };
}

function numberType(kind: "integer" | "number", keywords: Keywords, nullable: boolean): FieldType {
  const values = valuesOf(keywords, nullable, isNumber);
  const bounds: NumberBounds = defined({
    minimum: keywords.number("minimum"),
    maximum: keywords.number("maximum"),
    exclusiveMinimum: keywords.number("exclusiveMinimum"),
    exclusiveMaximum: keywords.number("exclusiveMaximum"),
  });
  const { minimum = -Infinity, exclusiveMinimum = -Infinity } = bounds;
  const { maximum = Infinity, exclusiveMaximum = Infinity } = bounds;
  const isSafe =
    Math.max(minimum, exclusiveMinimum) >= -maxInteger && Math.min(maximum, exclusiveMaximum) <= maxInteger;
  // Past 2^53 an integer is whatever double the reader of its JSON makes of it: that double is its value.
  if (kind === "integer" && !isSafe) return { kind: "number", bounds, exact: false };
  return { kind, bounds, exact: keywords.none, ...defined({ values }) };
}

function decimalType(keywords: Keywords): FieldType {
  const decimal = keywords.take("decimal");
  const precision = isObject(decimal) ? decimal["precision"] : undefined;
  const scale = isObject(decimal) ? decimal["scale"] : undefined;
  if (typeof precision !== "number" || typeof scale !== "number") return { kind: "json", exact: false };
  const rule = decimal as DecimalRule;
  const fits = decimalTest({ precision, scale });
  const bounds = defined({ minimum: rule.minimum, maximum: rule.maximum });
  const exact = keywords.none && Object.values(bounds).every((bound) => fits(bound));
  return { kind: "decimal", precision, scale, exact, ...(exact ? bounds : {}) };
}

function arrayType(keywords: Keywords): FieldType {
  // Items before the rest may be of any other type.
  const isUniform = keywords.has("items") && !keywords.has("prefixItems");
  const items = isUniform ? valueType(keywords.take("items")) : valueType(true);
  const sizes = defined({ minItems: keywords.number("minItems"), maxItems: keywords.number("maxItems") });
  return { kind: "array", items, exact: keywords.none && items.type.exact, ...sizes };
}

function objectType(keywords: Keywords): FieldType {
  const properties = keywords.take("properties");
  const required = keywords.take("required");
  if (isObject(properties) && Object.keys(properties).length > 0 && hasDistinctColumns(properties)) {
    const fields = fieldsOf(properties, required);
    // `additionalProperties: true` is the default; false needs no SQL, as every record with a member that is
    // not declared in a nested object goes to Ajv anyway (its unknown members have to be found).
    const rest = keywords.peek("additionalProperties");
    if (typeof rest === "boolean") keywords.take("additionalProperties");
    const exact =
      keywords.none && fields.every((field) => field.type.exact) && !hasUnlisted(required, fields);
    return { kind: "object", fields, exact };
  }
  const rest = keywords.peek("additionalProperties");
  if (!isObject(properties) && isObject(rest) && !keywords.has("patternProperties")) {
    keywords.take("additionalProperties");
    const values = valueType(rest);
    return { kind: "map", values, exact: keywords.none && values.type.exact && required === undefined };
  }
  return { kind: "json", exact: false };
}

/** Whether `required` names a member that is no field. */
function hasUnlisted(required: unknown, fields: readonly Field[]): boolean {
  const names = new Set(fields.map((field) => field.name));
  return Array.isArray(required) && required.some((name) => !names.has(name as string));
}

/** SQL names ignore case: an object with both `Id` and `id` cannot become a struct and stays JSON. */
export function hasDistinctColumns(properties: JsonSchema): boolean {
  const names = Object.keys(properties).map((name) => name.toLowerCase());
  return new Set(names).size === names.length && !names.includes("");
}

/** The fields of `properties`, in their order. */
export function fieldsOf(properties: JsonSchema, required: unknown): Field[] {
  const names = new Set(Array.isArray(required) ? required : []);
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    required: names.has(name),
    ...valueType(schema),
  }));
}

/**
 * The fields of a contract's schema, and whether the schema says anything beyond its fields (then no record of
 * it can be accepted without Ajv).
 */
export function contractFields(schema: JsonSchema): { fields: Field[]; exact: boolean; closed: boolean } {
  const keywords = new Keywords(schema);
  keywords.take("type");
  const properties = keywords.take("properties");
  const required = keywords.take("required");
  const closed = keywords.peek("additionalProperties") === false;
  if (typeof keywords.peek("additionalProperties") === "boolean") keywords.take("additionalProperties");
  keywords.take("$defs");
  keywords.take("definitions");
  const fields = fieldsOf(isObject(properties) ? properties : {}, required);
  return { fields, exact: keywords.none && !hasUnlisted(required, fields), closed };
}
