import type { Json } from "@weir/contract";
import { type FileStamp, isSameStamp } from "./open-file.ts";

/** What became of a file: all its rows are taken; or it is damaged, and waits to change. */
export type FileOutcome = "read" | "damaged";

interface Entry {
  readonly stamp: FileStamp;
  readonly identity: string;
  readonly outcome: FileOutcome;
}

/** A file that is being read. */
export interface Progress {
  readonly path: string;
  readonly stamp: FileStamp;
  readonly identity: string;
  readonly position: Json;
  readonly rows: number;
}

/** Identities of files that are gone; they only save reading such a file again, as ids tell its rows. */
const maxGone = 20_000;

/** Which files were read, as the source's cursor keeps it. Its size goes with the number of files that are there. */
export class FileLedger {
  readonly #files = new Map<string, Entry>();
  /** In the order in which they were read. */
  readonly #read = new Set<string>();
  progress: Progress | undefined;

  static of(cursor: Json | undefined): FileLedger {
    const ledger = new FileLedger();
    if (cursor === undefined) return ledger;
    const { files, read, progress } = cursor as unknown as Saved;
    for (const [path, size, mtimeNs, inode, identity, outcome] of files) {
      ledger.#files.set(path, { stamp: { size, mtimeNs, inode }, identity, outcome });
    }
    for (const identity of read) ledger.#read.add(identity);
    ledger.progress = progress ?? undefined;
    return ledger;
  }

  toJSON(): Json {
    const saved: Saved = {
      files: [...this.#files].map(([path, { stamp, identity, outcome }]) => [
        path,
        stamp.size,
        stamp.mtimeNs,
        stamp.inode,
        identity,
        outcome,
      ]),
      read: [...this.#read],
      progress: this.progress ?? null,
    };
    return saved as unknown as Json;
  }

  /** What is known of the file at a path. */
  at(path: string): Entry | undefined {
    return this.#files.get(path);
  }

  /** What became of exactly this file; undefined if it is new or has changed. */
  outcomeOf(path: string, stamp: FileStamp): FileOutcome | undefined {
    const entry = this.#files.get(path);
    return entry !== undefined && isSameStamp(entry.stamp, stamp) ? entry.outcome : undefined;
  }

  wasRead(identity: string): boolean {
    return this.#read.has(identity);
  }

  record(path: string, entry: Entry): void {
    this.#files.set(path, entry);
    if (entry.outcome === "read") this.#read.add(entry.identity);
    this.progress = undefined;
  }

  /** Forgets files that are not there any more. True if there were any. */
  keepOnly(paths: ReadonlySet<string>): boolean {
    let changed = false;
    for (const path of this.#files.keys()) {
      if (paths.has(path)) continue;
      this.#files.delete(path);
      changed = true;
    }
    const excess = this.#read.size - this.#files.size - maxGone;
    if (excess > 0) this.#forget(excess);
    return changed;
  }

  /** The numbers of files that are there, by what became of them; and one that is damaged. */
  counts(): { read: number; damaged: number; damagedPath: string | undefined } {
    let damaged = 0;
    let damagedPath: string | undefined;
    for (const [path, { outcome }] of this.#files) {
      if (outcome !== "damaged") continue;
      damaged++;
      damagedPath ??= path;
    }
    return { read: this.#files.size - damaged, damaged, damagedPath };
  }

  #forget(excess: number): void {
    const present = new Set([...this.#files.values()].map(({ identity }) => identity));
    let left = excess;
    for (const identity of this.#read) {
      if (left === 0) return;
      if (present.has(identity)) continue;
      this.#read.delete(identity);
      left--;
    }
  }
}

interface Saved {
  readonly files: readonly (readonly [
    path: string,
    size: number,
    mtimeNs: string,
    inode: string,
    identity: string,
    outcome: FileOutcome,
  ])[];
  readonly read: readonly string[];
  readonly progress: Progress | null;
}
