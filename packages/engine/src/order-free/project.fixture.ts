/** The project of the order-free tests: every measure over every kind of field, with and without windows and keys. */
import {
  avg,
  compileProject,
  count,
  distinct,
  first,
  last,
  max,
  min,
  rollup,
  sessions,
  sum,
} from "@weir/compile";
import type { Measure, RollupSpec, SessionsSpec } from "@weir/compile";
import { Type, contract, date, decimal, nullable, timestamp } from "@weir/contract";
import { tableRows } from "@weir/testkit";
import type { OrderFreeProject } from "./compare.fixture.ts";

export const gapMs = 30_000;
export const windowMs = 60_000;

const address = Type.Object({ city: nullable(Type.String()), zip: Type.Optional(Type.String()) });

export const View = contract("product_view", {
  version: "1.2.0",
  owner: "growth",
  id: "event_id",
  key: "visitor",
  time: "at",
  aliases: ["Product Viewed"],
  fields: Type.Object({
    event_id: Type.String(),
    visitor: Type.Optional(nullable(Type.String())),
    at: timestamp(),
    sku: Type.Optional(nullable(Type.String())),
    price: Type.Optional(Type.Number()),
    amount: Type.Optional(decimal({ precision: 12, scale: 2 })),
    n: Type.Optional(Type.Integer()),
    seen: Type.Optional(timestamp()),
    day: Type.Optional(date()),
    flag: Type.Optional(Type.Boolean()),
    addr: Type.Optional(address),
    // Only Ajv can judge it, so records that have one take the other way through the engine.
    link: Type.Optional(Type.String({ format: "uri" })),
  }),
});

export const Order = contract("order", {
  version: "2.0.0",
  owner: "sales",
  id: "number",
  time: "source",
  fields: Type.Object({
    number: Type.Integer(),
    source: timestamp(),
    visitor: Type.String(),
    sku: nullable(Type.String()),
    price: Type.Optional(Type.Number()),
    amount: decimal({ precision: 14, scale: 2 }),
    units: Type.Integer({ minimum: 0 }),
    addr: Type.Optional(address),
  }),
});

export const Ping = contract("ping", {
  version: "1.0.0",
  owner: "infra",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp() }, { additionalProperties: false }),
});

export const sources = {
  web: { contracts: [View, Order] },
  shop: { contracts: [Ping, Order, View] },
  tiny: { contracts: [Ping] },
};

const ends = (field: string): Record<string, Measure> => ({
  [`first_${field}`]: first(field),
  [`last_${field}`]: last(field),
});
const extremes = (field: string): Record<string, Measure> => ({
  [`least_${field}`]: min(field),
  [`most_${field}`]: max(field),
});

/** Every measure is in a session table, in a rollup with windows and in one without; and every kind of field in each. */
export const tables: Record<string, SessionsSpec | RollupSpec> = {
  visits: sessions({
    from: View,
    by: "visitor",
    gap: gapMs,
    measures: {
      views: count(),
      worth: sum("price"),
      mean_worth: avg("price"),
      spent: sum("amount"),
      mean_n: avg("n"),
      skus: distinct("sku"),
      ...extremes("seen"),
      ...extremes("flag"),
      ...ends("sku"),
      ...ends("price"),
    },
  }),
  journeys: sessions({
    from: [Order, View],
    by: ["visitor", "addr.city"],
    gap: 1,
    measures: {
      units: sum("units"),
      days: distinct("day"),
      zip: last("addr.zip"),
      ...ends("sku"),
      ...extremes("price"),
    },
  }),
  by_sku: rollup({
    from: View,
    window: windowMs,
    by: "sku",
    measures: {
      views: count(),
      worth: sum("price"),
      mean_spent: avg("amount"),
      n_total: sum("n"),
      visitors: distinct("visitor"),
      ...extremes("visitor"),
      ...extremes("day"),
      ...ends("seen"),
    },
  }),
  by_city: rollup({
    from: View,
    window: "7d",
    by: ["flag", "addr.city", "price"],
    measures: { views: count(), ...extremes("amount"), ...ends("flag") },
  }),
  totals: rollup({
    from: [View, Order],
    measures: {
      records: count(),
      worth: sum("price"),
      mean_worth: avg("price"),
      prices: distinct("price"),
      ...ends("sku"),
    },
  }),
  stock: rollup({
    from: [Order, View],
    by: ["sku"],
    measures: {
      units: sum("units"),
      spent: sum("amount"),
      ids: distinct("event_id"),
      ...extremes("visitor"),
      ...ends("day"),
    },
  }),
  pings: rollup({ from: Ping, measures: { pings: count() } }),
};

export const measuredProject: OrderFreeProject = {
  sources,
  tables: Object.keys(tables),
  program: (without) => {
    const kept = Object.entries(tables).filter(([name]) => name !== without);
    return compileProject({ name: "order_free", sources, tables: Object.fromEntries(kept) });
  },
  expected: (clean) =>
    Object.fromEntries(Object.entries(tables).map(([name, table]) => [name, tableRows(table, clean)])),
};
