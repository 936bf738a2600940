import { isObject } from "./json-node.ts";
import {
  type OtlpAttribute,
  type OtlpLog,
  type OtlpScope,
  doubleText,
  emptyScope,
  objectText,
} from "./otlp-log-text.ts";
import { MalformedMessage } from "./protobuf.ts";

/** The messages of OTLP from their JSON, each from what JSON.parse made of it. All throw MalformedMessage. */

type Message = Readonly<Record<string, unknown>>;

export function logOf(value: unknown, depth: number): OtlpLog {
  const message = messageOf(value, "a log record");
  const body = message["body"];
  return {
    timeNs: nanosecondsOf(message, "timeUnixNano"),
    observedNs: nanosecondsOf(message, "observedTimeUnixNano"),
    severityNumber: unsignedOf(message, "severityNumber"),
    severityText: textOf(message["severityText"], "severityText"),
    body: body === undefined || body === null ? undefined : valueOf(body, depth),
    eventName: textOf(message["eventName"], "eventName"),
    traceId: hexOf(message, "traceId"),
    spanId: hexOf(message, "spanId"),
    flags: unsignedOf(message, "flags"),
    attributes: attributesOf(message, "a log record", depth),
    droppedAttributes: unsignedOf(message, "droppedAttributesCount"),
  };
}

export function scopeOf(value: unknown, depth: number): OtlpScope {
  const message = messageOf(value, "scope");
  return {
    ...emptyScope(),
    name: textOf(message["name"], "name"),
    version: textOf(message["version"], "version"),
    attributes: attributesOf(message, "scope", depth),
  };
}

/** The member `attributes` of a message. */
export function attributesOf(value: unknown, what: string, depth: number): OtlpAttribute[] {
  const { attributes } = messageOf(value, what);
  return keyValuesOf(attributes, "attributes", depth);
}

export function textOf(value: unknown, name: string): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return value;
  throw new MalformedMessage(`${name} is no string`);
}

function keyValuesOf(list: unknown, what: string, depth: number): OtlpAttribute[] {
  return listOf(list, what).map((element) => {
    const { key, value } = messageOf(element, "an attribute");
    return {
      name: textOf(key, "key"),
      value: value === undefined || value === null ? "null" : (valueOf(value, depth) ?? "null"),
    };
  });
}

/** The JSON text of an AnyValue; undefined if none of its members is there. */
function valueOf(value: unknown, depth: number): string | undefined {
  if (depth === 0)
    throw new MalformedMessage("lists and maps are nested deeper than the source allows", "too_deep");
  const message = messageOf(value, "a value");
  let text: string | undefined;
  for (const [kind, content] of Object.entries(message)) {
    if (content !== null) text = contentText(kind, content, depth) ?? text;
  }
  return text;
}

/** The JSON text of the member `kind` of an AnyValue; undefined for members that it does not have. */
function contentText(kind: string, content: unknown, depth: number): string | undefined {
  switch (kind) {
    case "stringValue":
      return JSON.stringify(textOf(content, kind));
    case "boolValue":
      if (typeof content === "boolean") return String(content);
      throw new MalformedMessage("boolValue is no boolean");
    case "intValue":
      return integerText(content);
    case "doubleValue":
      return doubleText(doubleOf(content));
    case "arrayValue": {
      const values = listOf(messageOf(content, kind)["values"], "values");
      return `[${values.map((one) => valueOf(one, depth - 1) ?? "null").join(",")}]`;
    }
    case "kvlistValue":
      return objectText(keyValuesOf(messageOf(content, kind)["values"], "values", depth - 1));
    case "bytesValue":
      return bytesText(textOf(content, kind));
    default:
      return undefined;
  }
}

function integerText(value: unknown): string {
  if (typeof value === "number" && Number.isSafeInteger(value)) return String(value + 0);
  if (typeof value === "string" && /^-?\d{1,20}$/.test(value)) {
    const integer = BigInt(value);
    if (BigInt.asIntN(64, integer) === integer) return String(integer);
  }
  throw new MalformedMessage("intValue is no integer of 64 bits");
}

const doubleWords: ReadonlySet<unknown> = new Set(["NaN", "Infinity", "-Infinity"]);

function doubleOf(value: unknown): number {
  if (typeof value === "number") return value;
  const isNumeric = typeof value === "string" && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value);
  if (isNumeric || doubleWords.has(value)) return Number(value);
  throw new MalformedMessage("doubleValue is no number");
}

/** Base 64 of either alphabet, with padding or without (proto3's JSON mapping), as base 64 with padding. */
function bytesText(text: string): string {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw new MalformedMessage("bytesValue is no base 64");
  return `"${Buffer.from(text, "base64").toString("base64")}"`;
}

function nanosecondsOf(message: Message, name: string): bigint {
  const value = message[name];
  if (value === undefined || value === null) return 0n;
  const isDigits = typeof value === "string" && /^\d{1,20}$/.test(value);
  if (isDigits || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0)) {
    const ns = BigInt(value);
    if (BigInt.asUintN(64, ns) === ns) return ns;
  }
  throw new MalformedMessage(`${name} is no number of nanoseconds`);
}

function unsignedOf(message: Message, name: string): number {
  const value = message[name];
  if (value === undefined || value === null) return 0;
  const number = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0 && number < 2 ** 32)
    return number;
  throw new MalformedMessage(`${name} is no whole number of 32 bits`);
}

function hexOf(message: Message, name: string): string {
  const text = textOf(message[name], name);
  if (/^([0-9a-fA-F]{2})*$/.test(text)) return text.toLowerCase();
  throw new MalformedMessage(`${name} is not in hexadecimal`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new MalformedMessage(`${what} is no list`);
}

function messageOf(value: unknown, what: string): Message {
  if (isObject(value)) return value;
  throw new MalformedMessage(`${what} is no object`);
}
