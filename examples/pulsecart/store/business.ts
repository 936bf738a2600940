import { warehouses } from "../shop/catalogue.ts";
import { Timeline } from "../shop/timeline.ts";
import {
  OutOfStock,
  abandonOrder,
  cancelOrder,
  moveOrder,
  payOrder,
  placeOrder,
  refundOrder,
} from "./orders.ts";
import type { Shopkeeping } from "./orders.ts";
import { customersBefore } from "./seed.ts";
import { migration } from "./schema.ts";
import { transaction } from "./transaction.ts";

const second = 1_000;
/** Transactions under way at a time. */
const workers = 4;
const tickMs = 20;
/** Orders of the time before Weir that go on. */
const oldOrders = 200;
const newCustomerShare = 0.1;

type Step = () => Promise<void>;

/**
 * The store at work: orders that are placed, paid, shipped and come to all sorts of ends, customers who move, prices that change.
 * Each step is a transaction, and several are under way at any time.
 */
export class Business {
  readonly #shop: Shopkeeping;
  readonly #steps = new Timeline<Step>();
  readonly #underWay = new Set<Promise<void>>();
  #customers = customersBefore;
  #hasPhones = false;
  #timer: NodeJS.Timeout | undefined;
  #failure: unknown;
  #fail: (error: unknown) => void = () => {};
  /** Rejects when a transaction fails for no reason of business. */
  readonly failed: Promise<never>;
  transactions = 0;

