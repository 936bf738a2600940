import { setImmediate as nextTurn } from "node:timers/promises";
import { entryBytes } from "./id-run.ts";
import type { IdRun, IdRunWriter } from "./id-run.ts";

/** Compares two entries by their four hash words. */
function compare(a: Buffer, aAt: number, b: Buffer, bAt: number): number {
  for (let word = 0; word < 16; word += 4) {
    const difference = a.readUInt32LE(aAt + word) - b.readUInt32LE(bAt + word);
    if (difference !== 0) return difference;
  }
  return 0;
}

class Cursor {
  readonly #chunks: Generator<Buffer>;
  chunk: Buffer = Buffer.alloc(0);
  at = 0;
  done = false;

  constructor(run: IdRun) {
    this.#chunks = run.chunks();
    this.advance();
  }

  advance(): void {
    this.at += entryBytes;
    if (this.at < this.chunk.length) return;
    const next = this.#chunks.next();
    this.done = next.done === true;
    this.chunk = next.done === true ? Buffer.alloc(0) : next.value;
    this.at = 0;
  }
}

/**
 * Merges runs, the newest first, into one. Where two have the same id the newer entry stays. Gives way to other work
 * about every 1 ms.
 */
export async function mergeRuns(newestFirst: readonly IdRun[], writer: IdRunWriter): Promise<void> {
  const cursors = newestFirst.map((run) => new Cursor(run));
  const out = Buffer.alloc(8_192 * entryBytes);
  let filled = 0;
  for (;;) {
    let least: Cursor | undefined;
    for (const cursor of cursors) {
      if (cursor.done) continue;
      const order = least === undefined ? -1 : compare(cursor.chunk, cursor.at, least.chunk, least.at);
      if (order < 0) least = cursor;
      // The same id in an older run: the newer entry stands.
      else if (order === 0) cursor.advance();
    }
    if (least === undefined) break;
    least.chunk.copy(out, filled, least.at, least.at + entryBytes);
    filled += entryBytes;
    least.advance();
    if (filled === out.length) {
      writer.write(out);
      filled = 0;
      await nextTurn();
    }
  }
  writer.write(out.subarray(0, filled));
}
