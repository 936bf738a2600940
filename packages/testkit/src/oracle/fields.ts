import type { Contract, JSONSchema, Subschema } from "@weir/contract";
import { unscaled } from "./column-values.ts";
import { dateDays, instantUs } from "./instants.ts";

/** A scalar in plain form: integers, unscaled decimals, dates (days) and times (us) as bigint; null where it is missing. */
export type Scalar = string | number | bigint | boolean | null;

export type ScalarKind = "string" | "integer" | "number" | "decimal" | "boolean" | "timestamp" | "date";

export interface Field {
  readonly kind: ScalarKind;
  /** Digits of fraction; of decimals. */
  readonly scale: number;
}

/** The scalar field at a dotted path of a contract; undefined where it has none. */
export function fieldAt(contract: Contract, path: string): Field | undefined {
  let schema: Subschema | undefined = contract.schema;
  for (const name of path.split(".")) {
    schema = typeof schema === "object" ? schema.properties?.[name] : undefined;
  }
  return typeof schema === "object" ? fieldOf(schema) : undefined;
}

function fieldOf(schema: JSONSchema): Field {
  if (schema.decimal !== undefined) return { kind: "decimal", scale: schema.decimal.scale };
  const types = Array.isArray(schema.type) ? schema.type : [schema.type];
  const type = types.find((name) => name !== "null") as string;
  if (type === "string" && schema.format === "date-time") return { kind: "timestamp", scale: 0 };
  if (type === "string" && schema.format === "date") return { kind: "date", scale: 0 };
  if (type === "string" || type === "integer" || type === "number" || type === "boolean") {
    return { kind: type, scale: 0 };
  }
  throw new Error(`no scalar: ${JSON.stringify(schema)}`);
}

/** The value at a dotted path of a parsed record. */
export function valueAt(record: unknown, path: string, field: Field | undefined): Scalar {
  if (field === undefined) return null;
  let value: unknown = record;
  for (const name of path.split(".")) {
    value =
      typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  }
  if (value === undefined || value === null) return null;
  if (typeof value === "object") throw new Error(`no scalar at ${path}: ${JSON.stringify(value)}`);
  const text = `${value as string | number | boolean}`;
  switch (field.kind) {
    case "string":
      return text;
    case "integer":
      return BigInt(value as number);
    case "number":
      return (value as number) + 0;
    case "decimal":
      return unscaled(text, field.scale);
    case "boolean":
      return value === true;
    case "timestamp":
      return instantUs(text);
    case "date":
      return dateDays(text);
  }
}

/** Order of values of one kind: texts by code point, false before true. */
export function compareScalars(a: Scalar, b: Scalar): number {
  if (typeof a === "string" && typeof b === "string") return Buffer.compare(Buffer.from(a), Buffer.from(b));
  if (a === null || b === null) throw new Error("null has no place in an order");
  return a < b ? -1 : a > b ? 1 : 0;
}

/** One text for each value, so that values can be keys of a Map. */
export const keyOf = (values: readonly Scalar[]): string =>
  values
    .map((value) => (value === null ? "null" : `${typeof value}:${JSON.stringify(String(value))}`))
    .join(",");
