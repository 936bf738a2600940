import {
  Type,
  avg,
  contract,
  count,
  decimal,
  defineProject,
  distinct,
  http,
  rollup,
  sessions,
  sum,
  timestamp,
} from "weir";

/** What a page view must look like. A record that does not fit goes to quarantine with every reason. */
const PageViewed = contract("page_viewed", {
  version: "1.0.0",
  owner: "growth",
  id: "event_id", // the same id twice is the same record: it counts once
  key: "visitor_id",
  time: "occurred_at",
  lateness: "24h",
  fields: Type.Object({
    event_id: Type.String({ minLength: 1 }),
    visitor_id: Type.String({ minLength: 1 }),
    occurred_at: timestamp(),
    path: Type.String(),
    referrer: Type.Optional(Type.String()),
  }),
});

const OrderPlaced = contract("order_placed", {
  version: "1.0.0",
  owner: "sales",
  id: "event_id",
  key: "visitor_id",
  time: "occurred_at",
  lateness: "24h",
  fields: Type.Object({
    event_id: Type.String({ minLength: 1 }),
    visitor_id: Type.String({ minLength: 1 }),
    occurred_at: timestamp(),
    order_id: Type.String(),
    amount: decimal({ precision: 12, scale: 2, minimum: 0 }),
  }),
});

export default defineProject({
  name: "my-project",
  sources: {
    web: http({ contracts: [PageViewed, OrderPlaced] }),
  },
  tables: {
    // One row a visit: views of one visitor with no pause longer than half an hour.
    visits: sessions({ from: PageViewed, by: "visitor_id", gap: "30m", measures: { views: count() } }),
    // One row a minute and path, by event time.
    views_per_minute: rollup({
      from: PageViewed,
      window: "1m",
      by: "path",
      measures: { views: count(), visitors: distinct("visitor_id") },
    }),
    revenue_per_day: rollup({
      from: OrderPlaced,
      window: "1d",
      measures: { orders: count(), revenue: sum("amount"), average: avg("amount") },
    }),
  },
});
