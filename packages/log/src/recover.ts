/**
 * Brings an open segment that nobody writes any more into a sealed state. The order of the steps, and why each
 * crash in between is harmless, is at the head of `directory.ts`.
 */
import { open, readFile, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import type { FileSystem } from "./file-system.ts";
import { ifPresent, writeAll } from "./file-system.ts";
import { failpoint } from "./failpoint.ts";
import { segmentPath } from "./layout.ts";
import { findMarker, formatMarker } from "./marker.ts";
import type { StreamName } from "./position.ts";
import { formatNumber } from "./position.ts";
import type { LogEvent } from "./store.ts";

/** What the complete groups at the beginning of a segment add up to. */
export interface Extent {
  /** Length of the complete groups; of everything, if there is a valid seal. */
  bytes: number;
  records: number;
  /** Of the groups without the seal. */
  crc32: number;
  firstReceivedUs: number;
  lastReceivedUs: number;
}

export interface Scan extends Extent {
  readonly sealed: boolean;
}

/** Sums up what recovery cut off, and tells the operator at once: the next step may fail and be tried again. */
export class RecoveryReport {
  readonly #tell: (event: Omit<LogEvent, keyof StreamName>) => void;
  cutBytes = 0;
  damagedBytes = 0;

  constructor(tell: (event: Omit<LogEvent, keyof StreamName>) => void) {
    this.#tell = tell;
  }

  cut(number: number, bytes: number): void {
    this.cutBytes += bytes;
    const message = `cut ${bytes} bytes that were never acknowledged from the end of segment ${number}`;
    this.#tell({ kind: "tail_cut", message, number, bytes });
  }

  damaged(number: number, bytes: number, path: string): void {
    this.damagedBytes += bytes;
    const message = `acknowledged records of segment ${number} are damaged; they were set aside in ${path}`;
    this.#tell({ kind: "damaged", message, number, bytes, code: "segment_corrupt" });
  }
}

export function emptyExtent(): Extent {
  return { bytes: 0, records: 0, crc32: 0, firstReceivedUs: Infinity, lastReceivedUs: 0 };
}

/** Verifies group by group and stops at the first byte that is not part of a complete one. */
export function scanSegment(bytes: Buffer): Scan {
  const extent = emptyExtent();
  for (;;) {
    const found = findMarker(bytes, extent.bytes);
    const marker = found?.marker;
    if (found === undefined || marker === undefined) return { ...extent, sealed: false };
    const length = found.start - extent.bytes;
    if (marker.kind === "seal") {
      const { records, crc32 } = extent;
      const valid = length === 0 && marker.bytes === found.start;
      const sealed = valid && marker.records === records && marker.crc32 === crc32;
      return sealed ? { ...extent, bytes: found.end, sealed } : { ...extent, sealed };
    }
    const group = bytes.subarray(extent.bytes, found.start);
    if (length === 0 || marker.bytes !== length || crc32(group) !== marker.crc32) {
      return { ...extent, sealed: false };
    }
    extent.crc32 = crc32(bytes.subarray(extent.bytes, found.end), extent.crc32);
    extent.bytes = found.end;
    extent.records += marker.records;
    extent.firstReceivedUs = Math.min(extent.firstReceivedUs, marker.firstReceivedUs);
    extent.lastReceivedUs = Math.max(extent.lastReceivedUs, marker.lastReceivedUs);
  }
}

/**
 * Whether a complete group lies somewhere after `from`. A group is written only when the one before it is durable,
 * so bytes before a complete group were acknowledged: if they are bad, that is damage and no torn tail.
 */
function hasGroupAfter(bytes: Buffer, from: number): boolean {
  let found = findMarker(bytes, from);
  while (found !== undefined) {
    const { marker, start, end } = found;
    if (marker !== undefined) {
      const first = marker.kind === "group" ? start - marker.bytes : start;
      if (first >= from && (marker.kind === "seal" || crc32(bytes.subarray(first, start)) === marker.crc32)) {
        return true;
      }
    }
    found = findMarker(bytes, end);
  }
  return false;
}

/**
 * Keeps every complete group of `<number>.open`, cuts the rest and seals; deletes it if there is no complete group.
 * `durableBytes`: how much was made durable, where the caller knows; what follows is cut unread. Returns whether there
 * is a sealed segment of this number now. May be repeated after it failed.
 */
export async function recoverSegment(
  files: FileSystem,
  directory: string,
  number: number,
  report: RecoveryReport,
  durableBytes?: number,
): Promise<boolean> {
  const path = segmentPath(directory, number, "open");
  const bytes = await ifPresent(readFile(path));
  if (bytes === undefined) return await finishRecovery(files, directory, number);
  const scan = scanSegment(bytes.subarray(0, durableBytes ?? bytes.length));
  const rest = bytes.subarray(scan.bytes);
  const damaged = durableBytes === undefined ? hasGroupAfter(bytes, scan.bytes) : scan.bytes < durableBytes;
  if (rest.length > 0 && damaged) {
    const aside = join(directory, `${formatNumber(number)}.damaged-${Date.now()}`);
    await setAside(files, aside, rest);
    report.damaged(number, rest.length, aside);
  }
  if (scan.records === 0) {
    failpoint("log.recover.before_unlink");
    await unlink(path);
    await files.syncDirectory(directory);
  } else {
    const file = await open(path, "r+");
    try {
      failpoint("log.recover.before_cut");
      if (rest.length > 0) await file.truncate(scan.bytes);
      failpoint("log.recover.after_cut");
      if (!scan.sealed) await writeSeal(files, file, scan);
      // Also where a valid seal was found: it may be in the page cache only.
      await files.sync(file);
    } finally {
      await file.close();
    }
    await publish(files, directory, number);
  }
  if (rest.length > 0 && !damaged) report.cut(number, rest.length);
  return scan.records > 0;
}

/** An earlier attempt got as far as renaming or deleting the file, then failed. */
async function finishRecovery(files: FileSystem, directory: string, number: number): Promise<boolean> {
  const sealed = await ifPresent(stat(segmentPath(directory, number, "seg")));
  await files.syncDirectory(directory);
  return sealed !== undefined;
}

async function setAside(files: FileSystem, path: string, bytes: Buffer): Promise<void> {
  const file = await open(path, "w");
  try {
    await writeAll(files, file, bytes, 0);
    await files.sync(file);
  } finally {
    await file.close();
  }
}

/** Appends the seal marker at the end of the extent. Not yet durable. Returns its length. */
export async function writeSeal(
  files: FileSystem,
  file: Parameters<FileSystem["write"]>[0],
  extent: Extent,
): Promise<number> {
  const seal = Buffer.from(formatMarker({ kind: "seal", ...extent }), "latin1");
  await writeAll(files, file, seal, extent.bytes);
  return seal.length;
}

/** Makes a segment whose seal is durable visible to readers. */
export async function publish(files: FileSystem, directory: string, number: number): Promise<void> {
  failpoint("log.seal.before_rename");
  await rename(segmentPath(directory, number, "open"), segmentPath(directory, number, "seg"));
  failpoint("log.seal.after_rename");
  await files.syncDirectory(directory);
  failpoint("log.seal.listed");
}
