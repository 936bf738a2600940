import { type Scanner, skipSpace } from "./scan.ts";

/**
 * Takes the records of a body one by one. `scanner` holds the outcome of the record at `start..end`, which is never empty: without
 * `code` it is readable and `scanner.copyTo` writes it; with one, those bytes are what to keep. May throw to refuse the request.
 */
export interface RecordSink {
  record(scanner: Scanner, start: number, end: number): void;
}

/** The whole of `start..end` is one record, apart from white space around it; none if there is nothing else. */
export function splitSingle(scanner: Scanner, start: number, end: number, sink: RecordSink): void {
  const first = skipSpace(scanner.bytes, start, end);
  if (first === end) return;
  const after = scanner.scan(first, end);
  if (after >= 0) {
    const rest = skipSpace(scanner.bytes, after, end);
    if (rest < end) scanner.reject(rest);
  }
  emit(scanner, first, end, sink);
}

/**
 * NDJSON: every line that holds more than white space is one record. Lines end at LF; the CR of a CRLF is white space.
 * A line feed is never part of a record, because strings must not hold raw ones.
 */
export function splitLines(scanner: Scanner, start: number, end: number, sink: RecordSink): void {
  let line = start;
  while (line < end) {
    const feed = scanner.bytes.indexOf(0x0a, line);
    const lineEnd = feed < 0 || feed > end ? end : feed;
    splitSingle(scanner, line, lineEnd, sink);
    line = lineEnd + 1;
  }
}

/** A JSON array gives its elements as records, anything else is one record. What follows the array is one unreadable record. */
export function splitJson(scanner: Scanner, start: number, end: number, sink: RecordSink): void {
  const first = skipSpace(scanner.bytes, start, end);
  if (first === end || scanner.bytes[first] !== 0x5b) return splitSingle(scanner, first, end, sink);
  const after = splitArray(scanner, first, end, sink);
  if (after < 0) return;
  const rest = skipSpace(scanner.bytes, after, end);
  if (rest < end) emitRest(scanner, rest, end, "bytes after the array", sink);
}

/**
 * The elements of the JSON array whose `[` is at `open` are the records. Returns the position after its `]`, or -1 if the
 * rest of the body was given to the sink as one unreadable record.
 *
 * An element is what stands between two commas, or a comma and a bracket of the array, outside strings and inner brackets. It
 * is readable if all of it is one object that the scanner accepts. Where the scanner stops inside an element, that rule alone finds
 * its end, read from its start: `"` opens and closes strings, `\` inside a string hides the next byte, `{` and `[` open, `}` and
 * `]` close (a `}` too many closes nothing). If it finds none, everything from the element's start on is one unreadable record,
 * for it cannot be attributed: a quote too many turns structure into content, and content into structure.
 * An element with nothing in it (`[1,,2]`, `[1,]`) is an unreadable record too, which holds the comma after it, or the separator
 * before it where there is none after.
 */
export function splitArray(scanner: Scanner, open: number, end: number, sink: RecordSink): number {
  const bytes = scanner.bytes;
  let separator = open;
  let start = skipSpace(bytes, open + 1, end);
  if (start < end && bytes[start] === 0x5d) return start + 1;
  for (;;) {
    const next = scanElement(scanner, start, end);
    const stop = next < 0 ? end : next;
    if (start < stop) emit(scanner, start, stop, sink);
    else if (stop < end && bytes[stop] === 0x2c) emit(scanner, stop, stop + 1, sink);
    else emit(scanner, separator, separator + 1, sink);
    if (next < 0) return -1;
    if (bytes[next] === 0x5d) return next + 1;
    separator = next;
    start = skipSpace(bytes, next + 1, end);
  }
}

/** Gives `start..end` to the sink as one unreadable record. */
export function emitRest(scanner: Scanner, start: number, end: number, why: string, sink: RecordSink): void {
  scanner.fail("invalid_json", why);
  emit(scanner, start, end, sink);
}

/** Scans the element at `start`. Returns the position of the comma or bracket that ends it, or -1 if there is none. */
function scanElement(scanner: Scanner, start: number, end: number): number {
  const bytes = scanner.bytes;
  const after = scanner.scan(start, end);
  if (after >= 0) {
    const next = skipSpace(bytes, after, end);
    if (next < end && (bytes[next] === 0x2c || bytes[next] === 0x5d)) return next;
    scanner.reject(next);
  }
  return elementEnd(bytes, start, end);
}

/**
 * The position of the comma or bracket that ends the array element at `start` by the rule of `splitArray`, or -1. Reads every byte
 * at most once, so a body of broken elements costs twice a good one.
 */
export function elementEnd(bytes: Uint8Array, start: number, end: number): number {
  let depth = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === 0x22) {
      at = stringEnd(bytes, at + 1, end);
    } else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (depth === 0 && (byte === 0x2c || byte === 0x5d)) return at;
    else if ((byte === 0x7d || byte === 0x5d) && depth > 0) depth--;
  }
  return -1;
}

/** The position of the quote that closes the string whose content starts at `at`, or `end`. Accepts any content. */
export function stringEnd(bytes: Uint8Array, at: number, end: number): number {
  while (at < end && bytes[at] !== 0x22) at += bytes[at] === 0x5c ? 2 : 1;
  return Math.min(at, end);
}

function emit(scanner: Scanner, start: number, end: number, sink: RecordSink): void {
  const bytes = scanner.bytes;
  let last = end;
  while (last > start + 1 && bytes[last - 1]! <= 0x20 && isSpace(bytes[last - 1]!)) last--;
  scanner.checkUtf8(start, last);
  sink.record(scanner, start, last);
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
