import type { IncomingMessage } from "node:http";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from "node:zlib";
import { WeirError } from "@weir/contract";

/** The client went away before its request was whole: there is nobody to answer, and nothing to keep. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** Bytes of request bodies in memory, of all requests of a collector. */
export class MemoryGauge {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** @throws WeirError `overloaded` if so many more do not fit */
  check(bytes: number): void {
    if (this.used + bytes <= this.limit) return;
    const message = `The collector holds ${this.used} of at most ${this.limit} bytes of requests.`;
    throw new WeirError("overloaded", message);
  }

  /** @throws WeirError `overloaded`, and then nothing is taken */
  take(bytes: number): void {
    this.check(bytes);
    this.used += bytes;
  }

  give(bytes: number): void {
    this.used -= bytes;
  }
}

/**
 * Receives the whole body as sent. The chunks are counted in the gauge as they come (a declared length costs nothing, so slow
 * clients cannot claim memory they do not fill), and stay counted when this resolves; the caller gives them back.
 *
 * @throws WeirError `body_too_large` as soon as more than `limit` bytes came, `overloaded`; ClientGone. Then nothing stays counted
 *   and what is left of the body is not read.
 */
export function receiveBody(request: IncomingMessage, limit: number, gauge: MemoryGauge): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const stop = (error: Error): void => {
      unlisten();
      gauge.give(bytes);
      request.pause();
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      try {
        if (bytes + chunk.length > limit) throw bodyTooLarge(`more than ${limit} bytes`);
        gauge.take(chunk.length);
      } catch (error) {
        stop(error as Error);
        return;
      }
      bytes += chunk.length;
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      unlisten();
      resolve(chunks);
    };
    const onClose = (): void => stop(new ClientGone());
    const unlisten = (): void => {
      request.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
    };
    request.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

export function bodyTooLarge(what: string): WeirError {
  return new WeirError("body_too_large", `The body has ${what}.`);
}

export type Coding = "gzip" | "deflate" | "br";

/**
 * The coding that a Content-Encoding names, undefined for none.
 *
 * @throws WeirError `unsupported_encoding`, also for several codings one after the other
 */
export function codingOf(contentEncoding: string | undefined): Coding | undefined {
  const name = (contentEncoding ?? "identity").trim().toLowerCase();
  if (name === "identity" || name === "") return undefined;
  if (name === "gzip" || name === "x-gzip") return "gzip";
  if (name === "deflate" || name === "br") return name;
  throw new WeirError(
    "unsupported_encoding",
    `The Content-Encoding ${JSON.stringify(name.slice(0, 100))} is not known.`,
  );
}

/**
 * Decompresses a body off the main thread. Counts what comes out in the gauge, where it stays for the caller to give back, and stops
 * as soon as it is more than `limit`: a zip bomb costs no more than that.
 *
 * @throws WeirError `body_too_large`, `invalid_encoding`, `overloaded`; then nothing stays counted
 */
export function decompress(
  body: readonly Buffer[],
  coding: Coding,
  limit: number,
  gauge: MemoryGauge,
): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const stream = decompressor(coding, body);
    const chunks: Buffer[] = [];
    let bytes = 0;
    const stop = (error: Error): void => {
      stream
        .removeAllListeners("data")
        .removeAllListeners("end")
        .on("error", () => {});
      stream.destroy();
      gauge.give(bytes);
      bytes = 0;
      reject(error);
    };
    stream.on("data", (chunk: Buffer) => {
      try {
        if (bytes + chunk.length > limit) throw bodyTooLarge(`more than ${limit} bytes once decompressed`);
        gauge.take(chunk.length);
      } catch (error) {
        stop(error as Error);
        return;
      }
      bytes += chunk.length;
      chunks.push(chunk);
    });
    stream.on("end", () => resolve(chunks));
    stream.once("error", (cause) => {
      stop(new WeirError("invalid_encoding", `The body is not ${coding}: ${cause.message}.`, { cause }));
    });
    for (const chunk of body) stream.write(chunk);
    stream.end();
  });
}

function decompressor(coding: Coding, body: readonly Buffer[]): Transform {
  const options = { chunkSize: 64 * 1024 };
  if (coding === "gzip") return createGunzip(options);
  if (coding === "br") return createBrotliDecompress(options);
  // "deflate" means zlib (RFC 9110, section 8.4.1.2), but some clients send the bare stream.
  return hasZlibHeader(Buffer.concat(body.slice(0, 2))) ? createInflate(options) : createInflateRaw(options);
}

function hasZlibHeader(body: Buffer): boolean {
  return body.length >= 2 && (body[0]! & 0x0f) === 8 && ((body[0]! << 8) | body[1]!) % 31 === 0;
}
