import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { ifPresent } from "./file-system.ts";

export interface DiskBoundOptions {
  readonly maxBytes: number;
  readonly minFreeBytes: number;
  /** How often a full log looks for room. */
  readonly retryMs: number;
}

/** A look at the file system is one call; counting the stream's files costs one call a file. */
const statMaxAgeMs = 1_000;
const countMaxAgeMs = 60_000;
/** Counting takes at most one part in this of the time. */
const countShare = 10;
/** Files asked for their size at a time. */
const countWidth = 64;

/**
 * Decides, without waiting, whether the stream may grow. It knows the room as of its last look and subtracts what
 * was taken since; it looks again when half of that is gone, after a second, and repeatedly while there is no room.
 * Other processes may use the disk up in between; `minFreeBytes` is the margin for that.
 */
export class DiskBound {
  readonly #directory: string;
  readonly #options: DiskBoundOptions;
  readonly #pendingBytes: () => number;
  readonly #changed: (full: boolean) => void;
  #free = 0;
  #counted = 0;
  #roomAtLook = 0;
  #lookedAt = -Infinity;
  #countedAt = -Infinity;
  #countTookMs = 0;
  #looking: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** What the append that found no room needed; 0 while there is room. */
  #refusedBytes = 0;
  #closed = false;

  constructor(
    directory: string,
    options: DiskBoundOptions,
    pendingBytes: () => number,
    changed: (full: boolean) => void,
  ) {
    this.#directory = directory;
    this.#options = options;
    this.#pendingBytes = pendingBytes;
    this.#changed = changed;
  }

  get diskBytes(): number {
    return this.#counted;
  }

  get full(): boolean {
    return this.#refusedBytes > 0;
  }

  get #room(): number {
    return Math.min(this.#options.maxBytes - this.#counted, this.#free - this.#options.minFreeBytes);
  }

  /** Takes room for `bytes` more; false if the log is full. */
  take(bytes: number): boolean {
    if (this.#refusedBytes > 0) return false;
    if (bytes > this.#room) {
      this.#refusedBytes = bytes;
      this.#changed(true);
      this.#lookLater();
      return false;
    }
    this.#free -= bytes;
    this.#counted += bytes;
    if (this.#room < this.#roomAtLook / 2 || performance.now() - this.#lookedAt > statMaxAgeMs)
      void this.look();
    return true;
  }

  /** Measures the room. Where it cannot (the directory is gone), what was known stays; writing will tell. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    const pending = this.#pendingBytes();
    const { maxBytes } = this.#options;
    const now = performance.now();
    const near = maxBytes < Infinity && (this.full || this.#room < this.#roomAtLook / 2);
    const countAge = now - this.#countedAt;
    try {
      const before = this.#counted;
      const { bavail, bsize } = await statfs(this.#directory);
      this.#free = bavail * bsize - pending - (this.#counted - before);
      if (countAge > countMaxAgeMs || (near && countAge > countShare * this.#countTookMs)) {
        const start = this.#counted;
        const startedAt = performance.now();
        const files = await countBytes(this.#directory);
        this.#counted = files + pending + (this.#counted - start);
        this.#countedAt = performance.now();
        this.#countTookMs = this.#countedAt - startedAt;
      }
    } catch {
      return;
    } finally {
      this.#lookedAt = now;
      this.#roomAtLook = this.#room;
    }
    if (this.full && this.#room >= this.#refusedBytes) {
      this.#refusedBytes = 0;
      this.#changed(false);
    }
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => void this.#lookAgain(), this.#options.retryMs).unref();
  }

  async #lookAgain(): Promise<void> {
    await this.look();
    if (this.full) this.#lookLater();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
  }
}

async function countBytes(directory: string): Promise<number> {
  const names = await readdir(directory);
  let total = 0;
  for (let i = 0; i < names.length; i += countWidth) {
    const sizes = names.slice(i, i + countWidth).map(async (name) => {
      return (await ifPresent(stat(join(directory, name))))?.size ?? 0;
    });
    for (const size of await Promise.all(sizes)) total += size;
  }
  return total;
}
