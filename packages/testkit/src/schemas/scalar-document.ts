/** Strings, numbers and decimals for a schema; with `edges` also those that may just miss it. */
import { canonicalDecimal } from "@weir/contract";
import type { DecimalRule, JSONSchema } from "@weir/contract";
import * as fc from "fast-check";
import { string, token } from "./document.ts";
import type { Document } from "./document.ts";
import { dateTexts, dateTimeTexts, numberTokens, oddStrings } from "./edges.ts";
import { formatSamples } from "./format-samples.ts";
import { commonPatterns, peculiarPatterns } from "./patterns.ts";

type Strings = fc.Arbitrary<string>;

/** What a schema of strings accepts. */
export function stringValue(schema: JSONSchema, edges: boolean): Strings {
  const inside = goodString(schema);
  if (!edges) return inside;
  return fc.oneof(
    { weight: 2, arbitrary: inside },
    { weight: 2, arbitrary: nearString(schema) },
    fc.constantFrom(...oddStrings),
  );
}

function goodString({ format, pattern, minLength = 0, maxLength = minLength + 8 }: JSONSchema): Strings {
  if (format === "date-time") return dateTime(false);
  if (format === "date") return dateTime(false).map((text) => text.slice(0, 10));
  const samples = format === undefined ? undefined : formatSamples[format];
  if (samples !== undefined) return fc.constantFrom(...samples.good);
  if (pattern !== undefined) return drawnFrom(pattern) ?? fc.constant(samplesOf(pattern)[0] ?? "");
  const units = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("a", "b", "1", " ", "'") },
    { weight: 1, arbitrary: fc.constantFrom("😀", "é", "\u0301", '"', "\\", "\u0000", "漢") },
  );
  const least = Math.min(minLength, 1000);
  const most = Math.min(Math.max(maxLength, least), least + 12);
  return fc.array(units, { minLength: least, maxLength: most }).map((list) => list.join(""));
}

function nearString({ format, pattern, minLength = 0, maxLength = minLength + 8 }: JSONSchema): Strings {
  if (format === "date-time") return fc.oneof(dateTime(true), fc.constantFrom(...dateTimeTexts));
  if (format === "date")
    return fc.oneof(
      dateTime(true).map((text) => text.slice(0, 10)),
      fc.constantFrom(...dateTexts),
    );
  const samples = format === undefined ? undefined : formatSamples[format];
  if (samples !== undefined) return fc.constantFrom(...samples.near);
  if (pattern !== undefined) return fc.constantFrom("", ...samplesOf(pattern));
  const lengths = [minLength - 1, minLength, maxLength, maxLength + 1].filter((length) => length >= 0);
  return fc
    .tuple(fc.constantFrom(...lengths), fc.constantFrom("a", "😀", "\u0301", "\u0000"))
    .map(([length, unit]) => unit.repeat(Math.min(length, 1000)));
}

function samplesOf(pattern: string): readonly string[] {
  return (
    [...commonPatterns, ...peculiarPatterns].find((known) => known.pattern === pattern)?.samples ?? oddStrings
  );
}

const drawn = new Map<string, Strings | undefined>();

/** fast-check's own strings for a pattern; undefined for the patterns it cannot read. Reading one takes milliseconds: it is kept. */
function drawnFrom(pattern: string): Strings | undefined {
  if (drawn.has(pattern)) return drawn.get(pattern);
  let strings: Strings | undefined;
  try {
    strings = fc
      .stringMatching(new RegExp(pattern, "u"), { maxLength: 12 })
      .filter((text) => text.isWellFormed());
  } catch {
    strings = undefined;
  }
  drawn.set(pattern, strings);
  return strings;
}

/** Texts of format date-time; with `edges` also days that a month does not have and seconds that may leap. */
function dateTime(edges: boolean): Strings {
  const part = (min: number, max: number, width = 2): Strings =>
    fc.integer({ min, max }).map((value) => String(value).padStart(width, "0"));
  const year = fc.oneof(part(1990, 2050, 4), part(edges ? 0 : 1, 9999, 4));
  const fraction = fc
    .string({ unit: fc.constantFrom("0", "1", "5", "9"), maxLength: 9 })
    .map((digits) => (digits === "" ? "" : `.${digits}`));
  const offset = fc.oneof(
    fc.constantFrom("Z", "Z", "z", "+00:00", "-00:00"),
    fc
      .tuple(
        fc.constantFrom("+", "-"),
        part(0, 23),
        fc.constantFrom(":", ...(edges ? [""] : [])),
        part(0, 59),
      )
      .map((parts) => parts.join("")),
  );
  const second = edges ? part(55, 60) : part(0, 59);
  return fc
    .tuple(
      year,
      part(1, 12),
      part(1, edges ? 31 : 28),
      fc.constantFrom("T", "T", "t"),
      part(0, 23),
      part(0, 59),
      second,
      fraction,
      offset,
    )
    .map(([y, mo, d, t, h, mi, s, f, z]) => `${y}-${mo}-${d}${t}${h}:${mi}:${s}${f}${z}`);
}

