import type { StripeEvent } from "@weir/testkit/stripe";
import { Stripe } from "stripe";
import { Timeline } from "../shop/timeline.ts";
import type { Random } from "../shop/random.ts";
import type { StoreBooks } from "./messages.ts";

export const webhookSecret = "whsec_pulsecart";

/** Of the events, so many are never called, and so many twice. */
const neverCalled = 0.04;
const calledTwice = 0.05;
/** Calls leave up to so late, so that they come in no order. */
const longestDelayMs = 3_000;
const tickMs = 50;
const againMs = 500;

/** Calls Weir for each event as Stripe does: signed, late, in any order, again until it is accepted; and sometimes never. */
export class Webhooks {
  readonly #random: Random;
  readonly #waiting = new Timeline<StripeEvent>();
  readonly #underWay = new Set<Promise<void>>();
  #url: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #counts = { events: 0, accepted: 0, twice: 0, never: 0 };

  constructor(random: Random) {
    this.#random = random;
  }

  get counts(): StoreBooks["webhooks"] {
    return this.#counts;
  }

  happened(event: StripeEvent): void {
    this.#counts.events += 1;
    if (this.#random.chance(neverCalled)) {
      this.#counts.never += 1;
      return;
    }
    const now = performance.now();
    const later = (): number => now + this.#random.between(0, longestDelayMs);
    this.#waiting.add(later(), event);
    if (!this.#random.chance(calledTwice)) return;
    this.#counts.twice += 1;
    this.#waiting.add(later(), event);
  }

  /** @param url Weir's */
  open(url: string): void {
    this.#url = `${url}/v1/webhooks/stripe`;
    this.#timer = setInterval(() => this.#call(performance.now()), tickMs);
  }

  /** Calls for everything that waits. @returns once all of it is accepted */
  async flush(): Promise<void> {
    clearInterval(this.#timer);
    this.#call(Infinity);
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
  }

  #call(until: number): void {
    for (let event = this.#waiting.take(until); event !== undefined; event = this.#waiting.take(until)) {
      const delivered = this.#deliver(JSON.stringify(event, undefined, 2));
      this.#underWay.add(delivered);
      void delivered.then(() => this.#underWay.delete(delivered));
    }
  }

  async #deliver(payload: string): Promise<void> {
    while (!(await this.#accepts(payload))) await new Promise((resolve) => setTimeout(resolve, againMs));
    this.#counts.accepted += 1;
  }

  async #accepts(payload: string): Promise<boolean> {
    const signature = Stripe.webhooks.generateTestHeaderString({ payload, secret: webhookSecret });
    try {
      const reply = await fetch(this.#url ?? "", {
        method: "POST",
        headers: { "content-type": "application/json; charset=utf-8", "stripe-signature": signature },
        body: payload,
        signal: AbortSignal.timeout(30_000),
      });
      await reply.arrayBuffer();
      return reply.ok;
    } catch {
      return false;
    }
  }
}
