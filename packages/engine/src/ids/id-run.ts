import { closeSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { WeirError } from "@weir/contract";
import { crc32 } from "node:zlib";
import { syncPaths } from "../durable.ts";
import { filterAdd, filterHas, filterWords } from "./filter.ts";

/**
 * A run: ids of many commits, immutable, sorted by hash, in one file.
 *
 *   header   64 bytes: magic, count, bucket bits, filter words, CRC-32 of index and filter, CRC-32 of the entries, 1 where that is there
 *   entries  count x 32 bytes: h0 h1 h2 h3 (u32), time (i64), content (u64), ordered by (h0, h1, h2, h3)
 *   index    2^bits + 1 x u32: first entry of each bucket of the top bits of h0
 *   filter   see filter.ts
 *
 * Memory: index and filter, about 1.3 bytes an id. A look-up that passes the filter reads one bucket, about 4 KB.
 */
export const entryBytes = 32;
const headerBytes = 64;
const magic = 0x57494431;
const entriesPerBucket = 128;

/** What a look-up found: event time (us) and content hash of the record that has the id. */
export interface KnownId {
  readonly time: bigint;
  readonly content: bigint;
}

/** Ids by number, as four words of 32 bits; this machine's byte order is the file's. */
export type HashColumns = Readonly<Record<"h0" | "h1" | "h2" | "h3", Uint32Array>>;

const wordsPerEntry = entryBytes / 4;
/** Of 64 KB. */
const windowEntries = 2_048;

export class IdRun {
  readonly path: string;
  readonly count: number;
  readonly #fd: number;
  readonly #bits: number;
  readonly #index: Uint32Array;
  readonly #filter: Uint32Array;
  #scratch = Buffer.alloc(0);

  private constructor(
    path: string,
    fd: number,
    count: number,
    bits: number,
    index: Uint32Array,
    filter: Uint32Array,
  ) {
    this.path = path;
    this.#fd = fd;
    this.count = count;
    this.#bits = bits;
    this.#index = index;
    this.#filter = filter;
  }

  get memoryBytes(): number {
    return this.#index.byteLength + this.#filter.byteLength + this.#scratch.length;
  }

  /** Opens a run and loads its index and filter. Throws `state_corrupt`. */
  static open(path: string): IdRun {
    const fd = openFile(path);
    try {
      const header = Buffer.alloc(headerBytes);
      readFully(fd, header, 0, path);
      const [count, bits, words] = [header.readUInt32LE(4), header.readUInt32LE(8), header.readUInt32LE(12)];
      const indexBytes = (2 ** bits + 1) * 4;
      const tail = Buffer.from(new ArrayBuffer(indexBytes + words * 4));
      if (header.readUInt32LE(0) !== magic || bits > 30)
        throw corrupt(path, "it does not start as a run does");
      readFully(fd, tail, headerBytes + count * entryBytes, path);
      if (crc32(tail) !== header.readUInt32LE(16)) throw corrupt(path, "its index fails the checksum");
      const index = new Uint32Array(tail.buffer, 0, 2 ** bits + 1);
      return new IdRun(path, fd, count, bits, index, new Uint32Array(tail.buffer, indexBytes, words));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /**
   * Reads all entries and compares them with their checksum, which runs of older versions do not have: 13 ms for a million.
   *
   * @throws WeirError `state_corrupt`
   */
  verify(): void {
    const header = Buffer.alloc(headerBytes);
    readFully(this.#fd, header, 0, this.path);
    if (header.readUInt32LE(24) !== 1) return;
    let found = 0;
    for (const chunk of this.chunks()) found = crc32(chunk, found);
    if (found !== header.readUInt32LE(20)) throw corrupt(this.path, "its entries fail the checksum");
  }

  close(): void {
    closeSync(this.#fd);
  }

  /** False for nearly every id that is not in the run. */
  mayHave(h1: number, h2: number, h3: number): boolean {
    return filterHas(this.#filter, h1, h2, h3);
  }

  /** The exact answer, from the file. */
  find(h0: number, h1: number, h2: number, h3: number): KnownId | undefined {
    const bucket = this.#bits === 0 ? 0 : h0 >>> (32 - this.#bits);
    const from = this.#index[bucket] as number;
    const length = ((this.#index[bucket + 1] as number) - from) * entryBytes;
    if (this.#scratch.length < length) this.#scratch = Buffer.alloc(length * 2);
    const bytes = this.#scratch.subarray(0, length);
    readFully(this.#fd, bytes, headerBytes + from * entryBytes, this.path);
    for (let at = 0; at < length; at += entryBytes) {
      if (
        bytes.readUInt32LE(at) === h0 &&
        bytes.readUInt32LE(at + 4) === h1 &&
        bytes.readUInt32LE(at + 8) === h2 &&
        bytes.readUInt32LE(at + 12) === h3
      ) {
        return { time: bytes.readBigInt64LE(at + 16), content: bytes.readBigUInt64LE(at + 24) };
      }
    }
    return undefined;
  }

  /**
   * Looks many ids up that are in ascending order of `h0`; neighbours share a read. Of 50,000 ids in a run of a million that costs a
   * quarter of what so many `find`s do.
   *
   * @param order numbers of ids
   * @param found gets an id's number and its event time
   */
  findMany(
    { h0, h1, h2, h3 }: HashColumns,
    order: Uint32Array,
    found: (id: number, timeUs: number) => void,
  ): void {
    const count = order.length;
    // Where several ids lie within a window, one read of it serves them all.
    const isDense = (count * windowEntries) / Math.max(1, this.count) >= 4;
    let [from, to] = [0, 0];
    let window = new Uint32Array(0);
    let bytes = Buffer.alloc(0);
    for (let i = 0; i < count; i++) {
      const id = order[i] as number;
      const word = h0[id] as number;
      const bucket = this.#bits === 0 ? 0 : word >>> (32 - this.#bits);
      const [low, high] = [this.#index[bucket] as number, this.#index[bucket + 1] as number];
      if (low === high) continue;
      if (low < from || high > to) {
        from = low;
        to = Math.max(high, isDense ? Math.min(this.count, low + windowEntries) : high);
        if (window.length < (to - from) * wordsPerEntry) {
          const space = new ArrayBuffer((to - from) * entryBytes * 2);
          [window, bytes] = [new Uint32Array(space), Buffer.from(space)];
        }
        readFully(
          this.#fd,
          bytes.subarray(0, (to - from) * entryBytes),
          headerBytes + from * entryBytes,
          this.path,
        );
      }
      let [left, right] = [low - from, high - from];
      while (left < right) {
        const middle = (left + right) >>> 1;
        if ((window[middle * wordsPerEntry] as number) < word) left = middle + 1;
        else right = middle;
      }
      for (; left < high - from && window[left * wordsPerEntry] === word; left++) {
        const at = left * wordsPerEntry;
        if (window[at + 1] !== h1[id] || window[at + 2] !== h2[id] || window[at + 3] !== h3[id]) continue;
        found(id, Number(bytes.readBigInt64LE(at * 4 + 16)));
        break;
      }
    }
  }

  /** The entries in order, a chunk at a time; for merging. */
  *chunks(entriesAChunk = 32_768): Generator<Buffer> {
    for (let entry = 0; entry < this.count; entry += entriesAChunk) {
      const bytes = Buffer.alloc(Math.min(entriesAChunk, this.count - entry) * entryBytes);
      readFully(this.#fd, bytes, headerBytes + entry * entryBytes, this.path);
      yield bytes;
    }
  }
}

/** Writes a run to a temporary name; `finish` makes it durable under its own. Entries come in ascending order. */
export class IdRunWriter {
  readonly #path: string;
  readonly #fd: number;
  readonly #bits: number;
  readonly #index: Uint32Array;
  readonly #filter: Uint32Array;
  #count = 0;
  #bucket = 0;
  #checksum = 0;

  /** @param atMost an upper bound of the number of entries */
  constructor(path: string, atMost: number) {
    this.#path = path;
    this.#fd = openFile(`${path}.tmp`, "w");
    this.#bits = Math.max(0, Math.ceil(Math.log2(Math.max(1, atMost / entriesPerBucket))));
    this.#index = new Uint32Array(2 ** this.#bits + 1);
    this.#filter = new Uint32Array(filterWords(atMost));
  }

  get count(): number {
    return this.#count;
  }

  /** Appends whole entries; the buffer may be reused afterwards. */
  write(entries: Buffer): void {
    for (let at = 0; at < entries.length; at += entryBytes) {
      const bucket = this.#bits === 0 ? 0 : entries.readUInt32LE(at) >>> (32 - this.#bits);
      while (this.#bucket < bucket) this.#index[++this.#bucket] = this.#count;
      filterAdd(
        this.#filter,
        entries.readUInt32LE(at + 4),
        entries.readUInt32LE(at + 8),
        entries.readUInt32LE(at + 12),
      );
      this.#count++;
    }
    this.#checksum = crc32(entries, this.#checksum);
    const offset = headerBytes + (this.#count - entries.length / entryBytes) * entryBytes;
    writeFully(this.#fd, entries, offset);
  }

  /** Makes the run durable and gives it its name; off the main thread, as that of a million ids takes a tenth of a second. */
  async finish(): Promise<void> {
    while (this.#bucket < this.#index.length - 1) this.#index[++this.#bucket] = this.#count;
    const tail = Buffer.concat([bytesOf(this.#index), bytesOf(this.#filter)]);
    writeFully(this.#fd, tail, headerBytes + this.#count * entryBytes);
    const header = Buffer.alloc(headerBytes);
    header.writeUInt32LE(magic, 0);
    header.writeUInt32LE(this.#count, 4);
    header.writeUInt32LE(this.#bits, 8);
    header.writeUInt32LE(this.#filter.length, 12);
    header.writeUInt32LE(crc32(tail), 16);
    header.writeUInt32LE(this.#checksum, 20);
    header.writeUInt32LE(1, 24);
    writeFully(this.#fd, header, 0);
    closeSync(this.#fd);
    await syncPaths([`${this.#path}.tmp`]);
    renameSync(`${this.#path}.tmp`, this.#path);
    await syncPaths([dirname(this.#path)]);
  }

  abandon(): void {
    closeSync(this.#fd);
  }
}

const bytesOf = (words: Uint32Array): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength);

function openFile(path: string, flags = "r"): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    throw new WeirError("state_unreadable", `The id run cannot be opened: ${String(error)}`, {
      where: path,
      cause: error,
    });
  }
}

function readFully(fd: number, into: Buffer, position: number, path: string): void {
  let done = 0;
  while (done < into.length) {
    const read = readSync(fd, into, done, into.length - done, position + done);
    if (read === 0) throw corrupt(path, "it ends early");
    done += read;
  }
}

function writeFully(fd: number, bytes: Buffer, position: number): void {
  let done = 0;
  while (done < bytes.length) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

const corrupt = (path: string, how: string): WeirError =>
  new WeirError("state_corrupt", `The id run is damaged: ${how}.`, { where: path });
