import { crc32 } from "node:zlib";

/**
 * Marker lines: what the log itself writes between the records. A marker is a log line like any other (7 columns,
 * LF) whose line number is 0, so a reader of records skips it by its first column:
 *
 *     0 <TAB> us <TAB> #group <TAB> 0 <TAB> 0 <TAB> <TAB> {"records":2,"bytes":86,"crc32":991628760,...} <LF>
 *
 * `#group` closes the records since the marker before: `records`, `bytes`, `crc32` are theirs alone. `#seal` is the
 * last line of a sealed segment and speaks of everything before it. The last member, `check`, is the CRC-32 of the
 * marker's own line up to there. A record's columns contain no LF, so the bytes LF 0 TAB begin a marker and nothing else.
 */
export interface Marker {
  readonly kind: "group" | "seal";
  readonly records: number;
  readonly bytes: number;
  readonly crc32: number;
  readonly firstReceivedUs: number;
  readonly lastReceivedUs: number;
}

/** No marker is longer: 108 fixed bytes, two CRCs of 10 digits and four integers of 16. */
export const maxMarkerBytes = 256;

const pattern =
  /^(0\t\d+\t#(group|seal)\t0\t0\t\t\{"records":(\d+),"bytes":(\d+),"crc32":(\d+),"firstReceivedUs":(\d+),"lastReceivedUs":(\d+)),"check":(\d+)\}$/;
const markerStart = Buffer.from("\n0\t");
const zero = 0x30;
const tab = 0x09;
const lf = 0x0a;

/** The marker's line in ASCII, LF included. */
export function formatMarker(marker: Marker): string {
  const { kind, records, bytes, crc32: sum, firstReceivedUs, lastReceivedUs } = marker;
  const content = JSON.stringify({ records, bytes, crc32: sum, firstReceivedUs, lastReceivedUs });
  const checked = `0\t${lastReceivedUs}\t#${kind}\t0\t0\t\t${content.slice(0, -1)}`;
  return `${checked},"check":${crc32(checked)}}\n`;
}

/** A marker from its line without the LF; undefined if it is none, or not intact. */
export function parseMarker(line: string): Marker | undefined {
  const [, checked = "", kind, records, bytes, sum, first, last, check] = pattern.exec(line) ?? [];
  if (kind === undefined || crc32(checked) !== Number(check)) return undefined;
  return {
    kind: kind as Marker["kind"],
    records: Number(records),
    bytes: Number(bytes),
    crc32: Number(sum),
    firstReceivedUs: Number(first),
    lastReceivedUs: Number(last),
  };
}

export interface FoundMarker {
  /** Undefined if the line begins like a marker, but is none. */
  readonly marker: Marker | undefined;
  /** Offsets of its first byte and of the byte after its LF. */
  readonly start: number;
  readonly end: number;
}

/** The first complete line at or after `from` (itself the start of a line) that begins as markers do. */
export function findMarker(bytes: Buffer, from: number): FoundMarker | undefined {
  let start = from;
  if (bytes[from] !== zero || bytes[from + 1] !== tab) {
    const before = bytes.indexOf(markerStart, from);
    if (before < 0) return undefined;
    start = before + 1;
  }
  const end = bytes.indexOf(lf, start) + 1;
  if (end === 0) return undefined;
  const line = end - start > maxMarkerBytes ? "" : bytes.toString("latin1", start, end - 1);
  return { marker: parseMarker(line), start, end };
}
