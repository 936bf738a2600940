/** Random records with ids of persons: few enough that they meet, and not so few that all are one. */
import type { Received } from "@weir/testkit";
import * as fc from "fast-check";

const startMs = Date.parse("2026-03-01T23:58:00.000Z");
const second = fc.oneof(fc.nat(240), fc.nat(4_000));
const at = second.map((s) => new Date(startMs + s * 1000).toISOString());
const id = fc.nat(60).map((n) => `r${n}`);
/** Junk that is no id, too. */
const some = (prefix: string, most: number): fc.Arbitrary<string | null> =>
  fc.oneof(
    { weight: 8, arbitrary: fc.nat(most).map((n) => `${prefix}${n}`) },
    fc.constantFrom(null, "", "null", "0"),
  );
const shop = fc.constantFrom("x", "x", "x", "y");
const user = some("", 9);
const sku = fc.constantFrom("s1", "s2", null);
const units = fc.nat(3);

const page = fc.record(
  {
    id,
    at,
    shop,
    anonymous_id: some("a\u0000\ud83d\ude00", 11),
    user_id: fc.oneof({ weight: 3, arbitrary: fc.constant(null) }, user),
    device: fc.record({ id: fc.oneof({ weight: 4, arbitrary: fc.constant(null) }, some("d", 3)) }),
    sku,
    price: fc.constantFrom(0.1, 0.2, -0.3, 1e16),
  },
  { requiredKeys: ["id", "at", "shop"] },
);
const order = fc.record({
  id,
  at,
  shop,
  buyer: fc.oneof(fc.nat(9), fc.constant(null)),
  email: fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, some("e", 4)),
  units,
});
const alias = fc.record({
  id,
  at,
  shop,
  user_id: fc.nat(9).map(String),
  previous_id: fc.nat(12).map(String),
});
const gift = fc.record({ id, at, shop, giver: user, taker: user, units });

const sent = (
  name: string,
  sources: readonly string[],
  record: fc.Arbitrary<object>,
): fc.Arbitrary<Received> =>
  fc
    .record({ source: fc.constantFrom(...sources), record })
    .map(({ source, record: value }) => ({ source, sent: name, text: JSON.stringify(value) }));

const one = fc.oneof(
  { weight: 10, arbitrary: sent("page", ["web", "shop"], page) },
  { weight: 4, arbitrary: sent("order", ["web", "shop"], order) },
  { weight: 1, arbitrary: sent("alias", ["web"], alias) },
  { weight: 3, arbitrary: sent("gift", ["shop"], gift) },
);

/** Records, many of them twice; of those with one id that differ, one counts. */
export const peopleRecords: fc.Arbitrary<Received[]> = fc
  .array(one, { minLength: 30, maxLength: 70 })
  .chain((records) => fc.subarray(records).map((again) => [...records, ...again]));
