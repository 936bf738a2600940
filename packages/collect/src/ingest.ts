import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { answer, asWeirError, refuse, statusOf } from "./answer.ts";
import type { ContractNames } from "./contract-names.ts";
import { type Cors, mayWrite } from "./cors.ts";
import { type CollectorLimits, TokenBucket } from "./limits.ts";
import { type MediaType, mediaTypeOf } from "./media-type.ts";
import { type Body, type Protocol, type Reply, bodyOf, isBlank } from "./protocol.ts";
import {
  ClientGone,
  type MemoryGauge,
  bodyTooLarge,
  codingOf,
  decompress,
  receiveBody,
} from "./receive-body.ts";
import { Receipt } from "./receipt.ts";
import { PADDING_BYTES, Scanner } from "./scan.ts";
import type { PushSource } from "./source.ts";
import type { SourceWriter } from "./source-writer.ts";
import type { Counters } from "./stats.ts";
import { type WriteKeys, shownKey } from "./write-keys.ts";

/** A source, ready to receive. */
export interface OpenSource {
  readonly name: string;
  readonly declared: PushSource;
  readonly names: ContractNames;
  readonly writer: SourceWriter;
  /** By write key; the key of requests that show none is empty. */
  readonly rates: Map<string, KeyRate>;
}

export interface KeyRate {
  readonly requests: TokenBucket;
  readonly bytes: TokenBucket;
}

/** What all requests of a collector share. */
export interface IngestContext {
  readonly keys: WriteKeys<OpenSource>;
  /** The only source of a kind, if it declares no write key: then requests need none. */
  readonly keyless: ReadonlyMap<PushSource["kind"], OpenSource>;
  readonly cors: Cors;
  readonly limits: CollectorLimits;
  readonly gauge: MemoryGauge;
  readonly counters: Counters;
  /** Microseconds since the epoch, never going down. */
  readonly receivedUs: () => number;
  readonly isClosing: () => boolean;
  readonly onError: (error: unknown) => void;
}

/** A request to write, as its address says. */
export interface Target {
  readonly protocol: Protocol;
  readonly endpoint: string;
  readonly query: URLSearchParams | undefined;
  /** The client sends the body only after "100 Continue". */
  readonly expectsContinue: boolean;
}

/** A buffer of the usual size is kept from request to request. */
const keptBytes = 4 * 1024 * 1024;

/**
 * Takes requests that write records, from their headers to their answer. A request is received whole and then read in one turn
 * of the event loop, so the scanner, the copy of the body and the lines exist once.
 */
export class Ingest {
  readonly #context: IngestContext;
  readonly #scanner = new Scanner();
  readonly #receipt = new Receipt();
  #body = Buffer.alloc(64 * 1024);

  constructor(context: IngestContext) {
    this.#context = context;
  }

  /** Answers the request. Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse, target: Target): Promise<void> {
    const { counters, cors, onError, isClosing } = this.#context;
    const started = performance.now();
    const headers: OutgoingHttpHeaders = cors.headers(request.headers);
    const { protocol } = target;
    let status: number;
    try {
      const reply = await this.#take(request, response, target);
      if (isClosing()) headers["connection"] = "close";
      ({ status } = reply);
      answer(response, status, { ...headers, "content-type": reply.contentType }, reply.body);
      failpoint("collect.request.answered");
    } catch (thrown) {
      if (thrown instanceof ClientGone) {
        counters.abandoned++;
        return;
      }
      const error = asWeirError(thrown);
      if (error.code === "internal_error" || error.code.startsWith("log_")) onError(thrown);
      counters.refusal(error.code);
      if (isClosing()) headers["connection"] = "close";
      if (error instanceof RateLimited) headers["retry-after"] = String(Math.ceil(error.waitMs / 1000));
      const told = protocol.refusal?.(error, mediaTypeOf(request.headers["content-type"]));
      if (told !== undefined) headers["content-type"] = told.contentType;
      refuse(request, response, error, headers, told?.body);
      status = statusOf(error);
    }
    counters.answered(protocol.name, status, performance.now() - started);
  }

  /** Everything up to the durable records; returns the reply. Throws what refuses the request. */
  async #take(request: IncomingMessage, response: ServerResponse, target: Target): Promise<Reply> {
    const { gauge, limits } = this.#context;
    const { headers } = request;
    const key = shownKey(headers, target.query);
    const source = this.#sourceOf(key, target.protocol);
    const mediaType = mediaTypeOf(headers["content-type"]);
    if (!target.protocol.accepts(mediaType, headers)) throw unsupported(headers["content-type"]);
    const coding = codingOf(headers["content-encoding"]);
    const declared = Number(headers["content-length"] ?? 0);
    if (declared > limits.bodyBytes) throw bodyTooLarge(`${declared} bytes; ${limits.bodyBytes} are allowed`);
    if (source !== undefined) admit(source, key, request);
    gauge.check(declared);
    if (target.expectsContinue) response.writeContinue();

