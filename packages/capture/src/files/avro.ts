import { crc32, inflateRawSync } from "node:zlib";
import type { Contract, Json } from "@weir/contract";
import { decompressSnappy, decompressZstd } from "hyparquet-compressors";
import type { CapturedRecord } from "../capture.ts";
import { AvroBytes } from "./avro-bytes.ts";
import { type AvroRecord, avroRecord } from "./avro-schema.ts";
import type { FilesSource } from "./declare.ts";
import type { Batch, FormatReader } from "./format.ts";
import { DamagedFile, type OpenFile } from "./open-file.ts";
import { TypedRows } from "./typed-rows.ts";
import { InvalidText, type TypedValue } from "./typed-value.ts";
import { ByteWindow } from "./window.ts";

interface BlockPosition {
  /** Of the next block. */
  readonly offset: number;
  /** Rows before it. */
  readonly rows: number;
}

/** Blocks are decoded whole. Writers make them of 16 KB to 16 MB. */
const maxBlockBytes = 256 * 1024 * 1024;
const syncBytes = 16;
/** Rows of no bytes, such as of a record without fields. */
const maxEmptyRows = 1_000_000;

/** Avro object container files (Apache Avro 1.12), codecs null, deflate, snappy and zstandard. */
export function avroReader(source: FilesSource, contract: Contract): FormatReader {
  return {
    unit: "row",
    async verify(file, signal) {
      const avro = await AvroFile.open(file, undefined, signal);
      try {
        for (let block = await avro.next(); block !== undefined; block = await avro.next()) {
          for (let i = 0; i < block.rows; i++) readRow(block.bytes, avro.record);
          checkEnd(block.bytes);
        }
      } finally {
        await avro.close();
      }
    },
    read: (file, rows, from, signal) => {
      const typedOf = (names: readonly string[]): TypedRows => new TypedRows(source, contract, rows, names);
      return read(file, typedOf, from as BlockPosition | undefined, signal);
    },
  };
}

async function* read(
  file: OpenFile,
  typedOf: (names: readonly string[]) => TypedRows,
  from: BlockPosition | undefined,
  signal: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
  const avro = await AvroFile.open(file, from?.offset, signal);
  const typed = typedOf(avro.record.fields.map(({ name }) => name));
  let rows = from?.rows ?? 0;
  try {
    for (let block = await avro.next(); block !== undefined; block = await avro.next()) {
      const records: CapturedRecord[] = [];
      const { bytes } = block;
      for (let i = 0; i < block.rows; i++) {
        const start = bytes.at;
        const values = readRow(bytes, avro.record);
        const isText = !bytes.invalidText;
        const valueAt = (column: number): TypedValue => {
          if (!isText) throw new InvalidText();
          return values[column]!;
        };
        records.push(typed.record(++rows, valueAt, () => Buffer.from(bytes.slice(start, bytes.at))));
      }
      checkEnd(bytes);
      yield { records, position: { offset: avro.offset, rows } satisfies Json };
    }
  } finally {
    await avro.close();
  }
}

function readRow(bytes: AvroBytes, { fields }: AvroRecord): TypedValue[] {
  bytes.invalidText = false;
  return fields.map(({ read: readField }) => readField(bytes));
}

function checkEnd(bytes: AvroBytes): void {
  if (bytes.at < bytes.length) throw new DamagedFile("A block is longer than its rows.");
}

interface Block {
  readonly rows: number;
  readonly bytes: AvroBytes;
}

class AvroFile {
  readonly record: AvroRecord;
  #window: ByteWindow;
  readonly #codec: string;
  readonly #sync: Buffer;

