import type { Program } from "@weir/compile";
import { text } from "@weir/compile";
import { shortestWord } from "./schema.ts";

/**
 * Values in texts that are not taken apart: records that no contract takes, and bytes that are no record. A value counts where
 * it stands by itself: `jane@example.com` does in `"to <jane@example.com>."`, and does not in `mary.jane@example.com`.
 */

const special = /[\\^$.*+?()[\]{}|]/;
const before = String.raw`(?:^|\\[bfnrt]|\\u[0-9A-Fa-f]{4}|[^\p{L}\p{N}_.+-])`;
const after = String.raw`\.?(?:$|[^\p{L}\p{N}_.-])`;

/** One character as a text of JSON, or bytes shown as text, may have it. */
function characterPattern(character: string): string {
  if (/[A-Za-z0-9]/.test(character)) return character;
  // A statement ends at a NUL, whatever it is in.
  const isControl = character.charCodeAt(0) < 32;
  const literal = isControl
    ? `\\x{${character.charCodeAt(0).toString(16)}}`
    : special.test(character)
      ? `\\${character}`
      : character;
  const units = [...Array(character.length).keys()].map(
    (i) => `\\\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`,
  );
  const bytes = [...Buffer.from(character)].map((byte) => `\\\\x${byte.toString(16)}`);
  const escaped = character === "/" || character === '"' || character === "\\" ? [`\\\\${literal}`] : [];
  const asBytes = character.charCodeAt(0) > 127 ? [bytes.join("")] : [];
  return `(?:${[...escaped, literal, units.join(""), ...asBytes].join("|")})`;
}

/**
 * What texts have whoever they are about, folded: names of contracts and fields, and the values that fields can have at all. Who calls herself
 * `email` would otherwise take everybody's records out of the quarantine, and keep out all that fail later.
 */
export function declaredWords({ contracts }: Program): ReadonlySet<string> {
  const words = new Set(["type"]);
  const walk = (schema: unknown): void => {
    if (typeof schema !== "object" || schema === null) return;
    for (const [keyword, value] of Object.entries(schema)) {
      if (keyword === "properties") for (const name of Object.keys(value as object)) words.add(folded(name));
      const values = keyword === "enum" && Array.isArray(value) ? (value as unknown[]) : [];
      for (const one of keyword === "const" ? [value] : values)
        if (typeof one === "string") words.add(folded(one));
      walk(value);
    }
  };
  for (const { contract } of contracts) {
    for (const name of [contract.name, ...contract.aliases]) words.add(folded(name));
    walk(contract.schema);
  }
  return words;
}

const folded = (value: string): string => value.trim().toLowerCase();

/** Whether a value is looked for in texts. By code points, as SQL counts. */
export const isLookedFor = (value: string, declared: ReadonlySet<string>): boolean =>
  Array.from(value.trim()).length >= shortestWord && !declared.has(folded(value));

/** The same in SQL. */
export const isLookedForSql = (value: string, declared: ReadonlySet<string>): string =>
  `(length(trim(${value})) >= ${shortestWord} AND lower(trim(${value})) NOT IN (${Array.from(declared, text).join(", ")}))`;

/** Patterns, case-insensitive, of which one matches a text that has one of the values. */
export function wordPatterns(long: readonly string[]): string[] {
  const patterns: string[] = [];
  for (let at = 0; at < long.length; at += 50) {
    const some = long.slice(at, at + 50).map((value) => Array.from(value, characterPattern).join(""));
    patterns.push(`(?i)${before}(?:${some.join("|")})${after}`);
  }
  return patterns;
}

/** Bytes in base64 as text; those that are none as `\\x` and two digits. */
export const bytesText = (base64: string): string =>
  String.raw`coalesce(TRY(decode(from_base64(${base64}))), regexp_replace(from_base64(${base64})::VARCHAR, '\\x[0-7][0-9A-F]', ' ', 'g'))`;

/** The words of `t`, a list, among which a value that stands by itself is one: strings of JSON, and runs of characters. */
export const wordsOf = (t: string): string => String.raw`list_distinct(list_concat(
    list_transform(regexp_extract_all(${t}, '"(?:[^"\\]|\\.)*"'), lambda s: coalesce(TRY(json_extract_string(s, '$')), '')),
    list_transform(regexp_extract_all(${t}, '[\p{L}\p{N}_.+@-]+'), lambda s: rtrim(s, '.'))))`;
