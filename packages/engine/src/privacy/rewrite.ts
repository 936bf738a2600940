import type { Field, FieldType } from "@weir/compile";
import { isFreeText } from "@weir/compile";
import { isArrayText, isObjectText, rawArray, rawItems, rawMembers, rawObject } from "../raw-json.ts";
import { maskText } from "./detect.ts";

/** The text of an object with another value at a path; the same text where nothing is at the path. */
export function rewrittenAt(object: string, [first, ...rest]: readonly string[], value: string): string {
  return rawObject(
    rawMembers(object).map((member) => {
      if (member.name !== first) return member;
      if (rest.length === 0) return { ...member, value };
      return isObjectText(member.value)
        ? { ...member, value: rewrittenAt(member.value, rest, value) }
        : member;
    }),
  );
}

/** Of a contract, where free text is not looked for: the id, time and key, and what has a tag. */
export type Declared = ReadonlySet<string>;
export const declaredAt = (path: readonly string[]): string => JSON.stringify(path);

/** The text of a record with what was found in free text masked. Tokens in it are left as they are. */
export function maskedRecord(record: string, fields: readonly Field[], declared: Declared): string {
  return maskedObject(record, fields, [], declared);
}

function maskedObject(
  object: string,
  fields: readonly Field[],
  path: readonly string[],
  declared: Declared,
): string {
  const byName = new Map(fields.map((field) => [field.name, field]));
  const names = new Set(byName.keys());
  return rawObject(
    rawMembers(object).map(({ name, value }) => {
      const field = byName.get(name);
      const at = [...path, name];
      if (field === undefined) {
        const free = freeName(maskText(name), names);
        names.add(free);
        return { name: free, value: maskedValue(value) };
      }
      return {
        name,
        value: declared.has(declaredAt(at)) ? value : maskedField(value, field.type, at, declared),
      };
    }),
  );
}

function maskedField(value: string, type: FieldType, path: readonly string[], declared: Declared): string {
  if (type.kind === "object" && isObjectText(value)) return maskedObject(value, type.fields, path, declared);
  if (type.kind === "string") return isFreeText(type) ? maskedValue(value) : value;
  return type.kind === "array" || type.kind === "map" || type.kind === "json" ? maskedValue(value) : value;
}

/** A JSON value of which nothing is declared, with its strings and the names of its members masked. */
export function maskedValue(value: string): string {
  if (value.startsWith('"')) {
    const plain = JSON.parse(value) as string;
    const masked = maskText(plain);
    return masked === plain ? value : JSON.stringify(masked);
  }
  if (isArrayText(value)) return rawArray(rawItems(value).map(maskedValue));
  if (!isObjectText(value)) return value;
  const names = new Set<string>();
  return rawObject(
    rawMembers(value).map((member) => {
      const name = freeName(maskText(member.name), names);
      names.add(name);
      return { name, value: maskedValue(member.value) };
    }),
  );
}

/** Two names that are masked to the same stay two. */
function freeName(name: string, taken: ReadonlySet<string>): string {
  let free = name;
  for (let n = 2; taken.has(free); n++) free = `${name} ${n}`;
  return free;
}
