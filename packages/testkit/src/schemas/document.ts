/**
 * JSON documents whose spelling is under control. A parsed value cannot say that it was written `1.0` or `"\u0041"`, and those are
 * what tell two readers of JSON apart.
 */

export type Document =
  | { readonly kind: "token"; readonly text: string }
  | { readonly kind: "string"; readonly value: string; readonly spelling: Spelling }
  | { readonly kind: "array"; readonly items: readonly Document[] }
  | { readonly kind: "object"; readonly members: readonly Member[] };

export type Member = readonly [name: string, value: Document];

/** How a string is written: as JSON.stringify does, with every character escaped, or with `/` and non-ASCII escaped. */
export type Spelling = "plain" | "escaped" | "ascii";

export const spellings: readonly Spelling[] = ["plain", "escaped", "ascii"];

/** A number, true, false or null, as the exact text. */
export function token(text: string): Document {
  return { kind: "token", text };
}

export function string(value: string, spelling: Spelling = "plain"): Document {
  return { kind: "string", value, spelling };
}

export function array(items: readonly Document[]): Document {
  return { kind: "array", items };
}

/** Of members with the same name the first stays: the text is strict JSON. */
export function object(members: readonly Member[]): Document {
  const names = new Set<string>();
  return { kind: "object", members: members.filter(([name]) => !names.has(name) && names.add(name)) };
}

/** A parsed JSON value, written as JSON.stringify would. */
export function documentOf(value: unknown): Document {
  if (Array.isArray(value)) return array(value.map(documentOf));
  if (typeof value === "string") return string(value);
  if (typeof value === "object" && value !== null) {
    return object(Object.entries(value).map(([name, member]) => [name, documentOf(member)]));
  }
  return token(Object.is(value, -0) ? "-0" : (JSON.stringify(value) ?? "null"));
}

/** The text: minified, strict (RFC 8259), well-formed Unicode when the strings are. */
export function textOf(document: Document): string {
  switch (document.kind) {
    case "token":
      return document.text;
    case "string":
      return stringText(document.value, document.spelling);
    case "array":
      return `[${document.items.map(textOf).join(",")}]`;
    case "object":
      return `{${document.members.map(([name, value]) => `${JSON.stringify(name)}:${textOf(value)}`).join(",")}}`;
  }
}

function stringText(value: string, spelling: Spelling): string {
  if (spelling === "plain") return JSON.stringify(value);
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  if (spelling === "escaped") return `"${value.split("").map(escape).join("")}"`;
  return JSON.stringify(value)
    .replaceAll("/", "\\/")
    .replaceAll(/[^\u0020-\u007e]/g, (unit) => escape(unit).toUpperCase().replace("\\U", "\\u"));
}
