import type { FieldShape } from "./field-shape.ts";
import { type Zone, zonedTime } from "./zone.ts";

/** A value of a file that has types of its own (Parquet, Avro). */
export type TypedValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tagged
  | readonly TypedValue[]
  | ReadonlyMap<string, TypedValue>;

/** What JSON has no type for, as text: an exact decimal; an instant in UTC; a time without a zone. And JSON, as its text. */
export class Tagged {
  readonly kind: "decimal" | "instant" | "local" | "json";
  readonly text: string;

  constructor(kind: Tagged["kind"], text: string) {
    this.kind = kind;
    this.text = text;
  }
}

/** The value is no text, as its bytes are not UTF-8, where the file says that it is one. */
export class InvalidText extends Error {
  override readonly name = "InvalidText";
}

/**
 * The JSON text of a value. It takes the type of the contract's field where nothing is lost by that (an integer for a text
 * field, a decimal as a text); else it keeps its own, and validation says what was found.
 */
export function typedText(
  value: TypedValue,
  shape: FieldShape | undefined,
  timezone: Zone | undefined,
): string {
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint" || typeof value === "number") return numberText(value, shape);
  if (value instanceof Tagged) return taggedText(value, shape, timezone);
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString("base64")}"`;
  if (value instanceof Map) {
    const members: string[] = [];
    for (const [name, member] of value as ReadonlyMap<string, TypedValue>) {
      const inner = shape?.members.get(name);
      // Where a field is optional and not nullable, leaving it out is the only way to say that there is no value.
      if (member === null && inner !== undefined && !inner.nullable && !inner.required) continue;
      members.push(`${JSON.stringify(name)}:${typedText(member, inner, timezone)}`);
    }
    return `{${members.join(",")}}`;
  }
  const items = (value as readonly TypedValue[]).map((item) => typedText(item, shape?.items, timezone));
  return `[${items.join(",")}]`;
}

/** JSON has no infinities; a text makes validation say so. */
function numberText(value: number | bigint, shape: FieldShape | undefined): string {
  const isText = shape?.type === "string" || (typeof value === "number" && !Number.isFinite(value));
  const text = typeof value === "number" && Object.is(value, -0) ? "0" : String(value);
  return isText ? `"${text}"` : text;
}

function taggedText(
  { kind, text }: Tagged,
  shape: FieldShape | undefined,
  timezone: Zone | undefined,
): string {
  if (kind === "decimal") {
    const isNumber = shape?.type === "number" || shape?.type === "integer";
    return isNumber ? text.replace(shape.type === "integer" ? /\.0+$/ : /$^/, "") : `"${text}"`;
  }
  if (kind === "json") return shape?.type === "string" ? JSON.stringify(text) : text;
  if (kind === "instant" || timezone === undefined) return `"${text}"`;
  return `"${zonedTime(text, timezone) ?? text}"`;
}

/** The text of `unscaled` / 10^scale, with `scale` digits after the point. */
export function decimalOf(unscaled: bigint, scale: number): Tagged {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const whole = digits.slice(0, digits.length - scale);
  const fraction = scale === 0 ? "" : `.${digits.slice(-scale)}`;
  return new Tagged("decimal", `${unscaled < 0n ? "-" : ""}${whole}${fraction}`);
}

/** The integer that bytes are in two's complement, most significant byte first. */
export function bigEndian(bytes: Uint8Array): bigint {
  if (bytes.length === 0) return 0n;
  const unsigned = BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
  return BigInt.asIntN(bytes.length * 8, unsigned);
}

const perSecond = { milli: 1000n, micro: 1_000_000n, nano: 1_000_000_000n } as const;
export type TimeUnit = keyof typeof perSecond;

/** A time as so many units since the epoch; a local one as its clocks show it. Undefined beyond the years 0000 to 9999. */
export function timeOf(units: bigint, unit: TimeUnit, isUtc: boolean): Tagged | undefined {
  const size = perSecond[unit];
  const fraction = ((units % size) + size) % size;
  const ms = Number((units - fraction) / size) * 1000;
  if (Math.abs(ms) > 8.64e15) return undefined;
  const text = new Date(ms).toISOString();
  if (text.length !== 24) return undefined;
  const digits = String(fraction)
    .padStart(String(size).length - 1, "0")
    .replace(/(000)+$/, "");
  const clock = `${text.slice(0, 19)}${digits === "" ? "" : `.${digits}`}`;
  return new Tagged(isUtc ? "instant" : "local", isUtc ? `${clock}Z` : clock);
}

/** The day that is so many days after 1970-01-01; the number itself beyond the years 0000 to 9999. */
export function dayOf(days: number): string | number {
  const ms = days * 86_400_000;
  if (Math.abs(ms) > 8.64e15) return days;
  const text = new Date(ms).toISOString();
  return text.length === 24 ? text.slice(0, 10) : days;
}

/** The time of day `HH:MM:SS.fff` that is so many units after midnight. */
export function clockOf(units: bigint, unit: TimeUnit): string {
  return timeOf(units, unit, false)?.text.slice(11) ?? String(units);
}

/** The double of the shortest decimal that is this 32-bit float: 0.1, where its exact value is 0.10000000149011612. */
export function shortestFloat(value: number): number {
  if (!Number.isFinite(value)) return value;
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return Number(value.toPrecision(9));
}
