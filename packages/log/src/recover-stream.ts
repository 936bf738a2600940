import { rename } from "node:fs/promises";
import type { FileSystem } from "./file-system.ts";
import type { Listing } from "./layout.ts";
import { listSegments, readFloor, removeFile, segmentPath, writeFloor } from "./layout.ts";
import type { StreamName } from "./position.ts";
import type { RecoveryReport } from "./recover.ts";
import { recoverSegment } from "./recover.ts";
import type { LogEvent } from "./store.ts";

type Tell = (event: Omit<LogEvent, keyof StreamName>) => void;

/**
 * Seals what a crash left open and deletes what a removal left behind. Needs the stream's lock. Returns the number
 * of the next segment.
 */
export async function recoverStream(
  files: FileSystem,
  directory: string,
  report: RecoveryReport,
  tell: Tell,
): Promise<number> {
  const listing = await listSegments(directory);
  const { sealed, open } = listing;
  const floor = await closeGap(files, directory, listing, tell);
  for (const number of sealed) if (number <= floor) await removeFile(segmentPath(directory, number, "seg"));
  let next = Math.max(floor, sealed.at(-1) ?? 0) + 1;
  const recoverOne = async (number: number) => {
    if (await recoverSegment(files, directory, number, report)) next = Math.max(next, number + 1);
  };
  const taken = new Set(sealed);
  const inPlace = open.filter((number) => number > floor && !taken.has(number));
  for (const number of inPlace) await recoverOne(number);
  // Copying or restoring files by hand can leave these; no crash does. The same records twice do no harm.
  for (const number of open.filter((number) => !inPlace.includes(number))) {
    await rename(segmentPath(directory, number, "open"), segmentPath(directory, next, "open"));
    await files.syncDirectory(directory);
    await recoverOne(next);
  }
  return next;
}

/**
 * Raises the alarm if segments were deleted other than by `remove`. Readers would wait for the oldest of them forever,
 * so if nothing older is left, the floor is raised. Numbers are never moved down, as readers may be past them already.
 * Returns the floor.
 */
async function closeGap(
  files: FileSystem,
  directory: string,
  { sealed, open }: Listing,
  tell: Tell,
): Promise<number> {
  const floor = await readFloor(directory);
  let expected = floor + 1;
  let lowest: number | undefined;
  for (const number of [...sealed, ...open].sort((a, b) => a - b)) {
    if (number < expected) continue;
    lowest ??= number;
    if (number > expected) {
      const message = `segments from ${expected} to ${number - 1} were deleted, but not by Weir`;
      tell({ kind: "segments_missing", message, number: expected, code: "segment_missing" });
    }
    expected = number + 1;
  }
  if (lowest === undefined || lowest === floor + 1) return floor;
  await writeFloor(files, directory, lowest - 1);
  return lowest - 1;
}
