import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What a backfill reads: files, or an interval of the source itself. */
export interface BackfillScope {
  readonly id: string;
  readonly source: string;
  readonly contract: string;
  /** What its parts are. */
  readonly unit: "files" | "types" | "objects" | "tables";
  /** The pattern of its files, absolute; null of an interval. */
  readonly pattern: string | null;
  /** The interval, ISO 8601, `to` not included; null of files. */
  readonly from: string | null;
  readonly to: string | null;
  /** That it is an interval of; null where the source has one time only. */
  readonly column: string | null;
  /** Of the engine's time, while live records come. */
  readonly share: number;
}

/** One backfill, as its file tells: `backfill/<id>.json` in the data directory. */
export interface BackfillState extends BackfillScope {
  /** `stopped`: its process ended before it was done; the same command goes on with it. */
  readonly state: "running" | "stopped" | "done" | "cancelled";
  /** Of the process that runs it or did. */
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly parts: number;
  /** Read to their end, and such that could not be read: a damaged file, an object that the user may not see. */
  readonly partsDone: number;
  readonly partsFailed: number;
  /** Of all files, and of those that are done; null of an interval. */
  readonly bytes: number | null;
  readonly bytesDone: number | null;
  /** Records appended by its last process. */
  readonly rows: number;
  readonly problem: string | null;
}

/**
 * The same command is the same backfill: begun again it goes on, and when it is done it is done.
 *
 * @returns 8 hexadecimal digits
 */
const idOf = (...parts: readonly string[]): string =>
  createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 8);

export const filesBackfillId = (source: string, contract: string, pattern: string): string =>
  idOf(source, contract, pattern);

/** @param from and to, ISO 8601 in UTC, so that a time has one text */
export const intervalBackfillId = (
  source: string,
  unit: string,
  from: string,
  to: string,
  column = "",
  tables: readonly string[] = [],
): string => idOf(source, "interval", unit, from, to, column, ...tables);

export const writerOf = (id: string): string => `backfill-${id}`;
const directoryOf = (dataDir: string): string => join(dataDir, "backfill");
export const stateFile = (dataDir: string, id: string): string => join(directoryOf(dataDir), `${id}.json`);
/** What its capture knows; see `runBackfill`. */
export const cursorFile = (dataDir: string, id: string): string => join(directoryOf(dataDir), `${id}.cursor`);
const cancelFile = (dataDir: string, id: string): string => join(directoryOf(dataDir), `${id}.cancel`);

/** Replaces the file as a whole. It is for people: nothing that has to survive a loss of power is in it alone. */
export function saveState(dataDir: string, state: BackfillState): void {
  const path = stateFile(dataDir, state.id);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(`${path}.new`, JSON.stringify(state));
  renameSync(`${path}.new`, path);
}

/** Every backfill of a data directory, newest first. */
export function readBackfills(dataDir: string): BackfillState[] {
  if (!existsSync(directoryOf(dataDir))) return [];
  const ids = readdirSync(directoryOf(dataDir)).flatMap(
    (name) => /^([0-9a-f]{8})\.json$/.exec(name)?.[1] ?? [],
  );
  return ids
    .flatMap((id) => readBackfill(dataDir, id) ?? [])
    .sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

export function readBackfill(dataDir: string, id: string): BackfillState | undefined {
  let text: string;
  try {
    text = readFileSync(stateFile(dataDir, id), "utf8");
  } catch {
    return undefined;
  }
  const state = JSON.parse(text) as BackfillState;
  // An earlier version wrote it, without what is shown now. The cursor is good: the same command goes on.
  if (typeof state.parts !== "number") return undefined;
  return state.state === "running" && !isAlive(state.pid) ? { ...state, state: "stopped" } : state;
}

/** Asks the process that runs it to end. */
export const askToCancel = (dataDir: string, id: string): void => writeFileSync(cancelFile(dataDir, id), "");
export const isCancelAsked = (dataDir: string, id: string): boolean => existsSync(cancelFile(dataDir, id));
export const forgetCancel = (dataDir: string, id: string): void =>
  rmSync(cancelFile(dataDir, id), { force: true });

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
