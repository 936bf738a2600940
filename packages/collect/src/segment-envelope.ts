import type { Body } from "./protocol.ts";
import { skipSpace } from "./scan.ts";
import { elementEnd, stringEnd } from "./split.ts";

/** What stands around the messages of a Segment batch. */
export interface Envelope {
  readonly writeKey: string | undefined;
  /** Positions of the `[` of each member `batch` that is an array. */
  readonly batches: readonly number[];
  readonly context: { readonly start: number; readonly end: number } | undefined;
  /** The position after the envelope, or from which on it is not an object any more. */
  readonly end: number;
}

/**
 * Finds the members of a JSON object by its strings and brackets alone. It does not judge: a fault inside the batch, where
 * the messages are read with care, must not cost the messages before it. `{"batch":[{"a":tru}],...}` has a batch and a key.
 */
export function readEnvelope({ bytes, start, end }: Body): Envelope {
  const batches: number[] = [];
  let writeKey: string | undefined;
  let context: Envelope["context"];
  let at = skipSpace(bytes, start, end);
  let known = at;
  if (at < end && bytes[at] === 0x7b) {
    at = skipSpace(bytes, at + 1, end);
    while (at < end && bytes[at] === 0x22) {
      const nameEnd = stringEnd(bytes, at + 1, end);
      const value = valueAfter(bytes, nameEnd + 1, end);
      if (value < 0) break;
      const valueStop = valueEnd(bytes, value, end);
      const name = textOf(bytes, at, nameEnd + 1);
      if (name === "batch" && bytes[value] === 0x5b) batches.push(value);
      if (valueStop < 0) break;
      if (name === "writeKey" && bytes[value] === 0x22) writeKey ??= textOf(bytes, value, valueStop);
      if (name === "context") context ??= { start: value, end: valueStop };
      known = valueStop;
      at = skipSpace(bytes, valueStop, end);
      if (bytes[at] !== 0x2c) break;
      at = skipSpace(bytes, at + 1, end);
    }
    at = skipSpace(bytes, known, end);
    if (at < end && bytes[at] === 0x7d) known = at + 1;
  }
  return { writeKey, batches, context, end: known };
}

/** The position of the value behind the colon that follows `at`, or -1. */
function valueAfter(bytes: Uint8Array, at: number, end: number): number {
  const colon = skipSpace(bytes, at, end);
  if (colon >= end || bytes[colon] !== 0x3a) return -1;
  const value = skipSpace(bytes, colon + 1, end);
  return value < end ? value : -1;
}

/** The position after a value, or -1 if its strings and brackets do not close. */
function valueEnd(bytes: Uint8Array, start: number, end: number): number {
  if (bytes[start] === 0x5b) return arrayEnd(bytes, start, end);
  let depth = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === 0x22) at = stringEnd(bytes, at + 1, end);
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (depth === 0 && (byte === 0x2c || byte === 0x7d || byte === 0x5d)) return at;
    else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return -1;
}

/** The position after an array, by the rule that finds its elements when it is read: both must see the same end. */
function arrayEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  do {
    at = elementEnd(bytes, at + 1, end);
    if (at < 0) return -1;
  } while (bytes[at] === 0x2c);
  return at + 1;
}

/** The JSON string at `start..end`, quotes included; undefined if it is none. */
function textOf(bytes: Buffer, start: number, end: number): string | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8", start, end));
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
