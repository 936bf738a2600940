/** Reading segments: what a sealed one is, whether it is still that, and whether an open one holds anything. */
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import { crc32 } from "node:zlib";
import { WeirError } from "@weir/contract";
import { ifPresent } from "./file-system.ts";
import { segmentPath } from "./layout.ts";
import type { Marker } from "./marker.ts";
import { findMarker, maxMarkerBytes, parseMarker } from "./marker.ts";
import type { StreamName } from "./position.ts";
import type { SegmentRef } from "./store.ts";

/** Large enough that calls do not count, small enough to be in the cache still when its CRC is computed. */
const chunkBytes = 1 << 20;
const lf = 0x0a;
const zero = 0x30;

/** The sealed segment of that number, from its last line; undefined if there is none. Throws `segment_corrupt`. */
export async function describeSegment(
  directory: string,
  { source, writer }: StreamName,
  number: number,
): Promise<SegmentRef | undefined> {
  const path = segmentPath(directory, number, "seg");
  const file = await ifPresent(open(path, "r"));
  if (file === undefined) return undefined;
  try {
    const bytes = (await file.stat()).size;
    const { records, firstReceivedUs, lastReceivedUs, crc32 } = await readSeal(file, bytes, path);
    return { source, writer, number, records, bytes, firstReceivedUs, lastReceivedUs, crc32 };
  } finally {
    await file.close();
  }
}

async function readSeal(file: FileHandle, bytes: number, path: string): Promise<Marker> {
  const length = Math.min(bytes, maxMarkerBytes);
  const tail = Buffer.alloc(length);
  await file.read(tail, 0, length, bytes - length);
  const start = tail.lastIndexOf(lf, -2) + 1;
  const seal = tail.at(-1) === lf ? parseMarker(tail.toString("latin1", start, length - 1)) : undefined;
  if (seal?.kind !== "seal" || seal.bytes !== bytes - length + start) {
    throw new WeirError("segment_corrupt", "the segment does not end with its seal", { where: path });
  }
  return seal;
}

/** Reads the whole segment and compares. Throws `segment_corrupt` or `segment_missing`. Returns its path. */
export async function verifySegment(directory: string, ref: SegmentRef): Promise<string> {
  const path = segmentPath(directory, ref.number, "seg");
  const file = await ifPresent(open(path, "r"));
  if (file === undefined)
    throw new WeirError("segment_missing", "the segment is not in the log", { where: path });
  try {
    const corrupt = (what: string, is: number, should: number) =>
      new WeirError("segment_corrupt", `the segment has ${what} ${is}, its seal says ${should}`, {
        where: path,
      });
    const bytes = (await file.stat()).size;
    if (bytes !== ref.bytes) throw corrupt("length", bytes, ref.bytes);
    const seal = await readSeal(file, bytes, path);
    if (seal.crc32 !== ref.crc32) throw corrupt("CRC-32", ref.crc32, seal.crc32);
    if (seal.records !== ref.records) throw corrupt("records", ref.records, seal.records);
    const content = await sumContent(file, seal.bytes);
    if (content.crc32 !== seal.crc32) throw corrupt("CRC-32", content.crc32, seal.crc32);
    if (content.records !== seal.records) throw corrupt("records", content.records, seal.records);
    return path;
  } finally {
    await file.close();
  }
}

/** CRC-32 and number of lines that are no markers, of the first `bytes` bytes. */
async function sumContent(file: FileHandle, bytes: number): Promise<{ crc32: number; records: number }> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(bytes, chunkBytes));
  let sum = 0;
  let records = 0;
  let atLineStart = true;
  for (let position = 0; position < bytes;) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, bytes - position), position);
    if (bytesRead === 0) break;
    const chunk = buffer.subarray(0, bytesRead);
    sum = crc32(chunk, sum);
    if (atLineStart && chunk[0] !== zero) records += 1;
    let end = chunk.indexOf(lf);
    while (end >= 0 && end < bytesRead - 1) {
      if (chunk[end + 1] !== zero) records += 1;
      end = chunk.indexOf(lf, end + 1);
    }
    atLineStart = end === bytesRead - 1;
    position += bytesRead;
  }
  return { crc32: sum, records };
}

/** Whether the open segment has a group marker. Nothing is verified. False if there is no such file. */
export async function hasGroup(directory: string, number: number): Promise<boolean> {
  const file = await ifPresent(open(segmentPath(directory, number, "open"), "r"));
  if (file === undefined) return false;
  try {
    const buffer = Buffer.allocUnsafeSlow(chunkBytes + maxMarkerBytes);
    let kept = 0;
    for (let position = 0; ;) {
      const { bytesRead } = await file.read(buffer, kept, chunkBytes, position);
      if (bytesRead === 0) return false;
      const bytes = buffer.subarray(0, kept + bytesRead);
      let found = findMarker(bytes, 0);
      while (found !== undefined && found.marker === undefined) found = findMarker(bytes, found.end);
      if (found !== undefined) return true;
      position += bytesRead;
      // A marker may straddle the border.
      kept = Math.min(bytes.length, maxMarkerBytes);
      bytes.copy(buffer, 0, bytes.length - kept);
    }
  } finally {
    await file.close();
  }
}
