import type { NamedContract } from "./contract-names.ts";
import type { RecordErrorCode, Scanner } from "./scan.ts";

/** Room that the columns before `text` take at most, apart from contract and error. */
const columnBytes = 64;
const initialBytes = 256 * 1024;
/** Buffers that an unusual request made larger than this are given back after it. */
const keptBytes = 4 * 1024 * 1024;
const keptRecords = 64 * 1024;
const utf8 = new TextEncoder();
const tab = 0x09;
const lf = 0x0a;

/**
 * Columns 2 to 7 of log lines, built one after the other in a buffer that is used again for every request: `SegmentWriter.append`
 * copies what it is given before it returns.
 */
export class Lines {
  #buffer = Buffer.allocUnsafeSlow(initialBytes);
  #used = 0;
  #lengths = new Uint32Array(1024);
  #count = 0;
  /** The column `received` and its TAB. */
  #received = new Uint8Array(0);

  /** Empties it; lines added next were received at `receivedUs`. */
  begin(receivedUs: number): void {
    if (this.#buffer.length > keptBytes) this.#buffer = Buffer.allocUnsafeSlow(initialBytes);
    if (this.#lengths.length > keptRecords) this.#lengths = new Uint32Array(1024);
    this.#used = 0;
    this.#count = 0;
    this.#received = utf8.encode(`${receivedUs}\t`);
  }

  /** What `SegmentWriter.append` takes; valid until the next call of any method. */
  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#used);
  }

  get lengths(): Uint32Array {
    return this.#lengths.subarray(0, this.#count);
  }

  get count(): number {
    return this.#count;
  }

  /** Adds the scanner's record, which must be readable. */
  addScanned(named: NamedContract, scanner: Scanner): void {
    const start = this.#head(named, scanner.keys, scanner.nulls, scanner.textBytes);
    this.#buffer[this.#used++] = tab;
    this.#used = scanner.copyTo(this.#buffer, this.#used);
    this.#end(start);
  }

  /** Adds a readable record given as its minified text, one character of it a byte (latin1). */
  addText(named: NamedContract, keys: number, nulls: number, text: string): void {
    const start = this.#head(named, keys, nulls, text.length);
    this.#buffer[this.#used++] = tab;
    this.#used += this.#buffer.write(text, this.#used, "latin1");
    this.#end(start);
  }

  /** Adds a record that cannot be read, with the bytes it was received as. `detail` is ASCII. */
  addUnreadable(named: NamedContract, code: RecordErrorCode, detail: string, bytes: Uint8Array): void {
    const error = detail === "" ? code : `${code}: ${detail}`;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
    const start = this.#head(named, 0, 0, error.length + text.length);
    this.#used += this.#buffer.write(error, this.#used, "latin1");
    this.#buffer[this.#used++] = tab;
    this.#used += this.#buffer.write(text, this.#used, "latin1");
    this.#end(start);
  }

  /** Writes the columns `received` to `nulls` with the TAB after each, and makes room for the rest. Returns where the line starts. */
  #head(named: NamedContract, keys: number, nulls: number, rest: number): number {
    const { column } = named;
    this.#reserve(column.length + rest + columnBytes);
    const start = this.#used;
    const buffer = this.#buffer;
    let at = copySmall(buffer, start, this.#received);
    at = copySmall(buffer, at, column);
    buffer[at++] = tab;
    at = writeCount(buffer, at, keys);
    buffer[at++] = tab;
    at = writeCount(buffer, at, nulls);
    buffer[at++] = tab;
    this.#used = at;
    return start;
  }

  #end(start: number): void {
    this.#buffer[this.#used++] = lf;
    this.#lengths[this.#count++] = this.#used - start;
  }

  #reserve(bytes: number): void {
    if (this.#used + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.#used + bytes));
      this.#buffer.copy(larger, 0, 0, this.#used);
      this.#buffer = larger;
    }
    if (this.#count === this.#lengths.length) {
      const larger = new Uint32Array(2 * this.#count);
      larger.set(this.#lengths);
      this.#lengths = larger;
    }
  }
}

/** For a few bytes a loop is several times as fast as a call to copy. */
function copySmall(target: Buffer, at: number, bytes: Uint8Array): number {
  for (let i = 0; i < bytes.length; i++) target[at++] = bytes[i]!;
  return at;
}

function writeCount(buffer: Buffer, at: number, count: number): number {
  if (count < 10) {
    buffer[at] = 0x30 + count;
    return at + 1;
  }
  if (count < 100) {
    buffer[at] = 0x30 + Math.floor(count / 10);
    buffer[at + 1] = 0x30 + (count % 10);
    return at + 2;
  }
  return at + buffer.write(String(count), at, "latin1");
}