  constructor(shop: Shopkeeping) {
    this.#shop = shop;
    this.failed = new Promise((_resolve, reject) => (this.#fail = reject));
  }

  /** @param ordersPerSecond new orders, about; everything else keeps step with them */
  async open(ordersPerSecond: number): Promise<void> {
    const { rows } = await this.#shop.pool.query<{ id: string; status: string }>(
      `SELECT id, status FROM orders WHERE status IN ('placed', 'paid', 'shipped') ORDER BY id DESC LIMIT ${oldOrders}`,
    );
    for (const { id, status } of rows) {
      if (status === "placed") this.#afterPlacing(id);
      else if (status === "paid") this.#afterPaying(id);
      else this.#afterShipping(id);
    }
    const often = second / ordersPerSecond;
    this.#repeat(often, () => this.#place());
    this.#repeat(often * 8, () => this.#move());
    this.#repeat(often * 40, () => this.#restock());
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  /** The table of customers gets a column, and prices begin to change. */
  async changeThings(): Promise<void> {
    await this.#shop.pool.query(migration);
    this.#hasPhones = true;
    await this.#move();
    await this.#reprice();
    this.#repeat(700, () => this.#reprice());
  }

  /** Starts nothing more. @returns the id of a customer who is added when all that was under way has ended */
  async close(): Promise<number> {
    clearInterval(this.#timer);
    while (this.#underWay.size > 0) await Promise.all(this.#underWay);
    return await this.#addCustomer();
  }

  #tick(): void {
    while (this.#underWay.size < workers && this.#failure === undefined) {
      const step = this.#steps.take(performance.now());
      if (step === undefined) return;
      const running = this.#run(step);
      this.#underWay.add(running);
      void running.then(() => this.#underWay.delete(running));
    }
  }

  async #run(step: Step): Promise<void> {
    try {
      await step();
      this.transactions += 1;
    } catch (error) {
      if (error instanceof OutOfStock) {
        this.#shop.lines.log("WARN", error.message, { sku: error.sku });
        return;
      }
      this.#failure = error;
      this.#fail(error);
    }
  }

  #in(fromS: number, toS: number, step: Step): void {
    this.#steps.add(performance.now() + this.#shop.random.between(fromS * second, toS * second), step);
  }

  /** Does something again and again, at random times; what falls behind is left out. */
  #repeat(meanMs: number, step: Step): void {
    const next = (): void =>
      this.#steps.add(performance.now() + this.#shop.random.exponential(meanMs), async () => {
        next();
        await step();
      });
    next();
  }

  async #place(): Promise<void> {
    const { random } = this.#shop;
    const customer = random.chance(newCustomerShare)
      ? await this.#addCustomer()
      : random.whole(1, this.#customers);
    this.#afterPlacing(await placeOrder(this.#shop, customer));
  }

  #afterPlacing(order: string): void {
    const { random } = this.#shop;
    if (random.chance(0.08)) this.#in(0.3, 2, () => cancelOrder(this.#shop, order));
    else if (random.chance(0.1)) this.#in(1, 6, () => abandonOrder(this.#shop, order));
    else if (random.chance(0.95)) {
      this.#in(0.3, 4, async () => {
        await payOrder(this.#shop, order);
        this.#afterPaying(order);
      });
    }
  }

  #afterPaying(order: string): void {
    if (this.#shop.random.chance(0.07)) this.#in(0.5, 6, () => refundOrder(this.#shop, order, "all"));
    else {
      this.#in(0.5, 6, async () => {
        await moveOrder(this.#shop, order, "shipped");
        this.#afterShipping(order);
      });
    }
  }

  #afterShipping(order: string): void {
    this.#in(1, 8, async () => {
      await moveOrder(this.#shop, order, "delivered");
      if (this.#shop.random.chance(0.12)) {
        this.#in(0.5, 3, () => refundOrder(this.#shop, order, "first line"));
      }
    });
  }

  async #addCustomer(): Promise<number> {
    const { rows } = await this.#shop.pool.query<{ id: string }>(
      `INSERT INTO customers (email, name, tier, country, street, city)
      VALUES ('new@example.com', 'Žofie "Zoe" O''Neil', 'bronze', 'NL', 'Singel 1', 'Amsterdam') RETURNING id`,
    );
    const id = Number(rows[0]?.id);
    this.#customers = Math.max(this.#customers, id);
    return id;
  }

  /** A customer moves house, or up a tier. */
  async #move(): Promise<void> {
    const { pool, random } = this.#shop;
    const customer = random.whole(1, this.#customers);
    if (random.chance(0.2)) {
      await pool.query("UPDATE customers SET tier = 'gold', changed_at = now() WHERE id = $1", [customer]);
      return;
    }
    const street = `${random.pick(["Herengracht", "Calle Ñuñoa", "Königsallee"])} ${random.whole(1, 400)}`;
    const city = random.pick(["Amsterdam", "Sevilla", "Düsseldorf"]);
    const phone = this.#hasPhones ? `, phone = '+31 20 ${random.whole(100_0000, 999_9999)}'` : "";
    await pool.query(
      `UPDATE customers SET street = $2, city = $3, changed_at = now()${phone} WHERE id = $1`,
      [customer, street, city],
    );
  }

  /** Prices of a category; their descriptions stay as they are, and are not in the change. */
  async #reprice(): Promise<void> {
    const { pool, random } = this.#shop;
    const category = random.pick(["shoes", "bags", "kitchen", "toys", "electronics", "garden"]);
    const factor = random.pick(["0.95", "0.97", "1.03", "1.06"]);
    await transaction(pool, async (client) => {
      await client.query(
        `WITH changed AS (
          UPDATE products SET price = greatest(1, round(price * $2::numeric, 2)), changed_at = now()
          WHERE category = $1 RETURNING sku, price
        ) INSERT INTO price_changes SELECT sku, price FROM changed`,
        [category, factor],
      );
    });
    this.#shop.lines.log("INFO", `new prices of ${category}`, { category });
  }

  async #restock(): Promise<void> {
    const warehouse = this.#shop.random.pick(warehouses);
    await this.#shop.pool.query(
      "UPDATE stock SET on_hand = on_hand + 20 WHERE warehouse = $1 AND on_hand < 250",
      [warehouse],
    );
    this.#shop.lines.log("INFO", `a lorry came to ${warehouse}`, { warehouse });
  }
}
