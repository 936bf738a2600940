/** Unions that have a simpler form: a schema or null, and a choice of constants. */
import { canonicalJson } from "./json.ts";
import type { Json } from "./json.ts";
import { schemaKeywords } from "./schema.ts";
import type { JSONSchema, SchemaType, Subschema } from "./schema.ts";

/**
 * A schema whose `anyOf` or `oneOf` is a choice of constants, or of one schema and null, in its simpler form; other schemas as
 * they are. Notes (title, description) beside the union win over those inside; notes on single constants are lost.
 */
export function foldUnion(schema: JSONSchema): JSONSchema {
  const { anyOf, oneOf, ...rest } = schema;
  const branches = anyOf ?? oneOf;
  const hasBoth = anyOf !== undefined && oneOf !== undefined;
  if (branches === undefined || hasBoth || !hasOnlyNotes(rest)) return schema;
  return (
    foldConstants(rest, branches, oneOf !== undefined) ??
    foldNull(rest, branches, oneOf !== undefined) ??
    schema
  );
}

function foldConstants(
  notes: JSONSchema,
  branches: readonly Subschema[],
  disjoint: boolean,
): JSONSchema | undefined {
  const values = new Map<string, Json>();
  let count = 0;
  for (const branch of branches) {
    const constants = constantsOf(branch);
    if (constants === undefined) return undefined;
    count += constants.length;
    for (const value of constants) values.set(canonicalJson(value), value);
  }
  // A constant named by two branches of a oneOf is accepted by neither.
  if ((disjoint && values.size !== count) || values.size === 0) return undefined;
  const list = [...values.values()];
  const type = typeOfAll(list);
  return { ...(type === undefined ? {} : { type }), enum: list, ...notes };
}

/** The values a schema is a list of; undefined when it says anything else. */
function constantsOf(schema: Subschema): readonly Json[] | undefined {
  if (typeof schema === "boolean") return undefined;
  const { type, const: constant, enum: list, ...rest } = schema;
  if (!hasOnlyNotes(rest)) return undefined;
  if (type === "null" && constant === undefined && list === undefined) return [null];
  if ((constant === undefined) === (list === undefined)) return undefined;
  const values = constant === undefined ? list : [constant];
  return values?.every((value) => type === undefined || hasType(value, type)) === true ? values : undefined;
}

function foldNull(
  notes: JSONSchema,
  branches: readonly Subschema[],
  disjoint: boolean,
): JSONSchema | undefined {
  const others = branches.filter((branch) => constantsOf(branch)?.every((value) => value === null) !== true);
  const [only] = others;
  if (branches.length !== 2 || others.length !== 1 || typeof only !== "object" || !isLocal(only))
    return undefined;
  const types = typesOf(only);
  if (types === undefined && only.const === undefined && only.enum === undefined) return undefined;
  if (disjoint && (types === undefined || types.includes("null"))) return undefined;
  const { const: constant, enum: list, type: _, ...rest } = only;
  const values = constant === undefined ? list : [constant];
  return {
    ...(types === undefined ? {} : { type: [...types, "null"] }),
    ...(values === undefined ? {} : { enum: values.includes(null) ? values : [...values, null] }),
    ...rest,
    ...notes,
  };
}

/** Keywords that judge a value of any type, so that allowing null beside them is not the same as allowing null instead. */
const judgesAnyType = [
  "$ref",
  "$id",
  "$anchor",
  "$defs",
  "allOf",
  "anyOf",
  "oneOf",
  "not",
  "if",
  "then",
  "else",
] as const;

function isLocal(schema: JSONSchema): boolean {
  return judgesAnyType.every((keyword) => schema[keyword] === undefined);
}

function hasOnlyNotes(schema: JSONSchema): boolean {
  return Object.keys(schema).every(
    (keyword) => schemaKeywords[keyword as keyof JSONSchema] === "annotation" && !keyword.startsWith("$"),
  );
}

function typesOf(schema: JSONSchema): readonly SchemaType[] | undefined {
  return typeof schema.type === "string" ? [schema.type] : schema.type;
}

function hasType(value: Json, type: SchemaType | readonly SchemaType[]): boolean {
  const own = typeOf(value);
  return (typeof type === "string" ? [type] : type).some(
    (name) => name === own || (name === "number" && own === "integer"),
  );
}

function typeOf(value: Json): SchemaType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value as "string" | "boolean" | "object";
}

/** The scalar `type` that a list of values shares, null aside; undefined when they are of several, or lists or objects. */
export function typeOfAll(values: readonly Json[]): SchemaType | readonly SchemaType[] | undefined {
  const types = new Set(values.map(typeOf));
  if (types.has("number")) types.delete("integer");
  const isNullable = types.delete("null");
  const [first, ...others] = types;
  if (first === undefined) return isNullable ? "null" : undefined;
  if (others.length > 0 || first === "object" || first === "array") return undefined;
  return isNullable ? [first, "null"] : first;
}
