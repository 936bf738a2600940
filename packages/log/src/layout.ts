/**
 * What lies in the directory of one stream, `<root>/<source>/<writer>/`:
 *
 *     000000000042.seg              a sealed segment
 *     000000000043.open             the segment being written, at most one
 *     000000000043.damaged-1763...  what was cut out of an open segment although it had been acknowledged
 *     removed                       the floor: every number up to the one in it was removed, or is about to be
 *     lock-...                      who writes here (lock.ts)
 */
import { mkdir, open, readdir, readFile, rename, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { WeirError } from "@weir/contract";
import type { FileSystem } from "./file-system.ts";
import { ifPresent, writeAll } from "./file-system.ts";
import { formatNumber } from "./position.ts";

const segmentPattern = /^(\d{12})\.(seg|open)$/;
const floorName = "removed";

export interface Listing {
  /** Ascending. */
  readonly sealed: readonly number[];
  readonly open: readonly number[];
  /** Temporary files of a `writeFloor` that did not finish. */
  readonly leftovers: readonly string[];
}

export function segmentPath(directory: string, number: number, kind: "seg" | "open"): string {
  return join(directory, `${formatNumber(number)}.${kind}`);
}

export async function listSegments(directory: string): Promise<Listing> {
  const sealed: number[] = [];
  const open: number[] = [];
  const leftovers: string[] = [];
  for (const name of await readdir(directory)) {
    const [, number, kind] = segmentPattern.exec(name) ?? [];
    if (number !== undefined) (kind === "seg" ? sealed : open).push(Number(number));
    else if (name.startsWith(`${floorName}.`)) leftovers.push(join(directory, name));
  }
  const ascending = (a: number, b: number) => a - b;
  return { sealed: sealed.sort(ascending), open: open.sort(ascending), leftovers };
}

/**
 * The highest number that was removed; 0 if none was. It keeps numbers from being used twice after retention took
 * every file, and tells a reader that a missing segment is gone rather than yet to come, without listing anything.
 */
export async function readFloor(directory: string): Promise<number> {
  const text = await ifPresent(readFile(join(directory, floorName), "latin1"));
  if (text === undefined) return 0;
  if (!/^\d{12}\n$/.test(text)) {
    throw new WeirError("log_io_error", "the log's counter of removed segments is unreadable", {
      where: join(directory, floorName),
      remedy: "Restore it: the highest removed segment number in 12 digits and a line feed.",
    });
  }
  return Number(text);
}

/** Durable when it resolves, and either the old or the new number whatever happens meanwhile. */
export async function writeFloor(files: FileSystem, directory: string, number: number): Promise<void> {
  const path = join(directory, floorName);
  const temporary = `${path}.${process.pid}`;
  const file = await open(temporary, "w");
  try {
    await writeAll(files, file, Buffer.from(`${formatNumber(number)}\n`), 0);
    await files.sync(file);
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await files.syncDirectory(directory);
}

/** Creates the directory and what is above it, durably. */
export async function makeDirectory(files: FileSystem, directory: string): Promise<void> {
  const created = await mkdir(directory, { recursive: true });
  if (created === undefined) return;
  const top = dirname(created);
  for (let path = dirname(directory); path.length >= top.length; path = dirname(path)) {
    await files.syncDirectory(path);
    if (path === top) return;
  }
}

export async function removeFile(path: string): Promise<void> {
  await ifPresent(unlink(path));
}
