/**
 * What lies in the directory of one stream, `<root>/<source>/<writer>/`:
 *
 *     000000000042.seg              a sealed segment
 *     000000000043.open             the segment being written, at most one
 *     000000000043.damaged-1763...  what was cut out of an open segment although it had been acknowledged
 *     removed -> 000000000041       the floor: every number up to this one was removed, or is about to be
 *     lock-...                      who writes here (lock.ts)
 */
import { mkdir, readdir, readlink, rename, symlink, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { WeirError } from "@weir/contract";
import type { FileSystem } from "./file-system.ts";
import { ifPresent } from "./file-system.ts";
import { formatNumber } from "./position.ts";

const segmentPattern = /^(\d{12})\.(seg|open)$/;
const floorName = "removed";

export interface Listing {
  /** Ascending. */
  readonly sealed: readonly number[];
  readonly open: readonly number[];
}

export function segmentPath(directory: string, number: number, kind: "seg" | "open"): string {
  return join(directory, `${formatNumber(number)}.${kind}`);
}

export async function listSegments(directory: string): Promise<Listing> {
  const sealed: number[] = [];
  const open: number[] = [];
  for (const name of await readdir(directory)) {
    const [, number, kind] = segmentPattern.exec(name) ?? [];
    if (number !== undefined) (kind === "seg" ? sealed : open).push(Number(number));
  }
  const ascending = (a: number, b: number) => a - b;
  return { sealed: sealed.sort(ascending), open: open.sort(ascending) };
}

/**
 * The highest number that was removed; 0 if none was. It keeps numbers from being used twice after retention took
 * every file, and tells a reader that a missing segment is gone rather than yet to come, without listing anything.
 *
 * It is the target of a symbolic link, which points at nothing: a file would need a block, and removing segments is
 * what must work on a full disk.
 */
export async function readFloor(directory: string): Promise<number> {
  const path = join(directory, floorName);
  const text = await ifPresent(readlink(path));
  if (text === undefined) return 0;
  if (!/^\d{12}$/.test(text)) {
    throw new WeirError("log_io_error", `the log's floor, ${JSON.stringify(text)}, is no segment number`, {
      where: path,
      remedy: "Point the symbolic link at the highest removed segment number, in 12 digits.",
    });
  }
  return Number(text);
}

/** Durable when it resolves, and either the old or the new number whatever happens meanwhile. */
export async function writeFloor(files: FileSystem, directory: string, number: number): Promise<void> {
  const path = join(directory, floorName);
  const temporary = `${path}.new`;
  await removeFile(temporary);
  await symlink(formatNumber(number), temporary);
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
