import { count, distinct, rollup, sessions, sum } from "@weir/compile";
import type { ProjectSpec } from "@weir/compile";
import type { Contract } from "@weir/contract";
import { Type, contract, nullable, pii, subject, timestamp } from "@weir/contract";

const plainFields = {
  event_id: Type.String({ minLength: 1, maxLength: 64 }),
  anonymous_id: Type.String({ minLength: 1 }),
  user_id: Type.Union([Type.String(), Type.Null()]),
  occurred_at: timestamp(),
  sku: Type.String({ pattern: "^SKU-\\d+$" }),
  price: Type.Number({ minimum: 0, maximum: 1_000_000 }),
  quantity: Type.Integer({ minimum: 1, maximum: 1000 }),
  currency: Type.Union([Type.Literal("EUR"), Type.Literal("USD"), Type.Literal("GBP")]),
  page_url: Type.String(),
  referrer: Type.String(),
  user_agent: Type.String(),
  ip: Type.String(),
  is_mobile: Type.Boolean(),
  session_hint: Type.String({ minLength: 32, maxLength: 32 }),
  notes: Type.String(),
};

const head = {
  version: "1.0.0",
  owner: "bench",
  id: "event_id",
  key: "anonymous_id",
  time: "occurred_at",
  lateness: "24h",
} as const;

/** The contract and project that every benchmark runs: 16 fields, one session table, two rollups. */
export const ProductViewed = contract("product_viewed", { ...head, fields: Type.Object(plainFields) });

/** The same with three more fields; `personalProject` tags them, and the user's id as the subject. */
const WithPerson = contract("product_viewed", {
  ...head,
  fields: Type.Object({
    ...plainFields,
    email: Type.String(),
    phone: Type.String(),
    name: Type.String(),
  }),
});
const Personal = contract("product_viewed", {
  ...head,
  fields: Type.Object({
    ...plainFields,
    user_id: nullable(subject()),
    email: pii.email(),
    phone: pii.phone(),
    name: pii.name(),
  }),
});

const projectOf = (ProductViewed: Contract): ProjectSpec => ({
  name: "bench",
  sources: { web: { contracts: [ProductViewed] } },
  tables: {
    visits: sessions({
      from: ProductViewed,
      by: "anonymous_id",
      gap: "30m",
      measures: { views: count(), value: sum("price") },
    }),
    views_per_minute: rollup({
      from: ProductViewed,
      window: "1m",
      by: "sku",
      measures: { views: count(), value: sum("price"), units: sum("quantity") },
    }),
    currencies_per_minute: rollup({
      from: ProductViewed,
      window: "1m",
      by: ["currency", "is_mobile"],
      measures: { views: count(), skus: distinct("sku") },
    }),
  },
});

export const benchProject = projectOf(ProductViewed);
export const withPersonProject = projectOf(WithPerson);
export const personalProject = projectOf(Personal);

const agent =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36";
const currencies = ["EUR", "USD", "GBP"] as const;

/** A seeded generator of doubles in [0, 1): benchmarks are repeatable. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const hex = (random: () => number, length: number): string => {
  let text = "";
  while (text.length < length) {
    text += Math.floor(random() * 4_294_967_296)
      .toString(16)
      .padStart(8, "0");
  }
  return text.slice(0, length);
};

/**
 * An event of about 1.1 KB as JSON text.
 *
 * @param timeMs event time
 * @param users how many different people there are
 * @param person whether their e-mail address, phone number and name are in it
 */
export function eventText(random: () => number, timeMs: number, users: number, person = false): string {
  const user = Math.floor(random() * users);
  const h = hex(random, 32);
  return JSON.stringify({
    type: "product_viewed",
    event_id: `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`,
    anonymous_id: `anon-${user}`,
    user_id: random() < 0.5 ? `user-${user}` : null,
    occurred_at: new Date(timeMs).toISOString(),
    sku: `SKU-${Math.floor(random() * 5000)}`,
    price: Math.floor(random() * 10_000) / 100,
    quantity: 1 + Math.floor(random() * 5),
    currency: currencies[Math.floor(random() * 3)],
    page_url: `https://shop.example.com/products/${hex(random, 24)}?utm_source=newsletter&utm_campaign=${hex(random, 16)}`,
    referrer: `https://www.google.com/search?q=${hex(random, 20)}`,
    user_agent: `${agent} ${hex(random, 8)}`,
    ip: `10.${Math.floor(random() * 256)}.${Math.floor(random() * 256)}.1`,
    is_mobile: random() < 0.5,
    session_hint: hex(random, 32),
    notes: hex(random, 400),
    ...(person
      ? {
          email: `person.${user}@mail.example.com`,
          phone: `+31 20 ${1_000_000 + user}`,
          name: `Person Number ${user}`,
        }
      : {}),
  });
}
