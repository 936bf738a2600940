import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";

/** What tells that a file is still the one that was looked at. */
export interface FileStamp {
  readonly size: number;
  /** Nanoseconds since the epoch. */
  readonly mtimeNs: string;
  readonly inode: string;
}

export const stampOf = ({ size, mtimeNs, ino }: BigIntStats): FileStamp => ({
  size: Number(size),
  mtimeNs: String(mtimeNs),
  inode: String(ino),
});

export const isSameStamp = (one: FileStamp, other: FileStamp): boolean =>
  one.size === other.size && one.mtimeNs === other.mtimeNs && one.inode === other.inode;

/** The file does not hold what its format asks for. It is read again when it changes. */
export class DamagedFile extends Error {
  override readonly name = "DamagedFile";
}

/** The file changed while it was read, so it was not complete yet. */
export class ChangedFile extends Error {
  override readonly name = "ChangedFile";
}

/** The file cannot be opened or read; `cause` says why. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
}

/** What `read` throws, as what it says of the file: one of the three classes above. */
export async function ofFile<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (isFileProblem(cause)) throw cause;
    throw new UnreadableFile(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

export const isFileProblem = (error: unknown): error is Error =>
  error instanceof DamagedFile || error instanceof ChangedFile || error instanceof UnreadableFile;

const chunkBytes = 256 * 1024;

/** A file, open for reading. Its bytes are streamed, so memory does not depend on its size. */
export class OpenFile {
  readonly stamp: FileStamp;
  readonly isGzip: boolean;
  readonly #handle: FileHandle;

  private constructor(handle: FileHandle, stamp: FileStamp, isGzip: boolean) {
    this.#handle = handle;
    this.stamp = stamp;
    this.isGzip = isGzip;
  }

  static async open(path: string): Promise<OpenFile> {
    const handle = await open(path, "r");
    try {
      const stamp = stampOf(await handle.stat({ bigint: true }));
      return new OpenFile(handle, stamp, /\.gz$/i.test(path));
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** @throws ChangedFile */
  async checkUnchanged(): Promise<void> {
    const now = stampOf(await this.#handle.stat({ bigint: true }));
    if (!isSameStamp(now, this.stamp)) throw new ChangedFile("It changed while it was read.");
  }

  /** SHA-256 of the file as it is, in hexadecimal. */
  async hash(signal: AbortSignal): Promise<string> {
    const hash = createHash("sha256");
    for await (const chunk of this.#raw(0, signal)) hash.update(chunk);
    return hash.digest("hex");
  }

  /**
   * The file's content from byte `from` on, decompressed if its name ends in .gz.
   *
   * @throws DamagedFile for gzip that is none, or breaks off
   */
  async *content(from: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    if (!this.isGzip) {
      yield* this.#raw(from, signal);
      return;
    }
    let skip = from;
    for await (const chunk of this.#gunzipped(signal)) {
      if (skip < chunk.length) yield skip === 0 ? chunk : chunk.subarray(skip);
      skip = Math.max(0, skip - chunk.length);
    }
  }

  /** Bytes `start..end` of the file as it is. */
  async slice(start: number, end: number): Promise<ArrayBuffer> {
    const bytes = new ArrayBuffer(end - start);
    const view = new Uint8Array(bytes);
    for (let at = 0; at < view.length;) {
      const { bytesRead } = await this.#handle.read(view, at, view.length - at, start + at);
      if (bytesRead === 0) throw new ChangedFile("It became shorter while it was read.");
      at += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async *#raw(from: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    for (let at = from; at < this.stamp.size;) {
      signal.throwIfAborted();
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, this.stamp.size - at));
      const { bytesRead } = await this.#handle.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) throw new ChangedFile("It became shorter while it was read.");
      yield bytesRead === chunk.length ? chunk : chunk.subarray(0, bytesRead);
      at += bytesRead;
    }
  }

  async *#gunzipped(signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const gunzip = createGunzip({ chunkSize: chunkBytes });
    const fed = pipeline(this.#raw(0, signal), gunzip);
    // What fails the pipeline also fails the iteration below.
    fed.catch(() => {});
    try {
      for await (const chunk of gunzip as AsyncIterable<Buffer>) {
        signal.throwIfAborted();
        yield chunk;
      }
      await fed;
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (code.startsWith("Z_"))
        throw new DamagedFile(`It is no complete gzip: ${(error as Error).message}.`);
      throw error;
    } finally {
      gunzip.destroy();
    }
  }
}

/** Reads a stream of bytes to its end. */
export async function readThrough(chunks: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of chunks);
}
