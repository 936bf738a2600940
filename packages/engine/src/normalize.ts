import type { Field, FieldType } from "@weir/compile";
import { canonicalDecimal } from "@weir/contract";
import { isArrayText, isObjectText, rawArray, rawItems, rawMembers, rawObject } from "./raw-json.ts";
import type { RawMember } from "./raw-json.ts";

/** A value in the form that SQL reads without loss, and what of it no field takes; null when there is none. */
interface Normal {
  readonly text: string;
  readonly extra: string | null;
}

/**
 * A record that Ajv accepts, in the one form that SQL reads without loss (see `duckdb/leaf.ts` in the compiler):
 * timestamps as UTC with up to 6 digits of fraction, integers without fraction or exponent, decimals as plain text.
 * Members that the contract does not declare are gathered in `extra`, each under the JSON pointer that it has in the
 * record: lists have null in place of items without such members. They keep their text, and so every digit.
 *
 * @param fields of the contract
 * @param record minified JSON text of an object
 */
export function normalizeRecord(fields: readonly Field[], record: string): Normal {
  // The routing member is not the record's own where the contract does not declare it.
  return normalizeObject(fields, record, "type");
}

function normalizeObject(fields: readonly Field[], object: string, ignored?: string): Normal {
  const byName = new Map(fields.map((field) => [field.name, field]));
  const known: RawMember[] = [];
  const unknown: RawMember[] = [];
  for (const { name, value } of rawMembers(object)) {
    const field = byName.get(name);
    if (field !== undefined) {
      const { text, extra } = normalizeValue(field.type, value);
      known.push({ name, value: text });
      if (extra !== null) unknown.push({ name, value: extra });
    } else if (name !== ignored) unknown.push({ name, value });
  }
  return { text: rawObject(known), extra: unknown.length === 0 ? null : rawObject(unknown) };
}

function normalizeValue(type: FieldType, value: string): Normal {
  if (type.kind === "object" && isObjectText(value)) return normalizeObject(type.fields, value);
  if (type.kind === "array" && isArrayText(value)) return normalizeList(type.items.type, value);
  if (type.kind === "map" && isObjectText(value)) return normalizeMap(type.values.type, value);
  return { text: normalizeScalar(type, value), extra: null };
}

function normalizeList(type: FieldType, list: string): Normal {
  const items = rawItems(list).map((item) => normalizeValue(type, item));
  const hasExtra = items.some(({ extra }) => extra !== null);
  return {
    text: rawArray(items.map(({ text }) => text)),
    extra: hasExtra ? rawArray(items.map(({ extra }) => extra ?? "null")) : null,
  };
}

function normalizeMap(type: FieldType, map: string): Normal {
  const members = rawMembers(map).map(({ name, value }) => ({ name, ...normalizeValue(type, value) }));
  const extras = members.flatMap(({ name, extra }) => (extra === null ? [] : [{ name, value: extra }]));
  return {
    text: rawObject(members.map(({ name, text }) => ({ name, value: text }))),
    extra: extras.length === 0 ? null : rawObject(extras),
  };
}

function normalizeScalar({ kind }: FieldType, text: string): string {
  if (text === "null") return text;
  if (kind === "timestamp") return JSON.stringify(utcTimestamp(JSON.parse(text) as string));
  if (kind === "decimal") return JSON.stringify(canonicalDecimal(JSON.parse(text)));
  // The double that Ajv judged, as its shortest text; -0 is written 0.
  if (kind === "integer" || kind === "number") return JSON.stringify(JSON.parse(text));
  return text;
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
