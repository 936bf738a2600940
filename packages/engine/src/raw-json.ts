/**
 * Members of minified, strict JSON as the text they were written in. `JSON.parse` rounds numbers past 2^53 and turns
 * `1e400` into Infinity; whoever must lose nothing takes the text itself.
 */
export interface RawMember {
  readonly name: string;
  readonly value: string;
}

/** The members of an object's text, in order. */
export function rawMembers(object: string): RawMember[] {
  const members: RawMember[] = [];
  for (let at = 1; at < object.length - 1;) {
    const nameEnd = stringEnd(object, at);
    const end = valueEnd(object, nameEnd + 1);
    members.push({
      name: JSON.parse(object.slice(at, nameEnd)) as string,
      value: object.slice(nameEnd + 1, end),
    });
    at = end + 1;
  }
  return members;
}

/** The items of an array's text, in order. */
export function rawItems(array: string): string[] {
  const items: string[] = [];
  for (let at = 1; at < array.length - 1;) {
    const end = valueEnd(array, at);
    items.push(array.slice(at, end));
    at = end + 1;
  }
  return items;
}

export const rawObject = (members: readonly RawMember[]): string =>
  `{${members.map(({ name, value }) => `${JSON.stringify(name)}:${value}`).join(",")}}`;

export const rawArray = (items: readonly string[]): string => `[${items.join(",")}]`;

export const isObjectText = (value: string): boolean => value.startsWith("{");
export const isArrayText = (value: string): boolean => value.startsWith("[");

const quote = 34;
const backslash = 92;

/** The position after the string that starts at `at`. */
function stringEnd(text: string, at: number): number {
  let end = at + 1;
  for (let code = text.charCodeAt(end); code !== quote; code = text.charCodeAt(end)) {
    end += code === backslash ? 2 : 1;
  }
  return end + 1;
}

/** The position after the value that starts at `at`: the comma or bracket that follows it. */
function valueEnd(text: string, at: number): number {
  let depth = 0;
  for (let end = at; end < text.length;) {
    const character = text[end];
    if (depth === 0 && (character === "," || character === "}" || character === "]")) return end;
    if (character === "{" || character === "[") depth++;
    if (character === "}" || character === "]") depth--;
    end = character === '"' ? stringEnd(text, end) : end + 1;
  }
  return text.length;
}
