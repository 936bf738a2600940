import type pg from "pg";
import { money, products, warehouses } from "../shop/catalogue.ts";
import type { Random } from "../shop/random.ts";
import type { LogLines } from "./log-lines.ts";
import type { Settlements } from "./settlements.ts";
import type { StripeAccount } from "./stripe-account.ts";
import { transaction } from "./transaction.ts";

/** What the transactions of the store need. */
export interface Shopkeeping {
  readonly pool: pg.Pool;
  readonly random: Random;
  readonly stripe: StripeAccount;
  readonly settlements: Settlements;
  readonly lines: LogLines;
}

/** Stock was too low for an order: it was rolled back. */
export class OutOfStock extends Error {
  readonly sku: string;

  constructor(sku: string) {
    super(`out of stock: ${sku}`);
    this.sku = sku;
  }
}

/** So large an order is delivered free, in cents. */
const freeFrom = 5_000;
const shippingCents = 495;

/**
 * An order, its items and the stock that they take, in one transaction.
 *
 * @returns the order's id
 * @throws OutOfStock
 */
export async function placeOrder(shop: Shopkeeping, customer: number): Promise<string> {
  const { pool, random, lines } = shop;
  const warehouse = random.pick(warehouses);
  const wanted = new Map<string, number>();
  for (let count = random.whole(1, 4); count > 0; count--) {
    wanted.set(products[random.whole(0, products.length - 1)]?.sku ?? "", random.whole(1, 3));
  }
  const id = await transaction(pool, async (client) => {
    const { rows } = await client.query<{ id: string }>(
      `INSERT INTO orders (customer_id, status, warehouse, shipping, total) VALUES ($1, 'placed', $2, 0, 0) RETURNING id`,
      [customer, warehouse],
    );
    const order = rows[0]?.id ?? "";
    let cents = 0;
    // In the order of their keys, as all do, so that no two transactions wait for each other.
    for (const [line, [sku, quantity]] of [...wanted].toSorted(([a], [b]) => (a < b ? -1 : 1)).entries()) {
      cents += await addItem(client, { order, line: line + 1, sku, quantity, warehouse });
    }
    const shipping = cents >= freeFrom ? 0 : shippingCents;
    await client.query("UPDATE orders SET shipping = $2, total = $3 WHERE id = $1", [
      order,
      money(shipping),
      money(cents + shipping),
    ]);
    return order;
  });
  lines.log("INFO", `order ${id} placed`, { "order.id": id, "customer.id": customer });
  return id;
}

/** @returns its price in cents, all units together */
async function addItem(
  client: pg.PoolClient,
  item: { order: string; line: number; sku: string; quantity: number; warehouse: string },
): Promise<number> {
  const { order, line, sku, quantity, warehouse } = item;
  const taken = await client.query(
    "UPDATE stock SET on_hand = on_hand - $3 WHERE sku = $1 AND warehouse = $2 AND on_hand >= $3",
    [sku, warehouse, quantity],
  );
  if (taken.rowCount === 0) throw new OutOfStock(sku);
  const { rows } = await client.query<{ cents: string }>(
    `INSERT INTO order_items SELECT $1, $2, sku, $4, price FROM products WHERE sku = $3
    RETURNING (quantity * unit_price * 100)::bigint AS cents`,
    [order, line, sku, quantity],
  );
  return Number(rows[0]?.cents);
}

/** Charges the customer. */
export async function payOrder(shop: Shopkeeping, order: string): Promise<void> {
  const { pool, stripe, settlements, lines } = shop;
  await transaction(pool, async (client) => {
    const { rows } = await client.query<{ cents: string }>(
      `UPDATE orders SET status = 'paid', changed_at = now() WHERE id = $1 RETURNING (total * 100)::bigint AS cents`,
      [order],
    );
    const cents = Number(rows[0]?.cents);
    const charge = stripe.charge(order, cents);
    await client.query("INSERT INTO payments VALUES ($1, 'charge', $2, $3)", [charge, order, money(cents)]);
    settlements.add({ charge, kind: "charge", orderId: order, cents });
  });
  lines.log("INFO", `order ${order} paid`, { "order.id": order });
}