  private constructor(window: ByteWindow, meta: ReadonlyMap<string, Buffer>, sync: Buffer) {
    this.#window = window;
    this.#sync = sync;
    this.#codec = meta.get("avro.codec")?.toString() ?? "null";
    if (!codecs.has(this.#codec))
      throw new DamagedFile(`Its codec ${JSON.stringify(this.#codec)} is none that is known.`);
    this.record = avroRecord(meta.get("avro.schema")?.toString() ?? "");
  }

  /** Reads the header, and goes on to the block at `offset`, or to the first one. */
  static async open(file: OpenFile, offset: number | undefined, signal: AbortSignal): Promise<AvroFile> {
    const window = new ByteWindow(file.content(0, signal), 0);
    try {
      const { meta, sync } = await headerIn(window);
      const avro = new AvroFile(window, meta, sync);
      if (offset !== undefined) {
        await window.close();
        avro.#window = new ByteWindow(file.content(offset, signal), offset);
      }
      return avro;
    } catch (error) {
      await window.close();
      throw error;
    }
  }

  close(): Promise<void> {
    return this.#window.close();
  }

  /** Position of the next block. */
  get offset(): number {
    return this.#window.offset;
  }

  /** The next block; undefined at the end. */
  async next(): Promise<Block | undefined> {
    const window = this.#window;
    if (window.start === window.end && !(await window.more())) return undefined;
    const rows = await longIn(window);
    const size = await longIn(window);
    if (rows < 0 || size < 0 || size > maxBlockBytes)
      throw new DamagedFile("A block has an impossible size.");
    await atLeast(window, size + syncBytes);
    const { bytes, start } = window;
    const content = Buffer.from(bytes.subarray(start, start + size));
    const sync = bytes.subarray(start + size, start + size + syncBytes);
    if (!sync.equals(this.#sync)) throw new DamagedFile("A block does not end with the file's sync marker.");
    window.advance(start + size + syncBytes);
    const bare = decoded(content, this.#codec);
    if (rows > bare.length + maxEmptyRows) throw new DamagedFile("A block has an impossible number of rows.");
    return { rows, bytes: new AvroBytes(bare) };
  }
}

const codecs: ReadonlySet<string> = new Set(["null", "deflate", "snappy", "zstandard"]);

function decoded(content: Buffer, codec: string): Buffer {
  try {
    if (codec === "null") return content;
    if (codec === "deflate") return inflateRawSync(content, { maxOutputLength: maxBlockBytes });
    if (codec === "zstandard") return Buffer.from(decompressZstd(content));
    return unsnapped(content);
  } catch (error) {
    if (error instanceof DamagedFile) throw error;
    throw new DamagedFile(`A block cannot be decompressed (${codec}): ${(error as Error).message}.`);
  }
}

/** Snappy with the CRC-32 of the uncompressed content behind it. */
function unsnapped(content: Buffer): Buffer {
  const compressed = content.subarray(0, -4);
  const output = decompressSnappy(compressed, snappySize(compressed));
  const bytes = Buffer.from(output.buffer, output.byteOffset, output.byteLength);
  if (crc32(bytes) !== content.readUInt32BE(content.length - 4))
    throw new DamagedFile("A block's checksum is wrong.");
  return bytes;
}

/** The size that a snappy text begins with. */
function snappySize(bytes: Buffer): number {
  let size = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i] ?? 0x80;
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80 && size <= maxBlockBytes) return size;
  }
  throw new DamagedFile("A block has an impossible size.");
}

async function headerIn(window: ByteWindow): Promise<{ meta: Map<string, Buffer>; sync: Buffer }> {
  await atLeast(window, 4, "It is no Avro object container file.");
  if (window.bytes.toString("latin1", window.start, window.start + 4) !== "Obj\u0001") {
    throw new DamagedFile("It is no Avro object container file.");
  }
  window.advance(window.start + 4);
  const meta = new Map<string, Buffer>();
  for (;;) {
    let count = await longIn(window);
    if (count === 0) break;
    if (count < 0) {
      count = -count;
      await longIn(window);
    }
    for (let i = 0; i < count; i++) meta.set((await bytesIn(window)).toString(), await bytesIn(window));
  }
  await atLeast(window, syncBytes);
  const sync = Buffer.from(window.bytes.subarray(window.start, window.start + syncBytes));
  window.advance(window.start + syncBytes);
  return { meta, sync };
}

async function bytesIn(window: ByteWindow): Promise<Buffer> {
  const size = await longIn(window);
  if (size < 0 || size > maxBlockBytes) throw new DamagedFile("Its header has an impossible size.");
  await atLeast(window, size);
  const bytes = Buffer.from(window.bytes.subarray(window.start, window.start + size));
  window.advance(window.start + size);
  return bytes;
}

/** A long of the container itself; beyond what is exact it is too large for anything. */
async function longIn(window: ByteWindow): Promise<number> {
  while (window.end - window.start < 10 && (await window.more()));
  const bytes = new AvroBytes(window.bytes.subarray(window.start, window.end));
  const value = Number(bytes.long());
  window.advance(window.start + bytes.at);
  return value;
}

async function atLeast(window: ByteWindow, size: number, otherwise = "It breaks off."): Promise<void> {
  while (window.end - window.start < size) if (!(await window.more())) throw new DamagedFile(otherwise);
}
