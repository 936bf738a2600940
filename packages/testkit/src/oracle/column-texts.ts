import type { JSONSchema } from "@weir/contract";
import { unscaled } from "./column-values.ts";
import { daysOf } from "./instants.ts";

/**
 * A value of an entity in plain form. Integers, unscaled decimals, times (us) and dates (days) are bigint; bytes are their hex
 * digits; JSON keeps its parsed value.
 */
export type EntityValue =
  | null
  | string
  | number
  | bigint
  | boolean
  | readonly EntityValue[]
  | { readonly bytes: string }
  | { readonly json: unknown };

/** What a value is that the column's type does not hold. */
export const misfit: unique symbol = Symbol("misfit");
type Read<T = EntityValue> = T | typeof misfit;

/**
 * The value of a column for a member of a captured row: what a database writes as text, or a JSON value. {@link misfit} where the
 * column's type does not hold it.
 */
export function valueOf(schema: JSONSchema, member: unknown): Read {
  if (member === null || member === undefined) return null;
  const text = typeof member === "string" ? member : JSON.stringify(member);
  const type = typeOf(schema);
  if (type === "json") return { json: typeof member === "string" ? parsed(member) : member };
  if (type === "list") return listOf(schema, text);
  return scalarOf(type, schema, text);
}

type Type =
  | "text"
  | "integer"
  | "number"
  | "decimal"
  | "boolean"
  | "instant"
  | "day"
  | "bytes"
  | "list"
  | "json";

function typeOf(schema: JSONSchema): Type {
  if (schema.decimal !== undefined) return "decimal";
  const types = [schema.type].flat().filter((name) => name !== "null");
  const type = types.length === 1 ? types[0] : undefined;
  if (type === "string") {
    if (schema.contentEncoding !== undefined) return "bytes";
    return schema.format === "date-time" ? "instant" : schema.format === "date" ? "day" : "text";
  }
  if (type === "integer" || type === "number" || type === "boolean") return type;
  return type === "array" && typeof schema.items === "object" ? "list" : "json";
}

function scalarOf(type: Exclude<Type, "list" | "json">, schema: JSONSchema, text: string): Read {
  switch (type) {
    case "text":
      return text;
    case "integer":
      return integerOf(text);
    case "number":
      return numberOf(text);
    case "decimal":
      return decimalOf(text, schema.decimal?.precision ?? 0, schema.decimal?.scale ?? 0);
    case "boolean":
      return (
        new Map([
          ["t", true],
          ["true", true],
          ["f", false],
          ["false", false],
        ]).get(text) ?? misfit
      );
    case "instant":
      return instantOf(text);
    case "day": {
      const match = /^(\d{4,6})-(\d\d)-(\d\d)( BC)?$/.exec(text);
      return match === null ? misfit : dayOf(match[1], match[2], match[3], match[4] !== undefined);
    }
    case "bytes":
      return bytesOf(text, schema.contentEncoding === "base64");
  }
}

function integerOf(text: string): Read {
  const match = /^([+-]?\d+)(?:\.0+)?$/.exec(text);
  if (match === null) return misfit;
  const value = BigInt((match[1] ?? "").replace("+", ""));
  return value >= -(2n ** 63n) && value < 2n ** 63n ? value : misfit;
}

function numberOf(text: string): Read {
  if (/^[+-]?Infinity$|^NaN$/.test(text)) return Number(text);
  if (!/^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) return misfit;
  const value = Number(text);
  return Number.isFinite(value) ? value + 0 : misfit;
}

function decimalOf(text: string, precision: number, scale: number): Read {
  const match = /^([+-]?)0*(\d*)(?:\.(\d*?)0*)?$/.exec(text);
  if (match === null || !/\d/.test(text)) return misfit;
  const [, sign = "", whole = "", fraction = ""] = match;
  if (whole.length > precision - scale || fraction.length > scale) return misfit;
  return unscaled(`${sign === "-" ? "-" : ""}${whole || "0"}${fraction === "" ? "" : `.${fraction}`}`, scale);
}

function dayOf(
  year: string | undefined,
  month: string | undefined,
  day: string | undefined,
  isBc: boolean,
): Read<bigint> {
  const [y, m, d] = [Number(year), Number(month), Number(day)];
  const astronomical = isBc ? 1 - y : y;
  const days = daysOf(astronomical, m, d);
  const next = m === 12 ? daysOf(astronomical + 1, 1, 1) : daysOf(astronomical, m + 1, 1);
  return m < 1 || m > 12 || d < 1 || days >= next ? misfit : days;
}

function instantOf(text: string): Read<bigint> {
  const clock = /^(\d{4,6})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(.*?)( BC)?$/.exec(text);
  if (clock === null) return misfit;
  const [, year, month, day, hours, minutes, seconds = "0", fraction = "", zone = "", bc] = clock;
  const days = dayOf(year, month, day, bc !== undefined);
  const offset = offsetSeconds(zone);
  if (days === misfit || offset === undefined) return misfit;
  if (Number(hours) > 23 || Number(minutes) > 59 || Number(seconds) > 59) return misfit;
  const local = days * 86_400n + BigInt(Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
  return (local - BigInt(offset)) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
}

/** Seconds east of UTC; without a zone it is UTC. */
function offsetSeconds(zone: string): number | undefined {
  if (zone === "" || zone === "Z" || zone === "z") return 0;
  const match = /^([+-])(\d\d)(?::?(\d\d)(?::?(\d\d))?)?$/.exec(zone);
  if (match === null) return undefined;
  const [, sign, hours, minutes = "0", seconds = "0"] = match;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds));
}

function bytesOf(text: string, isBase64: boolean): Read {
  const hex = text.startsWith("\\x") ? text.slice(2) : isBase64 ? undefined : text;
  if (hex !== undefined) return /^([0-9a-f]{2})*$/i.test(hex) ? { bytes: hex.toUpperCase() } : misfit;
  const bytes = Buffer.from(text, "base64");
  const isCanonical = /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0;
  return isCanonical ? { bytes: bytes.toString("hex").toUpperCase() } : misfit;
}

function listOf(schema: JSONSchema, text: string): Read {
  const texts = text.startsWith("{") ? arrayTexts(text) : parsed(text);
  if (!Array.isArray(texts)) return misfit;
  const values = texts.map((item: unknown) => valueOf(schema.items as JSONSchema, item));
  return values.some((value) => value === misfit) ? misfit : (values as EntityValue[]);
}

/** The elements of an array of one dimension as PostgreSQL writes it. */
function arrayTexts(text: string): (string | null)[] | undefined {
  const items: (string | null)[] = [];
  let rest = text.slice(1);
  if (rest === "}") return items;
  for (;;) {
    const match = /^(?:"((?:[^"\\]|\\.)*)"|([^",{}\\\s][^",{}\\]*))([,}])/.exec(rest);
    if (match === null) return undefined;
    const [whole, quoted, plain, end] = match;
    items.push(
      quoted === undefined
        ? plain?.toUpperCase() === "NULL"
          ? null
          : (plain ?? "")
        : quoted.replaceAll(/\\(.)/g, "$1"),
    );
    rest = rest.slice(whole.length);
    if (end === "}") return rest === "" ? items : undefined;
  }
}

/** The JSON in a string, or the string itself where there is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
