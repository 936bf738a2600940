import { isUtf8 } from "node:buffer";

/** The bytes are not a protobuf message of the kind that was to be read. `detail` is a short ASCII text. */
export class MalformedMessage extends Error {
  override readonly name = "MalformedMessage";
  readonly code: "invalid_message" | "invalid_utf8" | "too_deep";

  constructor(detail: string, code: MalformedMessage["code"] = "invalid_message") {
    super(detail);
    this.code = code;
  }
}

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;
const wireNames: Readonly<Record<number, string>> = { 0: "varint", 1: "fixed64", 2: "bytes", 5: "fixed32" };

/** A part of a buffer: what a length-delimited field holds. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads one protobuf message (proto3 encoding), field by field: `while (reader.next()) switch (reader.field) ...`, where each case calls
 * the one method that reads the field's value. Fields that no case reads are skipped by the next call of `next`.
 *
 * Written by hand because a message library decodes all or nothing: one broken record would cost its whole request, and
 * the bytes of a record to put into quarantine would be gone. Deprecated groups are refused.
 */
export class ProtoReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  #unread = false;
  field = 0;
  #wire = 0;

  constructor(bytes: Buffer, { start, end }: Range) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Goes to the next field; false at the end of the message. */
  next(): boolean {
    if (this.#unread) this.#skip();
    if (this.#at === this.#end) return false;
    const tag = this.#varint();
    this.field = Math.floor(tag / 8);
    this.#wire = tag % 8;
    if (this.field === 0 || tag > 0xffff_ffff) throw this.#malformed("a field of number 0 or beyond 2^29");
    if (wireNames[this.#wire] === undefined) throw this.#malformed(`wire type ${this.#wire}`);
    this.#unread = true;
    return true;
  }

  /** Where a length-delimited value is. */
  range(): Range {
    this.#expect(wire.bytes);
    const size = this.#varint();
    const start = this.#at;
    if (size > this.#end - start)
      throw this.#malformed(`a length of ${size} where ${this.#end - start} bytes are left`);
    this.#at = start + size;
    return { start, end: this.#at };
  }

  bytes(): Buffer {
    const { start, end } = this.range();
    return this.#bytes.subarray(start, end);
  }

  string(): string {
    const { start, end } = this.range();
    const text = this.#bytes.toString("latin1", start, end);
    if (isAscii(text)) return text;
    const bytes = this.#bytes.subarray(start, end);
    if (!isUtf8(bytes))
      throw new MalformedMessage(`field ${this.field} is a string that is not UTF-8`, "invalid_utf8");
    return bytes.toString();
  }

  /** An unsigned integer of at most 32 bits; higher bits are dropped, as the encoding says. */
  uint32(): number {
    this.#expect(wire.varint);
    return Number(BigInt.asUintN(32, this.#bigVarint()));
  }

  bool(): boolean {
    this.#expect(wire.varint);
    return this.#bigVarint() !== 0n;
  }

  int64(): bigint {
    this.#expect(wire.varint);
    return BigInt.asIntN(64, this.#bigVarint());
  }

  fixed64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#fixed(wire.fixed64, 8));
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#fixed(wire.fixed64, 8));
  }

  fixed32(): number {
    return this.#bytes.readUInt32LE(this.#fixed(wire.fixed32, 4));
  }

  #fixed(wireType: number, size: number): number {
    this.#expect(wireType);
    const start = this.#at;
    if (size > this.#end - start)
      throw this.#malformed(`a number of ${size} bytes where ${this.#end - start} are left`);
    this.#at = start + size;
    return start;
  }

  #skip(): void {
    if (this.#wire === wire.bytes) this.range();
    else if (this.#wire === wire.varint) this.int64();
    else if (this.#wire === wire.fixed64) this.#fixed(wire.fixed64, 8);
    else this.#fixed(wire.fixed32, 4);
  }

  #expect(wireType: number): void {
    if (this.#wire !== wireType) {
      throw this.#malformed(`field ${this.field} is ${wireNames[this.#wire]}, not ${wireNames[wireType]}`);
    }
    this.#unread = false;
  }

  /** A varint that is exact as a double, or beyond every bound that it is compared with. */
  #varint(): number {
    const first = this.#bytes[this.#at]!;
    if (first < 0x80 && this.#at < this.#end) {
      this.#at++;
      return first;
    }
    return Number(this.#bigVarint());
  }

  #bigVarint(): bigint {
    let low = 0;
    let value = 0n;
    for (let i = 0; i < 10; i++) {
      if (this.#at >= this.#end) throw this.#malformed("it ends inside a number");
      const byte = this.#bytes[this.#at++]!;
      if (i < 4) low |= (byte & 0x7f) << (7 * i);
      else value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < 0x80) return value | BigInt(low);
    }
    throw this.#malformed("a number of more than 10 bytes");
  }

  #malformed(what: string): MalformedMessage {
    return new MalformedMessage(`not a protobuf message: ${what}`);
  }
}

// eslint-disable-next-line no-control-regex
const isAscii = (text: string): boolean => !/[^\x00-\x7f]/.test(text);

/** A length-delimited field around bytes that are there already, for messages that Weir writes. */
export function protoField(field: number, value: Uint8Array): Buffer {
  return Buffer.concat([protoVarint(field * 8 + wire.bytes), protoVarint(value.length), value]);
}

export function protoNumber(field: number, value: number): Buffer {
  return Buffer.concat([protoVarint(field * 8 + wire.varint), protoVarint(value)]);
}

function protoVarint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  bytes.push(left);
  return Buffer.from(bytes);
}
