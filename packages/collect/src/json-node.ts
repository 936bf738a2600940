import { elementsOf, membersOf } from "./flat-record.ts";
import { MalformedMessage } from "./protobuf.ts";
import { PADDING_BYTES, type Scanner } from "./scan.ts";

/** A value within a JSON body, as far as finding the records goes. */
export interface JsonNode {
  /** @throws MalformedMessage for what is no object */
  members(): readonly (readonly [name: string, value: JsonNode])[];
  /** @throws MalformedMessage for what is no array; null is an empty one */
  elements(): readonly JsonNode[];
  /**
   * What JSON.parse makes of it, with integers beyond 2^53 as strings of digits.
   *
   * @throws MalformedMessage if it breaks a rule of I-JSON
   */
  value(): unknown;
  /** Its JSON text, one character a byte. */
  readonly text: string;
  readonly isNull: boolean;
}

/** A value of a body without faults. */
export class ParsedNode implements JsonNode {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  static of(text: string): ParsedNode {
    return new ParsedNode(parse(text));
  }

  members(): readonly (readonly [string, JsonNode])[] {
    if (!isObject(this.#value)) throw noObject();
    return Object.entries(this.#value).map(([name, value]) => [name, new ParsedNode(value)]);
  }

  elements(): readonly JsonNode[] {
    if (this.#value === null) return [];
    if (!Array.isArray(this.#value)) throw noArray();
    return this.#value.map((value) => new ParsedNode(value));
  }

  value(): unknown {
    return this.#value;
  }

  get text(): string {
    return Buffer.from(JSON.stringify(this.#value)).toString("latin1");
  }

  get isNull(): boolean {
    return this.#value === null;
  }
}

/** A value of a body with a fault that is yet to be found: each part is judged for itself. Slower than the other by a factor. */
export class TextNode implements JsonNode {
  readonly text: string;
  readonly #scanner: Scanner;

  /** `text` is minified and grammatical; one character a byte. */
  constructor(text: string, scanner: Scanner) {
    this.text = text;
    this.#scanner = scanner;
  }

  members(): readonly (readonly [string, JsonNode])[] {
    if (!this.text.startsWith("{")) throw noObject();
    return membersOf(this.text).map(({ name, value }) => [name, new TextNode(value, this.#scanner)]);
  }

  elements(): readonly JsonNode[] {
    if (this.isNull) return [];
    if (!this.text.startsWith("[")) throw noArray();
    return elementsOf(this.text).map((element) => new TextNode(element, this.#scanner));
  }

  value(): unknown {
    const bytes = Buffer.from(this.text + "\0".repeat(PADDING_BYTES), "latin1");
    const end = bytes.length - PADDING_BYTES;
    this.#scanner.open(bytes, false, { depth: 512, recordBytes: Infinity });
    this.#scanner.scan(0, end);
    this.#scanner.checkUtf8(0, end);
    const { code, detail } = this.#scanner;
    if (code !== undefined && code !== "not_an_object")
      throw new MalformedMessage(detail, code as MalformedMessage["code"]);
    return parse(bytes.toString("utf8", 0, end));
  }

  get isNull(): boolean {
    return this.text === "null";
  }
}

/** Where a bare integer that a double does not hold may be. */
const mayHoldLongInteger = /[[:,]\s*-?\d{16}/;
const stringOrNumber = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

function parse(text: string): unknown {
  if (!mayHoldLongInteger.test(text)) return JSON.parse(text);
  return JSON.parse(
    text.replaceAll(stringOrNumber, (token) => (/^-?\d{16,}$/.test(token) ? `"${token}"` : token)),
  );
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const noObject = (): MalformedMessage => new MalformedMessage("where an object belongs is another value");
const noArray = (): MalformedMessage => new MalformedMessage("where a list belongs is another value");
