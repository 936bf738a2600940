import type { Field, FieldType } from "@weir/compile";
import { canonicalDecimal } from "@weir/contract";

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
type JsonObject = { [name: string]: Json };

/**
 * A record that Ajv accepts, in the one form that SQL reads without loss (see `duckdb/leaf.ts` in the compiler):
 * timestamps as UTC with up to 6 digits of fraction, integers without fraction or exponent, decimals as plain text.
 * Members that the contract does not declare, at any depth of declared objects, are gathered in `extra` under
 * the same path; null when there are none.
 *
 * @param known members that are neither fields nor unknown, such as `type`
 */
export function normalizeRecord(
  fields: readonly Field[],
  record: JsonObject,
  known: ReadonlySet<string>,
): { text: string; extra: string | null } {
  const { value, extra } = normalizeObject(fields, record, known);
  return { text: JSON.stringify(value), extra: extra === undefined ? null : JSON.stringify(extra) };
}

function normalizeObject(
  fields: readonly Field[],
  object: JsonObject,
  known: ReadonlySet<string>,
): { value: JsonObject; extra: JsonObject | undefined } {
  const byName = new Map(fields.map((field) => [field.name, field]));
  const value: [string, Json][] = [];
  const extra: [string, Json][] = [];
  for (const [name, member] of Object.entries(object)) {
    const field = byName.get(name);
    if (field === undefined) {
      if (!known.has(name)) extra.push([name, member]);
      continue;
    }
    if (field.type.kind === "object" && isObject(member)) {
      const inner = normalizeObject(field.type.fields, member, new Set());
      value.push([name, inner.value]);
      if (inner.extra !== undefined) extra.push([name, inner.extra]);
    } else value.push([name, normalizeValue(field.type, member)]);
  }
  return {
    value: Object.fromEntries<Json>(value),
    extra: extra.length === 0 ? undefined : Object.fromEntries<Json>(extra),
  };
}

const isObject = (value: Json): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Objects inside lists and maps have no path of their own to keep unknown members under: they keep them. */
function normalizeValue(type: FieldType, value: Json): Json {
  if (value === null) return null;
  switch (type.kind) {
    case "timestamp":
      return typeof value === "string" ? utcTimestamp(value) : value;
    case "decimal":
      return canonicalDecimal(value) ?? value;
    case "integer":
      // JSON.stringify writes -0 as 0 and integers below 1e21 without exponent; the contract keeps them below 2^53.
      return value;
    case "array":
      return Array.isArray(value) ? value.map((item) => normalizeValue(type.items.type, item)) : value;
    case "map":
      if (!isObject(value)) return value;
      return Object.fromEntries<Json>(
        Object.entries(value).map(([name, item]) => [name, normalizeValue(type.values.type, item)]),
      );
    case "object":
      return isObject(value) ? normalizeObject(type.fields, value, new Set()).value : value;
    case "string":
    case "number":
    case "boolean":
    case "date":
    case "json":
      return value;
  }
}

const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt\s](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):?(\d\d)?)$/;

/**
 * An RFC 3339 timestamp as UTC with microseconds; more digits are cut. A leap second becomes the first instant of the
 * next minute, which is where its neighbours put it.
 */
function utcTimestamp(value: string): string {
  const match = rfc3339.exec(value);
  if (match === null) return value;
  const [
    ,
    year,
    month,
    day,
    hour,
    minute,
    second,
    fraction = "",
    ,
    sign,
    offsetHour = "0",
    offsetMinute = "0",
  ] = match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === "-" ? -1 : 1);
  date.setUTCHours(Number(hour), Number(minute) - offset, Number(second), 0);
  const micros = fraction.slice(0, 6).padEnd(6, "0");
  const [, yearSign = "", shiftedYear, rest] = /^([+-]?)(\d+)(-.*)\.\d{3}Z$/.exec(date.toISOString()) ?? [];
  return `${yearSign === "-" ? "-" : ""}${String(Number(shiftedYear)).padStart(4, "0")}${rest}.${micros}Z`;
}
