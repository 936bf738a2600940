/**
 * PulseCart, a marketplace. Events of the web shop, the app, the order service and the inventory service become sessions,
 * revenue per minute and stock on hand; the store's database, its payments at Stripe and the bank's settlement files
 * become order facts.
 */
import {
  Type,
  avg,
  count,
  decimal,
  defineProject,
  derive,
  distinct,
  entity,
  env,
  files,
  first,
  http,
  last,
  logContract,
  logs,
  max,
  postgres,
  rollup,
  sessions,
  stripe,
  sum,
  timestamp,
} from "weir";
import {
  CartUpdated,
  CheckoutStarted,
  OrderPlaced,
  OrderStatusChanged,
  ProductViewed,
  SettlementLine,
  StockMoved,
} from "./contracts.ts";

const StoreLogs = logContract("store_logs");
const money = () => decimal({ precision: 12, scale: 2 });
const shopContracts = [ProductViewed, CartUpdated, CheckoutStarted];

export default defineProject({
  name: "pulsecart",

  // One write key a source: it says who sends, so that counts and quarantine are told apart by source.
  sources: {
    web: http({ contracts: shopContracts, writeKeys: [env("PULSECART_WEB_KEY", "demo-web")] }),
    mobile: http({ contracts: shopContracts, writeKeys: [env("PULSECART_MOBILE_KEY", "demo-mobile")] }),
    orders: http({
      contracts: [OrderPlaced, OrderStatusChanged],
      writeKeys: [env("PULSECART_ORDERS_KEY", "demo-orders")],
    }),
    inventory: http({
      contracts: [StockMoved],
      writeKeys: [env("PULSECART_INVENTORY_KEY", "demo-inventory")],
    }),

    // The store's database: its rows as they are, then each change of them.
    store: postgres({
      url: env("PULSECART_STORE_URL", "postgres://postgres@localhost:5432/store"),
      tables: ["public.customers", "public.products", "public.stock", "public.orders", "public.order_items"],
      // Tokens stand for these, wherever Weir keeps a row; the values are in the vault.
      pii: { "public.customers": { email: "email", name: "name", street: "address", phone: "phone" } },
    }),

    // Charges, as Stripe calls about them at /v1/webhooks/stripe. Those that it did not call about are found in its list of
    // events; a real account needs neither apiUrl nor such a hurry.
    stripe: stripe({
      apiUrl: env("STRIPE_API_URL", "http://localhost:12111"),
      apiKey: env("STRIPE_API_KEY", "sk_test_pulsecart"),
      webhookSecrets: [env("STRIPE_WEBHOOK_SECRET", "whsec_pulsecart")],
      apiVersion: "2026-10-28.endive",
      objects: ["charge"],
      reconcile: "2s",
      hold: "1s",
    }),

    // The bank's files: x.csv is read once x.csv.done is there.
    settlements: files({
      path: env("PULSECART_SETTLEMENTS", "settlements"),
      contract: SettlementLine,
      columns: {
        line_id: "Line",
        settled_at: "Settled at",
        order_id: "Order",
        charge: "Charge",
        kind: "Kind",
        amount: "Amount (EUR)",
        fee: "Fee (EUR)",
      },
      ready: ".done",
      every: "1s",
    }),

    // What the store logs, by OpenTelemetry's SDK.
    logs: logs({ contract: StoreLogs, writeKeys: [env("PULSECART_LOGS_KEY", "demo-logs")] }),
  },

  tables: {
    // A visit ends when its visitor was silent for more than half an hour, in event time. A late event of a phone that was
    // offline extends a visit, or joins two into one.
    visits: sessions({
      from: shopContracts,
      by: "anonymous_id",
      gap: "30m",
      measures: {
        channel: first("channel"),
        landing: first("sku"),
        products: distinct("sku"),
        cart: last("total"),
      },
    }),

    revenue_per_minute: rollup({
      from: OrderPlaced,
      window: "1m",
      by: ["currency", "channel"],
      measures: {
        orders: count(),
        units: sum("units"),
        revenue: sum("total"),
        largest: max("total"),
        average: avg("total"),
      },
    }),

    views_per_minute: rollup({
      from: ProductViewed,
      window: "1m",
      by: ["sku", "channel"],
      measures: { views: count(), visitors: distinct("anonymous_id") },
    }),

    // Without a window: the running total of every movement, whatever order they come in.
    stock_on_hand: rollup({
      from: StockMoved,
      by: ["sku", "warehouse"],
      measures: { on_hand: sum("quantity"), moves: count(), moved_at: max("occurred_at") },
    }),

    // Where each order stands: the status with the latest event time, not the one that arrived last.
    order_status: rollup({
      from: OrderStatusChanged,
      by: "order_id",
      measures: { status: last("status"), changed_at: max("occurred_at"), changes: count() },
    }),

    // The store's rows as they are now, and in customers_history, orders_history ... as they were. Columns that are not
    // declared are there too, in _extra.
    customers: entity({
      from: "store.public.customers",
      key: "id",
      columns: {
        id: Type.Integer(),
        email: Type.String(),
        tier: Type.String(),
        country: Type.String(),
        street: Type.String(),
        city: Type.String(),
      },
    }),
    products: entity({
      from: "store.public.products",
      key: "sku",
      columns: { name: Type.String(), category: Type.String(), price: money(), description: Type.String() },
    }),
    stock: entity({
      from: "store.public.stock",
      key: ["sku", "warehouse"],
      columns: { on_hand: Type.Integer() },
    }),
    orders: entity({
      from: "store.public.orders",
      key: "id",
      columns: {
        id: Type.Integer(),
        customer_id: Type.Integer(),
        status: Type.String(),
        shipping: money(),
        total: money(),
        placed_at: timestamp(),
      },
    }),
    order_items: entity({
      from: "store.public.order_items",
      key: ["order_id", "line"],
      columns: {
        order_id: Type.Integer(),
        line: Type.Integer(),
        sku: Type.String(),
        quantity: Type.Integer(),
        unit_price: money(),
      },
    }),

    charges: entity({
      from: "stripe.charge",
      key: "id",
      columns: { amount: Type.Integer(), amount_refunded: Type.Integer(), currency: Type.String() },
    }),
    // Stripe counts cents, and knows the order as what the store wrote into the charge's metadata.
    order_charges: derive({
      from: { c: "charges" },
      key: "charge",
      keys: { c: "id" },
      sql: `
        SELECT id AS charge, (_extra->'metadata'->>'order_id')::BIGINT AS order_id,
          (amount - amount_refunded) * 0.01 AS charged
        FROM c`,
    }),
    payments: entity({ from: SettlementLine, key: "line_id" }),

    // One row an order, from four places: what was ordered, by whom, what Stripe charged and what the bank paid out.
    order_facts: derive({
      from: {
        o: "orders",
        i: "order_items",
        c: "customers",
        s: "order_charges",
        p: "payments",
      },
      key: "order_id",
      keys: {
        o: "id",
        i: "order_id",
        c: { via: "o", on: { customer_id: "id" } },
        s: "order_id",
        p: "order_id",
      },
      sql: `
        WITH
          items AS (SELECT order_id, sum(quantity) AS units, sum(quantity * unit_price) AS amount FROM i GROUP BY order_id),
          charged AS (SELECT order_id, sum(charged) AS amount FROM s GROUP BY order_id),
          settled AS (SELECT order_id, sum(amount) AS amount FROM p GROUP BY order_id)
        SELECT o.id AS order_id, o.placed_at, o.status, c.tier, c.country, items.units,
          (items.amount + o.shipping)::DECIMAL(18, 2) AS total,
          coalesce(charged.amount, 0)::DECIMAL(18, 2) AS charged,
          coalesce(settled.amount, 0)::DECIMAL(18, 2) AS settled,
          (coalesce(charged.amount, 0) - coalesce(settled.amount, 0))::DECIMAL(18, 2) AS unsettled
        FROM o
          LEFT JOIN c ON c.id = o.customer_id
          LEFT JOIN items ON items.order_id = o.id
          LEFT JOIN charged ON charged.order_id = o.id
          LEFT JOIN settled ON settled.order_id = o.id`,
    }),

    log_lines: rollup({
      from: StoreLogs,
      window: "1m",
      by: ["service", "severity_text"],
      measures: { lines: count() },
    }),
  },
});
