/** JSON values, and the two texts Weir makes of them: canonical (for hashes) and cut (for messages). */

export type Json = null | boolean | number | string | JsonArray | JsonObject;
export type JsonArray = readonly Json[];
export interface JsonObject {
  readonly [member: string]: Json;
}

/** True for what JSON calls an object: not null, not an array. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The canonical JSON text of RFC 8785: members sorted by UTF-16 code units, no whitespace, ECMAScript numbers.
 * Equal values have equal texts, whatever the order of their members; `-0` is `0`.
 * A number too large for a double (Infinity once parsed) is written `1e400` or `-1e400`, which parses back to it.
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isJsonObject(value)) {
    const members = Object.keys(value)
      .sort()
      .map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`);
    return `{${members.join(",")}}`;
  }
  return scalarText(value);
}

/** JSON text of a scalar; see canonicalJson for numbers beyond a double. */
function scalarText(value: unknown): string {
  if (value === Number.POSITIVE_INFINITY) return "1e400";
  if (value === Number.NEGATIVE_INFINITY) return "-1e400";
  return JSON.stringify(value) ?? "null";
}

/**
 * JSON text of a value in the order of its members, cut after `limit` characters (code points). Work and memory are
 * bounded by `limit` too, apart from one string at a time, so a megabyte of nested junk costs no more than its first line.
 */
export function cutJson(value: unknown, limit: number): string {
  const parts: string[] = [];
  // Counted in code units, of which a code point has at most two.
  let left = limit * 2;
  const put = (text: string): boolean => {
    parts.push(text);
    left -= text.length;
    return left > 0;
  };
  write(value, put);
  return cutText(parts.join(""), limit);
}

function write(value: unknown, put: (text: string) => boolean): boolean {
  if (Array.isArray(value)) {
    if (!put("[")) return false;
    for (let i = 0; i < value.length; i++) {
      if (i > 0 && !put(",")) return false;
      if (!write(value[i], put)) return false;
    }
    return put("]");
  }
  if (isJsonObject(value)) {
    if (!put("{")) return false;
    let first = true;
    for (const name of Object.keys(value)) {
      if (!put(`${first ? "" : ","}${JSON.stringify(name)}:`)) return false;
      first = false;
      if (!write(value[name], put)) return false;
    }
    return put("}");
  }
  return put(scalarText(value));
}

/** The first `limit` code points of a text; never half of a surrogate pair. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text;
  let end = 0;
  for (let points = 0; points < limit && end < text.length; points++) {
    end += (text.codePointAt(end) ?? 0) > 0xffff ? 2 : 1;
  }
  return text.slice(0, end);
}
