import type pg from "pg";
import { money, products, warehouses } from "../shop/catalogue.ts";
import { schema } from "./schema.ts";
import type { Settlements } from "./settlements.ts";
import type { StripeAccount } from "./stripe-account.ts";

/** What is in the store before Weir first sees it. */
export const customersBefore = 1_000;
export const ordersBefore = 1_500;

/** Makes the tables, and years of business: rows that no change will ever tell of. */
export async function fillStore(
  pool: pg.Pool,
  stripe: StripeAccount,
  settlements: Settlements,
): Promise<void> {
  await pool.query(schema);
  await addProducts(pool);
  await pool.query(customers);
  await pool.query(orders);
  await pool.query(items);
  await pool.query(totals);
  await addPayments(pool, stripe, settlements);
}

async function addProducts(pool: pg.Pool): Promise<void> {
  const columns = [products.map(({ sku }) => sku), products.map(({ name }) => name)];
  const more = [products.map(({ category }) => category), products.map(({ cents }) => money(cents))];
  await pool.query(
    `INSERT INTO products (sku, name, category, price, description)
    SELECT sku, name, category, price::numeric,
      (SELECT string_agg(md5(sku || n), ' ') FROM generate_series(1, 200) n)
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) p (sku, name, category, price)`,
    [...columns, ...more],
  );
  await pool.query(
    `INSERT INTO stock SELECT sku, warehouse, 300 + length(name) * 10 FROM products, unnest($1::text[]) warehouse`,
    [[...warehouses]],
  );
}

const customers = `
INSERT INTO customers (email, name, tier, country, street, city, changed_at)
SELECT format('customer%s@example.com', i), format('Customer No. %s', i),
  (ARRAY['bronze', 'bronze', 'silver', 'gold'])[1 + i % 4], (ARRAY['NL', 'DE', 'ES', 'GB', 'US'])[1 + i % 5],
  format('Keizersgracht %s', i), (ARRAY['Amsterdam', 'Köln', 'Málaga', 'London', 'Boston'])[1 + i % 5],
  now() - i * interval '7 hours'
FROM generate_series(1, ${customersBefore}) i`;

const orders = `
INSERT INTO orders (customer_id, status, warehouse, shipping, total, placed_at, changed_at)
SELECT 1 + i * 7919 % ${customersBefore},
  (ARRAY['delivered', 'delivered', 'shipped', 'paid', 'delivered', 'cancelled', 'delivered', 'paid', 'placed'])[1 + i % 9],
  (ARRAY['AMS', 'LEJ', 'MAD'])[1 + i % 3], 0, 0, at, at + interval '2 hours'
FROM generate_series(1, ${ordersBefore}) i, LATERAL (SELECT now() - (${ordersBefore} + 200 - i) * interval '20 minutes') t (at)`;

const items = `
INSERT INTO order_items (order_id, line, sku, quantity, unit_price)
SELECT o.id, line, p.sku, 1 + (o.id + line) % 3, p.price
FROM orders o, generate_series(1, 1 + o.id % 4) line,
  LATERAL (SELECT sku, price FROM products ORDER BY sku OFFSET (o.id * 5 + line * 7) % ${products.length} LIMIT 1) p`;

const totals = `
UPDATE orders o SET shipping = i.shipping, total = i.amount + i.shipping
FROM (
  SELECT order_id, sum(quantity * unit_price) AS amount,
    CASE WHEN sum(quantity * unit_price) > 50 THEN 0 ELSE 4.95 END AS shipping
  FROM order_items GROUP BY order_id
) i WHERE i.order_id = o.id`;

/** Orders that were paid long ago, by charges that Stripe still lists and that the bank settled. */
async function addPayments(pool: pg.Pool, stripe: StripeAccount, settlements: Settlements): Promise<void> {
  const { rows } = await pool.query<{ id: string; cents: string; at: Date }>(
    `SELECT id, (total * 100)::bigint AS cents, placed_at + interval '1 minute' AS at FROM orders
    WHERE status IN ('paid', 'shipped', 'delivered') ORDER BY id`,
  );
  const charges: string[] = [];
  for (const { id, cents, at } of rows) {
    stripe.turnTo(at.getTime());
    const charge = stripe.charge(id, Number(cents));
    charges.push(charge);
    settlements.add({ charge, kind: "charge", orderId: id, cents: Number(cents) });
  }
  await pool.query(
    `INSERT INTO payments (charge, kind, order_id, amount, paid_at)
    SELECT charge, 'charge', o.id, o.total, o.placed_at + interval '1 minute'
    FROM unnest($1::text[], $2::bigint[]) p (charge, order_id) JOIN orders o ON o.id = p.order_id`,
    [charges, rows.map(({ id }) => id)],
  );
}
