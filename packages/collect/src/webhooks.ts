import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { JsonObject } from "@weir/contract";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { answer, asWeirError, refuse, statusOf } from "./answer.ts";
import type { NamedContract } from "./contract-names.ts";
import { ContractNames } from "./contract-names.ts";
import type { CollectorLimits } from "./limits.ts";
import { Lines } from "./lines.ts";
import { bodyOf } from "./protocol.ts";
import { ClientGone, type MemoryGauge, bodyTooLarge, codingOf, receiveBody } from "./receive-body.ts";
import { PADDING_BYTES, type RecordErrorCode, Scanner } from "./scan.ts";
import type { SourceWriter } from "./source-writer.ts";
import { splitSingle } from "./split.ts";
import type { Counters } from "./stats.ts";
import { type WebhookReceiver, webhookLimits } from "./webhook-receiver.ts";

/** A source that is called by its provider, ready to receive. */
export interface OpenWebhook {
  readonly name: string;
  readonly receiver: WebhookReceiver;
  readonly writer: SourceWriter;
}

export interface WebhooksContext {
  readonly limits: CollectorLimits;
  readonly gauge: MemoryGauge;
  readonly counters: Counters;
  /** Microseconds since the epoch, never going down. */
  readonly receivedUs: () => number;
  readonly isClosing: () => boolean;
  readonly onError: (error: unknown) => void;
}

/**
 * `POST /v1/webhooks/:source`: calls that show who sent them by a signature over their bytes, not by a write key. A call is one
 * record; what its provider really sent but cannot be read is kept as unreadable, because sending it again would not mend it.
 */
export class Webhooks {
  readonly #sources: ReadonlyMap<string, OpenWebhook>;
  readonly #context: WebhooksContext;
  readonly #scanner = new Scanner();
  readonly #lines = new Lines();

  constructor(sources: readonly OpenWebhook[], context: WebhooksContext) {
    this.#sources = new Map(sources.map((source) => [source.name, source]));
    this.#context = context;
  }

  find(name: string): OpenWebhook | undefined {
    return this.#sources.get(name);
  }

  /** Answers the call. Never rejects. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    source: OpenWebhook,
    expectsContinue: boolean,
  ): Promise<void> {
    const { counters, isClosing, onError } = this.#context;
    const started = performance.now();
    const headers = (): OutgoingHttpHeaders => (isClosing() ? { connection: "close" } : {});
    let status = 202;
    try {
      const reply = await this.#take(request, response, source, expectsContinue);
      answer(response, status, headers(), reply);
      failpoint("collect.request.answered");
    } catch (thrown) {
      if (thrown instanceof ClientGone) {
        counters.abandoned++;
        return;
      }
      const error = asWeirError(thrown);
      if (error.code === "internal_error" || error.code.startsWith("log_")) onError(thrown);
      counters.refusal(error.code);
      status = statusOf(error);
      refuse(request, response, error, headers());
    }
    counters.answered("webhooks", status, performance.now() - started);
  }

  /** Everything up to the durable record; returns the reply. Throws what refuses the call. */
  async #take(
    request: IncomingMessage,
    response: ServerResponse,
    source: OpenWebhook,
    expectsContinue: boolean,
  ): Promise<string> {
    const { counters, gauge, limits, receivedUs } = this.#context;
    const { headers } = request;
    // The signature is over the bytes on the wire, and nobody compresses them.
    if (codingOf(headers["content-encoding"]) !== undefined) {
      throw new WeirError("unsupported_encoding", "Webhook calls are not compressed.");
    }
    const declared = Number(headers["content-length"] ?? 0);
    if (declared > limits.bodyBytes) throw bodyTooLarge(`${declared} bytes; ${limits.bodyBytes} are allowed`);
    gauge.check(declared);
    if (expectsContinue) response.writeContinue();
    const chunks = await receiveBody(request, limits.bodyBytes, gauge);
    const bytes = Buffer.concat([...chunks, Buffer.alloc(PADDING_BYTES)]);
    const size = bytes.length - PADDING_BYTES;
    failpoint("collect.request.received");
    try {
      const nowUs = receivedUs();
      source.receiver.verify(headers, bytes.subarray(0, size), nowUs / 1000);
      const { readable, unreadable } = this.#read(source.receiver, bytes, size, nowUs);
      failpoint("collect.request.read");
      await source.writer.append(this.#lines.bytes, this.#lines.lengths);
      failpoint("collect.request.durable");
      counters.acknowledged(source.name, readable, new Map(unreadable && [[unreadable, 1]]));
      counters.sentBytes += size;
      counters.bodyBytes += size;
      const received = readable + (unreadable === undefined ? 0 : 1);
      return JSON.stringify({ success: true, received });
    } finally {
      gauge.give(size);
    }
  }

  /** Makes the lines of a body. Returns how many records were readable, or why it is none. */
  #read(
    receiver: WebhookReceiver,
    bytes: Buffer,
    size: number,
    receivedUs: number,
  ): { readable: number; unreadable?: RecordErrorCode } {
    const lines = this.#lines;
    const scanner = this.#scanner;
    const named = nameOf(receiver);
    const body = bodyOf(bytes, size);
    lines.begin(receivedUs);
    const refused = (code: RecordErrorCode, detail: string) => {
      lines.addUnreadable(named, code, detail, bytes.subarray(0, size));
      return { readable: 0, unreadable: code };
    };
    let scanned = false;
    scanner.open(body.bytes, body.isUtf8, webhookLimits);
    splitSingle(scanner, body.start, body.end, { record: () => void (scanned = true) });
    if (!scanned) throw new WeirError("empty_body", "The body is empty.");
    if (scanner.code !== undefined) return refused(scanner.code, scanner.detail);
    const records = receiver.read(JSON.parse(bytes.toString("utf8", body.start, body.end)) as JsonObject);
    if (typeof records === "string") return refused("invalid_message", records);
    for (const { text, keys, nulls } of records) {
      lines.addText(named, keys, nulls, Buffer.from(text).toString("latin1"));
    }
    return { readable: records.length };
  }
}

/** Column 3 for a receiver's records. */
function nameOf({ contract }: WebhookReceiver): NamedContract {
  return new ContractNames([]).find(contract);
}
