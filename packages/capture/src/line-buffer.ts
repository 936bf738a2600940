import { recordLine } from "./record-lines.ts";
import type { CapturedRecord, Lines } from "./record-lines.ts";

const mostRecords = 16_384;

/**
 * Records that are made as the bytes that the log holds, where there are so many that a string for each would cost more than
 * all the rest: of a million rows of 200 bytes, 4 s were collecting garbage, of 12.
 *
 * One buffer a batch, never used again: an append that has to wait for room in the log still reads it.
 */
export class LineBuffer {
  readonly receivedUs = Date.now() * 1000;
  readonly #lengths = new Uint32Array(mostRecords);
  #bytes: Buffer;
  #used = 0;
  #records = 0;

  /** @param size bytes that will do, if no record is large */
  constructor(size: number) {
    this.#bytes = Buffer.allocUnsafeSlow(size);
  }

  get size(): number {
    return this.#used;
  }

  get isFull(): boolean {
    return this.#records === mostRecords;
  }

  /** The buffer, with room for `extra` bytes from `size` on. What is written there counts once `added` is called. */
  room(extra: number): Buffer {
    if (this.#used + extra > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(this.#used + extra, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, this.#used);
      this.#bytes = larger;
    }
    return this.#bytes;
  }

  /** A line was written up to `end`; its LF is the last byte. */
  added(end: number): void {
    this.#lengths[this.#records++] = end - this.#used;
    this.#used = end;
  }

  add(record: CapturedRecord): void {
    const line = recordLine(record, this.receivedUs);
    const length = Buffer.byteLength(line);
    const end = this.#used + length;
    this.room(length).write(line, this.#used);
    this.added(end);
  }

  get lines(): Lines {
    return {
      bytes: this.#bytes.subarray(0, this.#used),
      lengths: this.#lengths.subarray(0, this.#records),
    };
  }
}