/** Ships or delivers it. */
export async function moveOrder(
  shop: Shopkeeping,
  order: string,
  status: "shipped" | "delivered",
): Promise<void> {
  await shop.pool.query("UPDATE orders SET status = $2, changed_at = now() WHERE id = $1", [order, status]);
  shop.lines.log("INFO", `order ${order} ${status}`, { "order.id": order });
}

/** The card was refused: the units go back. */
export async function cancelOrder(shop: Shopkeeping, order: string): Promise<void> {
  await transaction(shop.pool, async (client) => {
    await client.query("UPDATE orders SET status = 'cancelled', changed_at = now() WHERE id = $1", [order]);
    await returnUnits(client, order);
  });
  shop.lines.log("ERROR", `payment of order ${order} refused`, {
    "order.id": order,
    "error.type": "card_declined",
  });
}

/** Nobody paid: the units go back, and no trace of the order stays. */
export async function abandonOrder(shop: Shopkeeping, order: string): Promise<void> {
  await transaction(shop.pool, async (client) => {
    await returnUnits(client, order);
    await client.query("DELETE FROM orders WHERE id = $1", [order]);
    await client.query("INSERT INTO abandoned_orders VALUES ($1)", [order]);
  });
  shop.lines.log("WARN", `order ${order} abandoned`, { "order.id": order });
}

/** All of it, with the units back in stock; or the price of its first line, as it came broken. */
export async function refundOrder(
  shop: Shopkeeping,
  order: string,
  what: "all" | "first line",
): Promise<void> {
  const { pool, stripe, settlements, lines } = shop;
  await transaction(pool, async (client) => {
    const { rows } = await client.query<{ charge: string; paid: string; left: string; first: string }>(
      `SELECT c.charge, (c.amount * 100)::bigint AS paid,
        (SELECT sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END) * 100 FROM payments WHERE order_id = o.id)::bigint AS left,
        (SELECT quantity * unit_price * 100 FROM order_items WHERE order_id = o.id AND line = 1)::bigint AS first
      FROM orders o JOIN payments c ON c.order_id = o.id AND c.kind = 'charge'
      WHERE o.id = $1 FOR UPDATE OF o`,
      [order],
    );
    const [payment] = rows;
    if (payment === undefined) return;
    const { charge, paid, left, first } = payment;
    const cents = what === "all" ? Number(left) : Math.min(Number(left), Number(first));
    if (cents === 0) return;
    await client.query("INSERT INTO payments VALUES ($1, 'refund', $2, $3)", [charge, order, money(cents)]);
    if (what === "all") {
      await client.query("UPDATE orders SET status = 'refunded', changed_at = now() WHERE id = $1", [order]);
      await returnUnits(client, order);
    }
    stripe.refund(charge, Number(paid) - Number(left) + cents, Number(paid));
    settlements.add({ charge, kind: "refund", orderId: order, cents: -cents });
  });
  lines.log("WARN", `order ${order}: ${what} refunded`, { "order.id": order });
}

async function returnUnits(client: pg.PoolClient, order: string): Promise<void> {
  const { rows } = await client.query<{ sku: string; warehouse: string; quantity: number }>(
    `SELECT i.sku, o.warehouse, i.quantity FROM order_items i JOIN orders o ON o.id = i.order_id
    WHERE o.id = $1 ORDER BY i.sku`,
    [order],
  );
  for (const { sku, warehouse, quantity } of rows) {
    await client.query("UPDATE stock SET on_hand = on_hand + $3 WHERE sku = $1 AND warehouse = $2", [
      sku,
      warehouse,
      quantity,
    ]);
  }
}
