import type { Scanner } from "./scan.ts";

/**
 * Pieces of minified JSON objects, cut out and put together again without parsing values, so that every number and string
 * stays as the client wrote it (JSON.parse would make 10.50 of 10.5 and lose digits beyond 2^53). Texts here are latin1: one
 * character is one byte of UTF-8, which makes cutting free and exact.
 */
export interface Member {
  /** The name as a text, unescaped. */
  readonly name: string;
  /** The name as written, with its quotes; and the value. Both latin1. */
  readonly nameText: string;
  readonly value: string;
}

/** The minified text of the scanner's record, which must be readable, as latin1. */
export function scannedText(scanner: Scanner): string {
  const text = Buffer.allocUnsafe(scanner.textBytes);
  scanner.copyTo(text, 0);
  return text.toString("latin1");
}

/** The members of a minified, valid JSON object, in order. */
export function membersOf(text: string): Member[] {
  const members: Member[] = [];
  let at = 1;
  while (text.charCodeAt(at) === 0x22) {
    const nameEnd = stringEnd(text, at);
    const end = valueEnd(text, nameEnd + 1);
    const nameText = text.slice(at, nameEnd);
    members.push({ name: unescaped(nameText), nameText, value: text.slice(nameEnd + 1, end) });
    at = end + 1;
  }
  return members;
}

/** The elements of a minified, valid JSON array, in order. */
export function elementsOf(text: string): string[] {
  const elements: string[] = [];
  for (let at = 1; at < text.length - 1;) {
    const end = valueEnd(text, at);
    elements.push(text.slice(at, end));
    at = end + 1;
  }
  return elements;
}

/** The string of a JSON text in latin1, or undefined if it is another kind of value. */
export function stringOf(value: string | undefined): string | undefined {
  return value !== undefined && value.startsWith('"') ? unescaped(value) : undefined;
}

/** JSON text of a string, in latin1. */
export function quoted(text: string): string {
  return Buffer.from(JSON.stringify(text)).toString("latin1");
}

function unescaped(quotedText: string): string {
  // eslint-disable-next-line no-control-regex
  if (!/[\\\x80-\xff]/.test(quotedText)) return quotedText.slice(1, -1);
  return JSON.parse(Buffer.from(quotedText, "latin1").toString()) as string;
}

/** The position after the string whose opening quote is at `at`. */
function stringEnd(text: string, at: number): number {
  let end = at;
  do {
    end = text.indexOf('"', end + 1);
  } while (isEscaped(text, end));
  return end + 1;
}

/** Whether an odd number of backslashes stands before `at`. */
function isEscaped(text: string, at: number): boolean {
  let before = at;
  while (text.charCodeAt(before - 1) === 0x5c) before--;
  return (at - before) % 2 === 1;
}

/** The position after the value at `at`: of the comma, brace or bracket that follows it. */
function valueEnd(text: string, at: number): number {
  let depth = 0;
  for (;;) {
    const unit = text.charCodeAt(at);
    if (unit === 0x22) {
      at = stringEnd(text, at);
      continue;
    }
    if (depth === 0 && (unit === 0x2c || unit === 0x7d || unit === 0x5d)) return at;
    if (unit === 0x7b || unit === 0x5b) depth++;
    else if (unit === 0x7d || unit === 0x5d) depth--;
    at++;
  }
}

/** A JSON object put together member by member; no name twice. */
export class FlatRecord {
  readonly #names = new Set<string>();
  readonly #parts: string[] = [];
  nulls = 0;

  get keys(): number {
    return this.#parts.length;
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** Adds a member if there is none of that name; tells whether it did. */
  add(name: string, value: string, nameText: string = quoted(name)): boolean {
    if (this.#names.has(name)) return false;
    this.#names.add(name);
    this.#parts.push(`${nameText}:${value}`);
    if (value === "null") this.nulls++;
    return true;
  }

  /** Adds a member under the name, or the name with as many `_` behind it as it takes. */
  addBeside(name: string, value: string): void {
    let free = name;
    while (this.#names.has(free)) free += "_";
    this.add(free, value);
  }

  /** The object as minified JSON, in latin1. */
  get text(): string {
    return `{${this.#parts.join(",")}}`;
  }
}
