import { isUtf8 } from "node:buffer";
import { DamagedFile } from "./open-file.ts";
import { shortestFloat } from "./typed-value.ts";

/** Levels of records, lists and maps in a row; a schema may refer to itself. */
const maxDepth = 100;
/** Values of no bytes in a row, such as the elements of a list of nulls: a few bytes may claim to be any number of them. */
const maxEmptyItems = 1_000_000;

/** Reads Avro's binary encoding (Apache Avro 1.12, Binary encoding). All methods throw DamagedFile where the bytes end. */
export class AvroBytes {
  readonly #bytes: Buffer;
  #depth = 0;
  at = 0;
  invalidText = false;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get length(): number {
    return this.#bytes.length;
  }

  slice(start: number, end: number): Buffer {
    return this.#bytes.subarray(start, end);
  }

  boolean(): boolean {
    return this.take(1)[0] !== 0;
  }

  /** An int or long: zigzag, 7 bits a byte. A number where it is exact. */
  long(): number | bigint {
    let low = 0;
    for (let i = 0; i < 4; i++) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << (7 * i);
      if (byte < 0x80) return (low >>> 1) ^ -(low & 1);
    }
    let value = BigInt(low);
    for (let i = 4; i < 10; i++) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte >= 0x80) continue;
      const long = BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
      return long >= Number.MIN_SAFE_INTEGER && long <= Number.MAX_SAFE_INTEGER ? Number(long) : long;
    }
    throw new DamagedFile("A number has more than 10 bytes.");
  }

  float(): number {
    return shortestFloat(this.take(4).readFloatLE());
  }

  double(): number {
    return this.take(8).readDoubleLE();
  }

  bytes(): Buffer {
    return this.take(Number(this.long()));
  }

  /** Of bytes that are not UTF-8 it sets `invalidText`, as the rest of the row must be read to know where it ends. */
  string(): string {
    const bytes = this.bytes();
    if (!isUtf8(bytes)) this.invalidText = true;
    return bytes.toString();
  }

  take(size: number): Buffer {
    if (size < 0 || size > this.#bytes.length - this.at)
      throw new DamagedFile("A value is longer than its block.");
    this.at += size;
    return this.#bytes.subarray(this.at - size, this.at);
  }

  /** Calls `item` for every item of a list or map: blocks of them, each with its count. */
  blocks(item: () => void): void {
    let empty = 0;
    for (;;) {
      let count = Number(this.long());
      if (count === 0) return;
      if (count < 0) {
        count = -count;
        this.long();
      }
      for (let i = 0; i < count; i++) {
        const before = this.at;
        item();
        if (this.at === before && ++empty > maxEmptyItems)
          throw new DamagedFile("A list has too many items of no bytes.");
      }
    }
  }

  descend(): void {
    if (++this.#depth > maxDepth) throw new DamagedFile(`A row has more than ${maxDepth} levels.`);
  }

  ascend(): void {
    this.#depth--;
  }

  #byte(): number {
    const byte = this.#bytes[this.at];
    if (byte === undefined) throw new DamagedFile("A value is longer than its block.");
    this.at++;
    return byte;
  }
}
