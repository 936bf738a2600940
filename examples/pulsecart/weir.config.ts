/**
 * PulseCart, a marketplace, in its first form: events of the web shop, the app, the order service and the inventory
 * service become sessions, revenue per minute and stock on hand.
 */
import {
  avg,
  count,
  defineProject,
  distinct,
  env,
  first,
  http,
  last,
  max,
  rollup,
  sessions,
  sum,
} from "weir";
import {
  CartUpdated,
  CheckoutStarted,
  OrderPlaced,
  OrderStatusChanged,
  ProductViewed,
  StockMoved,
} from "./contracts.ts";

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
  },
});
