import { cartContent } from "./cart.ts";
import type { CartItem } from "./cart.ts";
import { money, popularProduct } from "./catalogue.ts";
import type { Product } from "./catalogue.ts";
import type { Books, ContractName, Data } from "./message.ts";
import { placeOrder } from "./order.ts";
import type { Visitor } from "./visitor.ts";
import { minute, second } from "./world.ts";
import type { World } from "./world.ts";

/** The longest silence within a visit, as weir.config.ts has it. */
const gap = 30 * minute;

const events: Readonly<Record<string, string>> = {
  product_viewed: "Product Viewed",
  cart_updated: "Cart Updated",
  checkout_started: "Checkout Started",
};

/**
 * One visit, from its first page to its end. All of its events are at most the gap apart, and the visitor's next visit
 * begins later than that: so a shop that sent everything has as many sessions as visits. Both limits are met
 * exactly now and then.
 */
export class Visit {
  readonly #world: World;
  readonly #visitor: Visitor;
  /** A phone without a network sends all of the visit when it is back, in any order. */
  readonly #offlineUntil: number | undefined;
  readonly #cart: CartItem[] = [];
  readonly #cartId: string;
  #viewsLeft: number;
  #begun = false;

  private constructor(world: World, visitor: Visitor, startsAt: number) {
    const { random } = world;
    this.#world = world;
    this.#visitor = visitor;
    this.#cartId = world.id("cart");
    const offline = visitor.channel === "mobile" && random.chance(0.12);
    this.#offlineUntil = offline ? startsAt + random.between(10, 60) * minute : undefined;
    this.#viewsLeft = 1 + Math.floor(random.exponential(4));
  }

  /** A visit that begins at a time, now or later. */
  static begin(world: World, visitor: Visitor, at: number): void {
    const visit = new Visit(world, visitor, at);
    world.at(at, () => visit.#view(at));
  }

  #view(now: number): void {
    const { random } = this.#world;
    const product = popularProduct(random);
    this.#viewsLeft -= 1;
    this.#track(now, "product_viewed", this.#begun ? {} : { opensVisit: true }, {
      sku: product.sku,
      product: { name: product.name, category: product.category },
      price: money(product.cents),
      experiments: this.#visitor.experiments,
      ...(random.chance(0.3) ? { position: random.whole(0, 40) } : {}),
    });
    this.#begun = true;
    if (random.chance(0.25)) this.#next(now, 0.3, (at) => this.#addToCart(at, product));
    else if (this.#viewsLeft > 0) this.#next(now, 1, (at) => this.#view(at));
    else this.#finish(now);
  }

  #addToCart(now: number, product: Product): void {
    const { random } = this.#world;
    const quantity = random.chance(0.8) ? 1 : random.whole(2, 4);
    this.#cart.push({ product, quantity });
    const { items, cents } = cartContent(this.#cart);
    this.#track(now, "cart_updated", {}, { cart_id: this.#cartId, items, total: money(cents) });
    if (this.#viewsLeft > 0) this.#next(now, 1, (at) => this.#view(at));
    else this.#finish(now);
  }

  #finish(now: number): void {
    const { random } = this.#world;
    if (this.#cart.length > 0 && random.chance(0.75)) this.#next(now, 0.5, (at) => this.#checkOut(at));
    else this.#leave(now);
  }

  #checkOut(now: number): void {
    const { random } = this.#world;
    const { cents } = cartContent(this.#cart);
    const coupon = random.chance(0.15) ? random.pick(["WELCOME10", "SPRING", "FRIENDS"]) : null;
    this.#track(now, "checkout_started", {}, { cart_id: this.#cartId, total: money(cents), coupon });
    if (random.chance(0.8)) {
      const at = Math.round(now + random.between(2, 20) * second);
      placeOrder(this.#world, { visitor: this.#visitor, cart: this.#cart, coupon, at });
    }
    this.#leave(now);
  }

  /** Some come back: a moment after the gap, or hours later. */
  #leave(now: number): void {
    const { random } = this.#world;
    if (!random.chance(0.4)) return;
    const away = random.chance(0.05) ? gap + 1 : gap + Math.ceil(random.between(1, 90) * minute);
    this.#world.at(now + away, () => Visit.begin(this.#world, this.#visitor, now + away));
  }

  /** @param share of the usual time between two actions, half a minute */
  #next(now: number, share: number, action: (at: number) => void): void {
    const { random } = this.#world;
    const pause = random.chance(0.004)
      ? gap
      : Math.min(gap, Math.ceil(random.exponential(30 * second * share)));
    this.#world.at(now + pause, () => action(now + pause));
  }

  #track(at: number, contract: ContractName, books: Books, properties: Data): void {
    const { channel, anonymousId, userId, country } = this.#visitor;
    this.#world.send(
      {
        client: channel,
        id: this.#world.id("msg"),
        at,
        means: { contract, books },
        event: events[contract] ?? contract,
        anonymousId,
        ...(userId === null ? {} : { userId }),
        properties: { channel, currency: country.currency, ...properties },
      },
      this.#delay(at),
    );
  }

  #delay(at: number): number {
    const { random } = this.#world;
    if (this.#offlineUntil !== undefined && at < this.#offlineUntil) {
      return this.#offlineUntil - at + random.between(0, 20) * second;
    }
    return random.chance(0.01) ? random.between(5, 25) * minute : random.between(0, 3) * second;
  }
}
