import { isUtf8 } from "node:buffer";
import {
  type FileMetaData,
  type ParquetParsers,
  type SchemaElement,
  type SchemaTree,
  parquetSchema,
} from "hyparquet";
import {
  InvalidText,
  Tagged,
  type TimeUnit,
  type TypedValue,
  bigEndian,
  clockOf,
  dayOf,
  decimalOf,
  shortestFloat,
  timeOf,
} from "./typed-value.ts";

export interface ParquetColumn {
  readonly name: string;
  /** What a value is, from what hyparquet made of it with `rawParsers` and `withRawTypes`. Throws InvalidText. */
  readonly value: (raw: unknown) => TypedValue;
}

/** Hyparquet makes dates of 64-bit times, which loses microseconds: values stay as they are stored. */
export const rawParsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (units) => units,
  timestampFromMicroseconds: (units) => units,
  timestampFromNanoseconds: (units) => units,
  dateFromDays: (days) => days,
  stringFromBytes: (bytes) => (isUtf8(bytes) ? asText(bytes) : bytes),
  jsonFromBytes: (bytes) => bytes,
};

/** Types that hyparquet would make doubles of, or refuse: their values are wanted as they are stored. */
const rawTypes: ReadonlySet<string | undefined> = new Set([
  "DECIMAL",
  "BSON",
  "INTERVAL",
  "GEOMETRY",
  "GEOGRAPHY",
  "UUID",
]);

export function withRawTypes(metadata: FileMetaData): FileMetaData {
  const schema = metadata.schema.map((element): SchemaElement => {
    const { converted_type: converted, logical_type: logical, ...rest } = element;
    if (!rawTypes.has(converted) && !rawTypes.has(logical?.type)) return element;
    return rest;
  });
  return { ...metadata, schema };
}

export function parquetColumns(metadata: FileMetaData): ParquetColumn[] {
  return parquetSchema(metadata).children.map((node) => ({ name: node.element.name, value: valueOf(node) }));
}

type Reader = (raw: unknown) => TypedValue;

function valueOf(node: SchemaTree): Reader {
  const { element, children } = node;
  const read = children.length === 0 ? leafOf(element) : groupOf(node);
  // A repeated field outside of LIST and MAP is a list of such values.
  const whole: Reader =
    element.repetition_type === "REPEATED"
      ? (raw) => (Array.isArray(raw) ? raw.map(orNull(read)) : orNull(read)(raw))
      : read;
  return orNull(whole);
}

const orNull =
  (read: Reader): Reader =>
  (raw) =>
    raw === null || raw === undefined ? null : read(raw);

function groupOf({ element, children }: SchemaTree): Reader {
  const kind = element.converted_type ?? element.logical_type?.type;
  const [repeated] = children;
  if (kind === "LIST" && repeated !== undefined) {
    // The element is the repeated field itself in files of old writers (LogicalTypes.md, Lists, rules 1 to 4).
    const [item, ...others] = repeated.children;
    const isWrapped = item !== undefined && others.length === 0;
    const read = orNull(
      isWrapped ? valueOf(item) : repeated.children.length > 0 ? groupOf(repeated) : leafOf(repeated.element),
    );
    return (raw) => (Array.isArray(raw) ? raw.map(read) : anyOf(raw));
  }
  if ((kind === "MAP" || kind === "MAP_KEY_VALUE") && repeated?.children[1] !== undefined) {
    const read = valueOf(repeated.children[1]);
    return (raw) => mapOf(raw, () => read);
  }
  const members = new Map(children.map((child) => [child.element.name, valueOf(child)]));
  return (raw) => mapOf(raw, (name) => members.get(name) ?? anyOf);
}

function mapOf(raw: unknown, readerOf: (name: string) => Reader): TypedValue {
  if (typeof raw !== "object" || raw === null) return anyOf(raw);
  const entries = raw instanceof Map ? [...(raw as Map<string, unknown>)] : Object.entries(raw);
  return new Map(entries.map(([name, value]) => [name, orNull(readerOf(name))(value)]));
}

/** A value of no known type, such as of VARIANT. */
function anyOf(raw: unknown): TypedValue {
  if (raw === null || raw === undefined) return null;
  if (Array.isArray(raw)) return raw.map(anyOf);
  if (raw instanceof Uint8Array) return raw;
  if (raw instanceof Date) return new Tagged("instant", raw.toISOString());
  if (typeof raw === "object") return mapOf(raw, () => anyOf);
  return raw as boolean | number | bigint | string;
}

function leafOf(element: SchemaElement): Reader {
  const { type, converted_type: converted, logical_type: logical } = element;
  if (type === "INT96") return (raw) => timeOf(raw as bigint, "nano", true) ?? String(raw);
  if (logical?.type === "DECIMAL" || converted === "DECIMAL") return decimalReader(element);
  if (logical?.type === "TIMESTAMP") return timeReader(unitOf(logical.unit), logical.isAdjustedToUTC);
  if (converted === "TIMESTAMP_MILLIS") return timeReader("milli", true);
  if (converted === "TIMESTAMP_MICROS") return timeReader("micro", true);
  if (logical?.type === "TIME") {
    const unit = unitOf(logical.unit);
    return (raw) => clockOf(BigInt(raw as bigint | number), unit);
  }
  if (converted === "TIME_MILLIS") return (raw) => clockOf(BigInt(raw as number), "milli");
  if (converted === "TIME_MICROS") return (raw) => clockOf(raw as bigint, "micro");
  if (converted === "DATE" || logical?.type === "DATE") return (raw) => dayOf(raw as number);
  if (converted === "JSON" || logical?.type === "JSON") return (raw) => jsonOf(raw as Uint8Array);
  if (logical?.type === "UUID") return (raw) => uuidText(raw as Uint8Array);
  const isText =
    converted === "UTF8" || converted === "ENUM" || logical?.type === "STRING" || logical?.type === "ENUM";
  if (isText) return (raw) => textOf(raw as Uint8Array);
  if (type === "FLOAT") return (raw) => shortestFloat(raw as number);
  return anyOf;
}

const unitOf = (unit: "MILLIS" | "MICROS" | "NANOS"): TimeUnit =>
  unit === "MILLIS" ? "milli" : unit === "MICROS" ? "micro" : "nano";

function timeReader(unit: TimeUnit, isUtc: boolean): Reader {
  return (raw) => timeOf(BigInt(raw as bigint | number), unit, isUtc) ?? String(raw);
}

function decimalReader({ scale = 0, logical_type: logical }: SchemaElement): Reader {
  const digits = logical?.type === "DECIMAL" ? logical.scale : scale;
  return (raw) =>
    decimalOf(raw instanceof Uint8Array ? bigEndian(raw) : BigInt(raw as bigint | number), digits);
}

function textOf(bytes: Uint8Array | string): string {
  if (typeof bytes === "string") return bytes;
  if (!isUtf8(bytes)) throw new InvalidText();
  return asText(bytes);
}

const asText = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString();

function jsonOf(bytes: Uint8Array): TypedValue {
  const text = textOf(bytes);
  try {
    return new Tagged("json", JSON.stringify(JSON.parse(text)));
  } catch {
    return text;
  }
}

function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
