import type { IncomingHttpHeaders } from "node:http";
import { isUtf8 } from "node:buffer";
import type { WeirError } from "@weir/contract";
import type { SourceLimits } from "./limits.ts";
import type { MediaType } from "./media-type.ts";
import type { Receipt } from "./receipt.ts";
import { type Scanner, skipSpace } from "./scan.ts";
import type { PushSource } from "./source.ts";

/** One way to send records. */
export interface Protocol {
  readonly name: "events" | "segment" | "cloudevents" | "otlp" | "log_lines";
  /** Sources that take it. */
  readonly kind: PushSource["kind"];
  /** Whether bodies of this media type are read at all. */
  accepts(mediaType: MediaType, headers: IncomingHttpHeaders): boolean;
  /** Whether a request of this media type says something without a body. */
  allowsEmpty(mediaType: MediaType): boolean;
  /** The write key that the body holds, for protocols that have it there. */
  keyIn?(body: Body): string | undefined;
  /** Reads all records of the request into the receipt. Whatever is wrong with a record is the record's, never the request's. */
  read(request: ProtocolRequest, scanner: Scanner, receipt: Receipt): void;
  /** The answer once the records are durable, for protocols that have one of their own. */
  reply?(receipt: Receipt, mediaType: MediaType): Reply;
  /** The body that tells a client of this media type why its request was refused, likewise. */
  refusal?(error: WeirError, mediaType: MediaType): Pick<Reply, "contentType" | "body">;
}

export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string | Uint8Array;
}

export interface ProtocolRequest {
  /** The last part of the path, such as `batch`. */
  readonly endpoint: string;
  readonly mediaType: string;
  readonly headers: IncomingHttpHeaders;
  readonly limits: SourceLimits;
  readonly body: Body;
}

/** A decompressed request body: `start..end` of `bytes`, which go on for PADDING_BYTES. */
export interface Body {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
  readonly isUtf8: boolean;
}

/** A body without its byte order mark, if it has one (RFC 8259, section 8.1, lets receivers ignore it). */
export function bodyOf(bytes: Buffer, size: number): Body {
  const hasMark = size >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return { bytes, start: hasMark ? 3 : 0, end: size, isUtf8: isUtf8(bytes.subarray(0, size)) };
}

export function isBlank({ bytes, start, end }: Body): boolean {
  return skipSpace(bytes, start, end) === end;
}