    const sent = await receiveBody(request, limits.bodyBytes, gauge);
    const sentBytes = sizeOf(sent);
    if (coding === undefined)
      return this.#write({ request, target, mediaType, source, key }, sent, sentBytes);
    let decoded: Buffer[];
    try {
      decoded = await decompress(sent, coding, limits.bodyBytes, gauge);
    } finally {
      gauge.give(sentBytes);
    }
    return this.#write({ request, target, mediaType, source, key }, decoded, sentBytes);
  }

  /** Reads a body that is whole, appends its records and gives its bytes back to the gauge. */
  async #write(taken: Taken, chunks: readonly Buffer[], sentBytes: number): Promise<Reply> {
    const { counters, gauge } = this.#context;
    const size = this.#load(chunks);
    failpoint("collect.request.received");
    try {
      const source = this.#read(taken, bodyOf(this.#body, size), sentBytes);
      const receipt = this.#receipt;
      const { lines, unreadable } = receipt;
      const readable = lines.count - receipt.unreadableCount;
      const reply = taken.target.protocol.reply?.(receipt, taken.mediaType) ?? accepted(receipt);
      failpoint("collect.request.read");
      await source.writer.append(lines.bytes, lines.lengths);
      failpoint("collect.request.durable");
      counters.acknowledged(source.name, readable, unreadable);
      counters.sentBytes += sentBytes;
      counters.bodyBytes += size;
      return reply;
    } finally {
      gauge.give(size);
    }
  }

  /** Turns the body into the lines of the receipt. Returns the source that they belong to. */
  #read(taken: Taken, body: Body, sentBytes: number): OpenSource {
    const { request, target, mediaType } = taken;
    const { protocol, endpoint, query } = target;
    if (isBlank(body) && !protocol.allowsEmpty(mediaType)) {
      throw new WeirError("empty_body", "The body is empty.");
    }
    let { source, key } = taken;
    if (source === undefined) {
      key = protocol.keyIn?.(body);
      source = this.#sourceWith(key, protocol);
      admit(source, key, request);
    }
    const { headers } = request;
    const { limits } = source.declared;
    charge(source, key, sentBytes - Number(headers["content-length"] ?? 0));
    const named = query?.get("contract") ?? headers["weir-contract"];
    const requested = typeof named === "string" && named !== "" ? source.names.find(named) : undefined;
    this.#receipt.begin(source.names, requested, limits, this.#context.receivedUs());
    protocol.read(
      { endpoint, mediaType: mediaType.name, headers, limits, body },
      this.#scanner,
      this.#receipt,
    );
    return source;
  }

  /** The source that a key from outside the body belongs to; undefined if the body is to say. */
  #sourceOf(key: string | undefined, protocol: Protocol): OpenSource | undefined {
    const keyless = this.#context.keyless.get(protocol.kind);
    if (keyless !== undefined) return keyless;
    if (key === undefined && protocol.keyIn !== undefined) return undefined;
    return this.#sourceWith(key, protocol);
  }

  #sourceWith(key: string | undefined, protocol: Protocol): OpenSource {
    const source = key === undefined ? undefined : this.#context.keys.find(key);
    if (source === undefined) throw invalidKey(key);
    if (source.declared.kind === protocol.kind) return source;
    throw new WeirError(
      "invalid_write_key",
      `The write key belongs to a source of kind ${source.declared.kind}, which takes no requests at this address.`,
    );
  }

  /** Copies the body to where it has padding behind it. Returns its size. */
  #load(chunks: readonly Buffer[]): number {
    const size = sizeOf(chunks);
    const room = size + PADDING_BYTES;
    if (room > this.#body.length || (this.#body.length > keptBytes && room <= keptBytes)) {
      this.#body = Buffer.allocUnsafeSlow(room <= keptBytes ? 2 ** Math.ceil(Math.log2(room)) : room);
    }
    let at = 0;
    for (const chunk of chunks) {
      this.#body.set(chunk, at);
      at += chunk.length;
    }
    this.#body.fill(0, size, room);
    return size;
  }
}

