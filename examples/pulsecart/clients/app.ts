import RudderAnalytics from "@rudderstack/rudder-sdk-node";
import type { TrackMessage } from "../shop/message.ts";
import { againMs, batchSize, flushEveryMs, pause } from "./sender.ts";
import type { Sender, SenderOptions } from "./sender.ts";

type Content = Parameters<RudderAnalytics["track"]>[0] & { messageId: string; originalTimestamp: Date };

/** Messages in the SDK's own queue: it turns all of them into JSON again with each one that is added. */
const inQueue = 3 * batchSize;

/** The app's backend, with RudderStack's SDK: gzipped batches in the same protocol. */
export class App implements Sender<TrackMessage> {
  readonly #analytics: RudderAnalytics;
  readonly #acknowledged: SenderOptions["acknowledged"];
  readonly #waiting: TrackMessage[] = [];
  #handedOver = 0;

  constructor({ url, writeKey, acknowledged }: SenderOptions) {
    this.#acknowledged = acknowledged;
    this.#analytics = new RudderAnalytics(writeKey, {
      dataPlaneUrl: url,
      flushAt: batchSize,
      flushInterval: flushEveryMs,
      retryCount: 5,
      // Failures come back through the callback of each message.
      errorHandler: () => {},
    });
  }

  get pending(): number {
    return this.#waiting.length + this.#handedOver;
  }

  send(message: TrackMessage): void {
    this.#waiting.push(message);
    this.#handOver();
  }

  #handOver(): void {
    while (this.#handedOver < inQueue) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#handedOver += 1;
      this.#track(message);
    }
  }

  #track(message: TrackMessage): void {
    const { id, at, event, anonymousId, userId, properties } = message;
    const content: Content = {
      event,
      anonymousId,
      ...(userId === undefined ? {} : { userId }),
      properties: { ...properties } as NonNullable<Content["properties"]>,
      context: { app: { name: "PulseCart", version: "5.2.1" }, os: { name: "Android", version: "16" } },
      timestamp: new Date(at),
      messageId: id,
      // The SDK would take the time of the call, and the same message would differ when it is sent again.
      originalTimestamp: new Date(at),
    };
    // The types of the callback leave its arguments out.
    const done = (error?: unknown): void => {
      if (error !== undefined) {
        setTimeout(() => this.#track(message), againMs);
        return;
      }
      this.#handedOver -= 1;
      this.#acknowledged(message);
      this.#handOver();
    };
    this.#analytics.track(content, done);
  }

  async flush(): Promise<void> {
    while (this.pending > 0) {
      await this.#analytics.flush();
      await pause(50);
    }
  }
}
