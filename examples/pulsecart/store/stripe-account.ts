import { StripeServer } from "@weir/testkit/stripe";
import type { StripeEvent } from "@weir/testkit/stripe";

/** As the project file pins it. */
export const apiVersion = "2026-10-28.endive";
export const apiKey = "sk_test_pulsecart";

/** Until the store opens its books to Weir, Stripe's clock shows a day of last week: its events are old ones. */
const beforeMs = 5 * 86_400_000;
const longestListLagMs = 400;

/** The store's account with Stripe: a stand-in for Stripe's API, and what the store asks of it. Amounts in cents. */
export class StripeAccount {
  readonly #server: StripeServer;
  readonly #clock: { behindMs: number };

  private constructor(server: StripeServer, clock: { behindMs: number }) {
    this.#server = server;
    this.#clock = clock;
  }

  /** @param onEvent told of each event since `open` */
  static async start(seed: number, onEvent: (event: StripeEvent) => void): Promise<StripeAccount> {
    const clock = { behindMs: beforeMs };
    const server = await StripeServer.start({
      now: () => Date.now() - clock.behindMs,
      seed,
      apiKey,
      apiVersion,
      listLagMs: longestListLagMs,
      onEvent: (event) => {
        if (clock.behindMs === 0) onEvent(event);
      },
    });
    return new StripeAccount(server, clock);
  }

  get url(): string {
    return this.#server.url;
  }

  /** From now on Stripe's clock is right. */
  open(): void {
    this.#clock.behindMs = 0;
  }

  /** @returns the id of the charge */
  charge(order: string, cents: number): string {
    const paid = { amount: cents, amount_captured: cents, captured: true, paid: true, status: "succeeded" };
    const method = { type: "card", card: { brand: "visa", last4: "4242", country: "NL" } };
    const about = { description: `Order ${order}`, metadata: { order_id: order } };
    return this.#server.create(
      "charge",
      { ...paid, ...about, currency: "eur", source: null, payment_method_details: method },
      "charge.succeeded",
    );
  }

  /** @param refunded of the charge in all, this refund included */
  refund(charge: string, refunded: number, of: number): void {
    this.#server.update(charge, { amount_refunded: refunded, refunded: refunded === of }, "charge.refunded");
  }

  async close(): Promise<void> {
    await this.#server.close();
  }
}
