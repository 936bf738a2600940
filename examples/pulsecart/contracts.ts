/**
 * What PulseCart's records look like. Web and mobile send through Segment's and RudderStack's SDKs, whose envelope gives
 * `message_id`, `timestamp`, `anonymous_id` and `user_id`; the order service sends CloudEvents; the inventory service
 * sends plain NDJSON; the bank drops CSV files.
 */
import { Type, contract, decimal, nullable, timestamp } from "weir";

/** Money is decimal, never floating point: sums are exact to the cent in whatever order records come. */
const money = () => decimal({ precision: 12, scale: 2, minimum: 0 });
const currency = () => Type.Union([Type.Literal("EUR"), Type.Literal("USD"), Type.Literal("GBP")]);
const channel = () => Type.Union([Type.Literal("web"), Type.Literal("mobile")]);
const sku = () => Type.String({ pattern: "^[A-Z]{3}-[0-9]{3}$" });
const identifier = () => Type.String({ minLength: 1, maxLength: 100 });
/** Half a surrogate pair or a gigabyte of text is not a name. */
const name = () => Type.String({ minLength: 1, maxLength: 200 });

/** What every event of the web shop and the app carries. */
const visit = {
  message_id: identifier(),
  timestamp: timestamp(),
  anonymous_id: identifier(),
  user_id: Type.Optional(nullable(identifier())),
  channel: channel(),
};

const items = () =>
  Type.Array(
    Type.Object({ sku: sku(), quantity: Type.Integer({ minimum: 1, maximum: 100 }), unit_price: money() }),
    { minItems: 1, maxItems: 50 },
  );

export const ProductViewed = contract("product_viewed", {
  version: "1.0.0",
  owner: "growth",
  description: "Somebody looked at a product page.",
  id: "message_id",
  key: "anonymous_id",
  time: "timestamp",
  lateness: "72h",
  aliases: ["Product Viewed"],
  fields: Type.Object({
    ...visit,
    sku: sku(),
    product: Type.Object({ name: name(), category: name() }),
    price: money(),
    currency: currency(),
    /** Which variant of each running experiment the visitor sees. */
    experiments: Type.Record(Type.String(), Type.String()),
    position: Type.Optional(Type.Integer({ minimum: 0 })),
  }),
});

export const CartUpdated = contract("cart_updated", {
  version: "1.0.0",
  owner: "growth",
  description: "The content of a cart changed; the cart is sent whole.",
  id: "message_id",
  key: "anonymous_id",
  time: "timestamp",
  lateness: "72h",
  aliases: ["Cart Updated"],
  fields: Type.Object({
    ...visit,
    cart_id: identifier(),
    items: items(),
    total: money(),
    currency: currency(),
  }),
});

export const CheckoutStarted = contract("checkout_started", {
  version: "1.0.0",
  owner: "growth",
  id: "message_id",
  key: "anonymous_id",
  time: "timestamp",
  lateness: "72h",
  aliases: ["Checkout Started"],
  fields: Type.Object({
    ...visit,
    cart_id: identifier(),
    total: money(),
    currency: currency(),
    coupon: nullable(Type.String({ minLength: 3, maxLength: 20 })),
  }),
});

export const OrderPlaced = contract("order_placed", {
  version: "1.2.0",
  owner: "orders",
  id: "event_id",
  key: "order_id",
  time: "occurred_at",
  aliases: ["com.pulsecart.order.placed"],
  fields: Type.Object({
    event_id: identifier(),
    occurred_at: timestamp(),
    order_id: identifier(),
    customer: Type.Object({
      anonymous_id: identifier(),
      user_id: nullable(identifier()),
      country: Type.String({ pattern: "^[A-Z]{2}$" }),
    }),
    channel: channel(),
    currency: currency(),
    items: items(),
    units: Type.Integer({ minimum: 1 }),
    shipping: money(),
    total: money(),
    /** What each promotion took off, by its code. */
    discounts: Type.Record(Type.String(), money()),
  }),
});

export const OrderStatusChanged = contract("order_status_changed", {
  version: "1.0.0",
  owner: "orders",
  id: "event_id",
  key: "order_id",
  time: "occurred_at",
  aliases: ["com.pulsecart.order.status_changed"],
  fields: Type.Object({
    event_id: identifier(),
    occurred_at: timestamp(),
    order_id: identifier(),
    status: Type.Union([
      Type.Literal("paid"),
      Type.Literal("packed"),
      Type.Literal("shipped"),
      Type.Literal("delivered"),
      Type.Literal("cancelled"),
    ]),
    reason: Type.Optional(Type.String({ maxLength: 200 })),
  }),
});

export const StockMoved = contract("stock_moved", {
  version: "1.0.0",
  owner: "logistics",
  description: "Units of a product entered (positive) or left (negative) a warehouse.",
  id: "event_id",
  key: "sku",
  time: "occurred_at",
  lateness: "7d",
  fields: Type.Object({
    event_id: identifier(),
    occurred_at: timestamp(),
    sku: sku(),
    warehouse: Type.Union([Type.Literal("AMS"), Type.Literal("LEJ"), Type.Literal("MAD")]),
    quantity: Type.Integer({ minimum: -100_000, maximum: 100_000 }),
    reason: Type.Union([
      Type.Literal("received"),
      Type.Literal("sold"),
      Type.Literal("returned"),
      Type.Literal("counted"),
    ]),
    /** Units by bin of the warehouse. */
    bins: Type.Optional(Type.Record(Type.String(), Type.Integer({ minimum: -100_000, maximum: 100_000 }))),
  }),
});

export const SettlementLine = contract("settlement_line", {
  version: "1.0.0",
  owner: "finance",
  description: "What the bank paid out for a charge, or (negative) took back for a refund.",
  id: "line_id",
  key: "order_id",
  time: "settled_at",
  lateness: "30d",
  fields: Type.Object({
    line_id: identifier(),
    settled_at: timestamp(),
    order_id: Type.Integer({ minimum: 1 }),
    charge: identifier(),
    kind: Type.Union([Type.Literal("charge"), Type.Literal("refund")]),
    amount: decimal({ precision: 12, scale: 2 }),
    fee: money(),
  }),
});
