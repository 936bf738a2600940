import { gzipSync } from "node:zlib";
import type { LineMessage } from "../shop/message.ts";
import { againMs, batchSize, flushEveryMs, pause } from "./sender.ts";
import type { Sender, SenderOptions } from "./sender.ts";

/** The inventory service, with no SDK at all: gzipped NDJSON by fetch. */
export class InventoryService implements Sender<LineMessage> {
  readonly #url: string;
  readonly #writeKey: string;
  readonly #acknowledged: SenderOptions["acknowledged"];
  #batch: LineMessage[] = [];
  #timer: NodeJS.Timeout | undefined;
  pending = 0;

  constructor({ url, writeKey, acknowledged }: SenderOptions) {
    this.#url = `${url}/v1/events`;
    this.#writeKey = writeKey;
    this.#acknowledged = acknowledged;
  }

  send(message: LineMessage): void {
    this.pending += 1;
    this.#batch.push(message);
    if (this.#batch.length >= batchSize) this.#post();
    else this.#timer ??= setTimeout(() => this.#post(), flushEveryMs);
  }

  #post(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const messages = this.#batch;
    this.#batch = [];
    if (messages.length > 0) void this.#deliver(messages);
  }

  async #deliver(messages: readonly LineMessage[]): Promise<void> {
    const body = gzipSync(messages.map(({ line }) => line).join("\n"));
    while (!(await this.#accepts(body))) await pause(againMs);
    this.pending -= messages.length;
    for (const message of messages) this.#acknowledged(message);
  }

  async #accepts(body: Uint8Array<ArrayBuffer>): Promise<boolean> {
    try {
      const reply = await fetch(this.#url, {
        method: "POST",
        headers: {
          "content-type": "application/x-ndjson",
          "content-encoding": "gzip",
          authorization: `Bearer ${this.#writeKey}`,
        },
        body,
        signal: AbortSignal.timeout(60_000),
      });
      await reply.arrayBuffer();
      return reply.status === 202;
    } catch {
      return false;
    }
  }

  async flush(): Promise<void> {
    this.#post();
    while (this.pending > 0) await pause(20);
  }
}
