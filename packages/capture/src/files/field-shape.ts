import type { JSONSchema, Subschema } from "@weir/contract";

/** What a contract's schema says of one value, as far as writing it as JSON needs to know. */
export interface FieldShape {
  /** The one type besides null that a value may have; undefined if there are several, or none is said. */
  readonly type: "string" | "integer" | "number" | "boolean" | "object" | "array" | "decimal" | undefined;
  readonly nullable: boolean;
  readonly required: boolean;
  readonly format: string | undefined;
  readonly items: FieldShape | undefined;
  readonly members: ReadonlyMap<string, FieldShape>;
}

const unknownShape: FieldShape = {
  type: undefined,
  nullable: true,
  required: false,
  format: undefined,
  items: undefined,
  members: new Map(),
};

/** The shapes of a record's fields. Parts of a schema that are references or choices count as unknown. */
export function fieldShapes(schema: JSONSchema): ReadonlyMap<string, FieldShape> {
  const required = new Set(schema.required);
  return new Map(
    Object.entries(schema.properties ?? {}).map(([name, field]) => [
      name,
      shapeOf(field, required.has(name)),
    ]),
  );
}

function shapeOf(schema: Subschema, required: boolean): FieldShape {
  if (typeof schema === "boolean" || schema.type === undefined) return { ...unknownShape, required };
  const all: readonly string[] = typeof schema.type === "string" ? [schema.type] : schema.type;
  const types = all.filter((type) => type !== "null");
  const isDecimal = schema.decimal !== undefined;
  return {
    type: isDecimal ? "decimal" : types.length === 1 ? (types[0] as FieldShape["type"]) : undefined,
    nullable: all.includes("null"),
    required,
    format: schema.format,
    items: schema.items === undefined ? undefined : shapeOf(schema.items, true),
    members: fieldShapes(schema),
  };
}
