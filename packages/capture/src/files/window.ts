/** Zero bytes behind the window's end: what the scanner of JSON needs there. */
const padding = 8;

/**
 * The part of a stream of bytes that is being looked at: `start..end` of `bytes`. Bytes before `start` are done with; `more` appends
 * the next chunk. Positions of the stream stay what they are: `offset` is that of `start`.
 */
export class ByteWindow {
  readonly #chunks: AsyncIterator<Buffer>;
  bytes: Buffer = Buffer.alloc(padding);
  start = 0;
  end = 0;
  /** Position of `start` in the stream. */
  offset: number;
  isEnd = false;

  constructor(chunks: AsyncIterable<Buffer>, offset: number) {
    this.#chunks = chunks[Symbol.asyncIterator]();
    this.offset = offset;
  }

  /** Appends the next chunk; false if there is none. */
  async more(): Promise<boolean> {
    const next = this.isEnd ? { done: true as const, value: undefined } : await this.#chunks.next();
    if (next.done === true) {
      this.isEnd = true;
      return false;
    }
    const chunk = next.value;
    const kept = this.end - this.start;
    const larger = Buffer.allocUnsafe(kept + chunk.length + padding);
    this.bytes.copy(larger, 0, this.start, this.end);
    chunk.copy(larger, kept);
    larger.fill(0, kept + chunk.length);
    this.bytes = larger;
    this.start = 0;
    this.end = kept + chunk.length;
    return true;
  }

  /** Goes on to position `to` of `bytes`. */
  advance(to: number): void {
    this.offset += to - this.start;
    this.start = to;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}
