import { closeSync, mkdirSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";

/** Where a record is. */
export interface Place {
  readonly segment: number;
  readonly offset: number;
  /** In bytes, the header included. */
  readonly length: number;
}

/** The texts of a record: its key and order columns (see keys.ts) and its row, each JSON. */
export interface RowRecord {
  readonly key: string;
  readonly order: string;
  readonly row: Buffer;
}

interface Segment {
  readonly number: number;
  readonly path: string;
  readonly file: number;
  /** Written to the file; what is appended after it is in the buffer. */
  written: number;
  bytes: number;
  /** Of records that nothing points to any more. */
  dead: number;
}

/** Lengths of key, order and row, 4 bytes each. */
const headerBytes = 12;
const bufferBytes = 256 * 1024;
/** Enough for almost every key. */
const keyReadBytes = 256;

/**
 * Records in files that are only appended to. Nothing is synced and nothing is read back after a restart: the rows are
 * DuckDB's, and these files a copy that answers in microseconds.
 *
 * Reads are synchronous. A record that was looked up lately is in the page cache, where a read costs 2 us, and 40 us and a
 * thread of the pool that DuckDB's statements wait for when it is asynchronous.
 */
export class RowFiles {
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #segments = new Map<number, Segment>();
  readonly #buffer = Buffer.allocUnsafe(bufferBytes);
  #head: Segment;
  #next = 0;
  #bytes = 0;
  #dead = 0;

  /** @param directory of its own: what is in it is removed */
  constructor(directory: string, segmentBytes: number) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    this.#head = this.#open();
  }

  get bytes(): number {
    return this.#bytes;
  }

  get deadBytes(): number {
    return this.#dead;
  }

  append(key: string, order: string, row: string | Buffer): Place {
    const [keyBytes, orderBytes] = [Buffer.byteLength(key), Buffer.byteLength(order)];
    const rowBytes = Buffer.byteLength(row);
    const length = headerBytes + keyBytes + orderBytes + rowBytes;
    if (this.#head.bytes > 0 && this.#head.bytes + length > this.#segmentBytes) {
      this.#flush();
      this.#head = this.#open();
    }
    const head = this.#head;
    if (head.bytes - head.written + length > bufferBytes) this.#flush();
    const offset = head.bytes;
    const isLarge = length > bufferBytes;
    const to = isLarge ? Buffer.allocUnsafe(length) : this.#buffer;
    let at = isLarge ? 0 : offset - head.written;
    at = to.writeUInt32LE(keyBytes, at);
    at = to.writeUInt32LE(orderBytes, at);
    at = to.writeUInt32LE(rowBytes, at);
    at += to.write(key, at);
    at += to.write(order, at);
    if (typeof row === "string") to.write(row, at);
    else row.copy(to, at);
    head.bytes += length;
    this.#bytes += length;
    if (isLarge) {
      writeWhole(head.file, to, length, offset);
      head.written = head.bytes;
    }
    return { segment: head.number, offset, length };
  }

  read({ segment: number, offset, length }: Place): RowRecord {
    const segment = this.#segment(number);
    if (offset >= segment.written) return recordOf(this.#buffer, offset - segment.written);
    const bytes = Buffer.allocUnsafe(length);
    readWhole(segment, bytes, offset);
    return recordOf(bytes, 0);
  }

  /** Whether the record has this key. */
  hasKey({ segment: number, offset, length }: Place, key: string): boolean {
    const segment = this.#segment(number);
    const isBuffered = offset >= segment.written;
    const bytes = isBuffered ? this.#buffer : Buffer.allocUnsafe(Math.min(length, keyReadBytes));
    if (!isBuffered) readWhole(segment, bytes, offset);
    const from = isBuffered ? offset - segment.written : 0;
    const end = from + headerBytes + bytes.readUInt32LE(from);
    if (end > bytes.length) return this.read({ segment: number, offset, length }).key === key;
    return bytes.toString("utf8", from + headerBytes, end) === key;
  }

  /** Nothing points to the record any more. */
  forget({ segment: number, length }: Place): void {
    this.#segment(number).dead += length;
    this.#dead += length;
  }

  /** The full file with the largest share of dead records, if that is half of it or more. */
  get wasteful(): number | undefined {
    const full = [...this.#segments.values()].filter((segment) => segment !== this.#head);
    const worst = full.sort((a, b) => b.dead / b.bytes - a.dead / a.bytes)[0];
    return worst !== undefined && worst.dead * 2 >= worst.bytes ? worst.number : undefined;
  }

  /** Every record of a full file in turn, dead ones included. */
  *scan(number: number): Generator<{ readonly place: Place; readonly record: RowRecord }> {
    const segment = this.#segment(number);
    for (let offset = 0; offset < segment.bytes;) {
      const header = Buffer.allocUnsafe(headerBytes);
      readWhole(segment, header, offset);
      const length = headerBytes + header.readUInt32LE(0) + header.readUInt32LE(4) + header.readUInt32LE(8);
      const place = { segment: number, offset, length };
      yield { place, record: this.read(place) };
      offset += length;
    }
  }

  /** Removes a full file. */
  remove(number: number): void {
    const segment = this.#segment(number);
    closeSync(segment.file);
    rmSync(segment.path, { force: true });
    this.#segments.delete(number);
    this.#bytes -= segment.bytes;
    this.#dead -= segment.dead;
  }

  /** Closes and removes everything. */
  close(): void {
    for (const { file } of this.#segments.values()) closeSync(file);
    this.#segments.clear();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #segment(number: number): Segment {
    const segment = this.#segments.get(number);
    if (segment === undefined) throw new Error(`unreachable: there is no file ${number}`);
    return segment;
  }

  #open(): Segment {
    const number = this.#next++;
    const path = join(this.#directory, `${number}.rows`);
    const segment = { number, path, file: openSync(path, "wx+"), written: 0, bytes: 0, dead: 0 };
    this.#segments.set(number, segment);
    return segment;
  }

  #flush(): void {
    const head = this.#head;
    writeWhole(head.file, this.#buffer, head.bytes - head.written, head.written);
    head.written = head.bytes;
  }
}

function recordOf(bytes: Buffer, from: number): RowRecord {
  const [keyBytes, orderBytes, rowBytes] = [0, 4, 8].map((at) => bytes.readUInt32LE(from + at));
  const key = from + headerBytes;
  const order = key + (keyBytes ?? 0);
  const row = order + (orderBytes ?? 0);
  return {
    key: bytes.toString("utf8", key, order),
    order: bytes.toString("utf8", order, row),
    // A copy: the bytes may be those of the buffer, which others will be written over.
    row: Buffer.from(bytes.subarray(row, row + (rowBytes ?? 0))),
  };
}

function writeWhole(file: number, bytes: Buffer, length: number, position: number): void {
  for (let done = 0; done < length;) done += writeSync(file, bytes, done, length - done, position + done);
}

function readWhole(segment: Segment, bytes: Buffer, position: number): void {
  const read = readSync(segment.file, bytes, 0, bytes.length, position);
  if (read !== bytes.length) throw new Error(`${segment.path} ends at ${position + read}`);
}