/** What a schema of numbers accepts, in one of several spellings. */
export function numberDocument(
  schema: JSONSchema,
  isInteger: boolean,
  edges: boolean,
): fc.Arbitrary<Document> {
  const low = schema.minimum ?? schema.exclusiveMinimum ?? -1000;
  const high = schema.maximum ?? schema.exclusiveMaximum ?? Math.max(low, 0) + 1000;
  const step = schema.multipleOf;
  const inside = step === undefined ? between(low, high, isInteger) : multiples(low, high, step);
  const way = fc.nat(6);
  const good = fc.tuple(inside, way).map(([value, way]) => token(spelled(value, way)));
  if (!edges) return good;
  const near = fc.constantFrom(low, high, low + 1, high - 1, low + 0.5, low - 1, high + 1, 0, -0);
  return fc.oneof(
    { weight: 2, arbitrary: good },
    { weight: 2, arbitrary: fc.tuple(near, way).map(([value, way]) => token(spelled(value, way))) },
    { weight: 1, arbitrary: fc.constantFrom(...numberTokens).map(token) },
  );
}

function between(low: number, high: number, isInteger: boolean): fc.Arbitrary<number> {
  if (!isInteger) return fc.double({ min: Math.min(low, high), max: Math.max(low, high), noNaN: true });
  const least = Math.ceil(Math.min(Math.max(low, -1e9), 1e9));
  return fc.integer({ min: least, max: Math.max(least, Math.floor(Math.min(high, 1e9))) });
}

function multiples(low: number, high: number, step: number): fc.Arbitrary<number> {
  const least = Math.ceil(Math.max(low, -50) / step);
  return fc
    .integer({ min: least, max: Math.max(least, Math.min(Math.floor(high / step), least + 100)) })
    .map((n) => n * step);
}

/** A finite number in one of several ways that JSON allows. */
function spelled(value: number, way: number): string {
  const plain = Object.is(value, -0) ? "-0" : JSON.stringify(value);
  if (!/^-?[0-9]+$/.test(plain)) return way === 1 ? plain.replace("e", "E") : plain;
  const tenths = value === 0 ? `${plain}e-1` : `${plain}0e-1`;
  return [plain, plain, plain, `${plain}.0`, `${plain}e0`, `${plain}.00E+0`, tenths][way] ?? plain;
}

/** What a decimal rule accepts, as strings and as numbers. */
export function decimalDocument(rule: DecimalRule, edges: boolean): fc.Arbitrary<Document> {
  const { precision, scale, minimum, maximum } = rule;
  const digits = (maxLength: number): Strings =>
    fc.string({ unit: fc.constantFrom("0", "1", "2", "5", "9"), maxLength });
  const sign = fc.constantFrom("", "", "-");
  const free = fc.tuple(sign, digits(precision - scale), digits(scale)).map(([sign, whole, fraction]) => {
    const text = `${sign}${whole === "" ? "0" : whole}`;
    return fraction === "" ? text : `${text}.${fraction}`;
  });
  const bounds = [minimum, maximum].filter((bound) => bound !== undefined);
  const inside = bounds.length === 0 ? free : fc.oneof(fc.constantFrom(...bounds), free);
  const limit = "9".repeat(precision - scale) || "0";
  const over = [
    `1${"0".repeat(precision - scale)}`,
    `0.${"0".repeat(scale)}1`,
    `${limit}.${"9".repeat(scale)}1`,
  ];
  const near = ["00.10", "-0", "1e2", "1.", ".5", "+1", " 1", "", "1,5", limit, `-${limit}`, ...over];
  const text = edges ? fc.oneof({ weight: 2, arbitrary: inside }, fc.constantFrom(...near)) : inside;
  return fc.tuple(text, fc.boolean(), fc.constantFrom(...numberTokens)).map(([text, asNumber, other]) => {
    if (!asNumber) return string(text);
    // Fifteen digits survive the way through a double; more may not, and then the number is another one.
    const number = text.length <= 15 || edges ? canonicalDecimal(text) : undefined;
    return number === undefined ? (edges ? token(other) : string(text)) : token(number);
  });
}
