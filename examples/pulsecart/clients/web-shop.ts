import { Analytics } from "@segment/analytics-node";
import type { TrackMessage } from "../shop/message.ts";
import { againMs, batchSize, flushEveryMs, pause } from "./sender.ts";
import type { Sender, SenderOptions } from "./sender.ts";

/** The web shop's server, with Segment's SDK. Its retries send a batch again with the same message ids. */
export class WebShop implements Sender<TrackMessage> {
  readonly #analytics: Analytics;
  readonly #acknowledged: SenderOptions["acknowledged"];
  pending = 0;

  constructor({ url, writeKey, acknowledged }: SenderOptions) {
    this.#acknowledged = acknowledged;
    this.#analytics = new Analytics({
      host: url,
      writeKey,
      flushAt: batchSize,
      flushInterval: flushEveryMs,
      httpRequestTimeout: 60_000,
    });
  }

  send(message: TrackMessage): void {
    this.pending += 1;
    this.#track(message);
  }

  #track(message: TrackMessage): void {
    const { id, at, event, anonymousId, userId, properties } = message;
    const content = { event, anonymousId, userId, properties: { ...properties }, messageId: id };
    const context = { page: { path: "/products" }, locale: "en-GB" };
    this.#analytics.track({ ...content, context, timestamp: new Date(at) }, (error) => {
      if (error !== undefined) {
        setTimeout(() => this.#track(message), againMs);
        return;
      }
      this.pending -= 1;
      this.#acknowledged(message);
    });
  }

  async flush(): Promise<void> {
    while (this.pending > 0) {
      await this.#analytics.flush({ timeout: 5_000 });
      await pause(50);
    }
  }
}