/** A request whose headers were accepted. */
interface Taken {
  readonly request: IncomingMessage;
  readonly target: Target;
  readonly mediaType: MediaType;
  readonly source: OpenSource | undefined;
  readonly key: string | undefined;
}

/** Lets the request in by its origin and the rate of its key, and charges it for what it declares. */
function admit(source: OpenSource, key: string | undefined, request: IncomingMessage): void {
  const { origin } = request.headers;
  if (!mayWrite(source.declared, origin)) {
    throw new WeirError("origin_not_allowed", `Source ${source.name} takes no requests from ${origin}.`);
  }
  const rate = rateOf(source, key);
  if (rate === undefined) return;
  const nowMs = performance.now();
  const waitMs = Math.max(rate.requests.waitMs(1, nowMs), rate.bytes.waitMs(1, nowMs));
  if (waitMs > 0) throw new RateLimited(waitMs);
  rate.requests.take(1);
  rate.bytes.take(Number(request.headers["content-length"] ?? 0));
}

function charge(source: OpenSource, key: string | undefined, bytes: number): void {
  rateOf(source, key)?.bytes.take(bytes);
}

/** Any key opens a source without keys, so there all of them share one rate. */
function rateOf({ declared, rates }: OpenSource, key: string | undefined): KeyRate | undefined {
  const { requestsPerSecond, bytesPerSecond } = declared.limits;
  if (requestsPerSecond === Infinity && bytesPerSecond === Infinity) return undefined;
  const name = declared.writeKeys.length === 0 ? "" : (key ?? "");
  let rate = rates.get(name);
  if (rate === undefined) {
    const nowMs = performance.now();
    rate = {
      requests: new TokenBucket(requestsPerSecond, nowMs),
      bytes: new TokenBucket(bytesPerSecond, nowMs),
    };
    rates.set(name, rate);
  }
  return rate;
}

function accepted(receipt: Receipt): Reply {
  return { status: 202, contentType: "application/json; charset=utf-8", body: receipt.reply() };
}

class RateLimited extends WeirError {
  readonly waitMs: number;

  constructor(waitMs: number) {
    super("rate_limited", `The write key may send again in ${waitMs} ms.`);
    this.waitMs = waitMs;
  }
}

function invalidKey(key: string | undefined): WeirError {
  const what = key === undefined ? "The request shows no write key." : "The write key belongs to no source.";
  return new WeirError("invalid_write_key", what);
}

function unsupported(contentType: string | undefined): WeirError {
  const what =
    contentType === undefined
      ? "no Content-Type"
      : `Content-Type ${JSON.stringify(contentType.slice(0, 200))}`;
  return new WeirError("unsupported_media_type", `The request has ${what}.`);
}

function sizeOf(chunks: readonly Buffer[]): number {
  let size = 0;
  for (const chunk of chunks) size += chunk.length;
  return size;
}
