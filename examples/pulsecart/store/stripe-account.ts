import { StripeServer } from "@weir/testkit/stripe";
import type { StripeEvent } from "@weir/testkit/stripe";

/** As the project file pins it. */
export const apiVersion = "2026-10-28.endive";
export const apiKey = "sk_test_pulsecart";

const longestListLagMs = 400;

/** Milliseconds since the epoch; undefined once it is right. */
interface Clock {
  past: number | undefined;
}

/** The store's account with Stripe: a stand-in for Stripe's API, and what the store asks of it. Amounts in cents. */
export class StripeAccount {
  readonly #server: StripeServer;
  readonly #clock: Clock;

  private constructor(server: StripeServer, clock: Clock) {
    this.#server = server;
    this.#clock = clock;
  }

  /** @param onEvent told of each event since `open` */
  static async start(seed: number, onEvent: (event: StripeEvent) => void): Promise<StripeAccount> {
    const clock: Clock = { past: 0 };
    const server = await StripeServer.start({
      now: () => clock.past ?? Date.now(),
      seed,
      apiKey,
      apiVersion,
      listLagMs: longestListLagMs,
      onEvent: (event) => {
        if (clock.past === undefined) onEvent(event);
      },
    });
    return new StripeAccount(server, clock);
  }

  get url(): string {
    return this.#server.url;
  }

  /** Until `open`, Stripe's clock shows the time of what is told of the past. */
  turnTo(past: number): void {
    this.#clock.past = past;
  }

  /** From now on Stripe's clock is right. */
  open(): void {
    this.#clock.past = undefined;
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
