import { CloudEvent, Mode, emitterFor, httpTransport } from "cloudevents";
import type { CloudMessage } from "../shop/message.ts";
import { againMs, pause } from "./sender.ts";
import type { Sender, SenderOptions } from "./sender.ts";

/** Requests under way at a time. Each carries one event and waits for the disk, 70 ms on a busy machine. */
const inParallel = 64;

/** The order service, with the CloudEvents SDK: one request an event, in binary or structured mode. */
export class OrderService implements Sender<CloudMessage> {
  readonly #binary: ReturnType<typeof emitterFor>;
  readonly #structured: ReturnType<typeof emitterFor>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #acknowledged: SenderOptions["acknowledged"];
  readonly #waiting: CloudMessage[] = [];
  #running = 0;

  constructor({ url, writeKey, acknowledged }: SenderOptions) {
    const transport = httpTransport(`${url}/v1/cloudevents`);
    this.#binary = emitterFor(transport, { mode: Mode.BINARY });
    this.#structured = emitterFor(transport, { mode: Mode.STRUCTURED });
    this.#headers = { authorization: `Bearer ${writeKey}` };
    this.#acknowledged = acknowledged;
  }

  get pending(): number {
    return this.#waiting.length + this.#running;
  }

  send(message: CloudMessage): void {
    this.#waiting.push(message);
    if (this.#running < inParallel) void this.#work();
  }

  async #work(): Promise<void> {
    this.#running += 1;
    for (let message = this.#waiting.shift(); message !== undefined; message = this.#waiting.shift()) {
      await this.#deliver(message);
    }
    this.#running -= 1;
  }

  async #deliver(message: CloudMessage): Promise<void> {
    const { id, at, type, data } = message;
    const time = new Date(at).toISOString();
    const event = new CloudEvent({ id, type, source: "/pulsecart/orders", time, data });
    // By the event and not by turns: whatever is sent again is sent in the same words.
    const emit = type.endsWith("placed") ? this.#structured : this.#binary;
    for (;;) {
      try {
        // The transport resolves whatever the status, and gives the body only.
        const reply = (await emit(event, { headers: this.#headers })) as { body: string };
        if ((JSON.parse(reply.body) as { success?: boolean }).success === true) break;
      } catch {
        // A connection that was reset: the same event is sent again.
      }
      await pause(againMs);
    }
    this.#acknowledged(message);
  }

  async flush(): Promise<void> {
    while (this.pending > 0) await pause(20);
  }
}
