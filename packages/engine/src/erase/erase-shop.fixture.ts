/** A shop with two customers, Jane and Joe, for tests that erase Jane. */
import { compileProject, count, entity, identity, person, rollup, sessions } from "@weir/compile";
import { Type, contract, nullable, timestamp } from "@weir/contract";
import type { LogRecord } from "../harness.fixture.ts";

const common = { version: "1.0.0", owner: "growth", id: "id", time: "at" } as const;
const optional = Type.Optional(nullable(Type.String()));
const Page = contract("page", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    anonymous_id: optional,
    email: optional,
    url: optional,
  }),
});
const Order = contract("order", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    customer: Type.Integer(),
    email: optional,
    total: Type.Number(),
  }),
});
export const program = compileProject({
  name: "shop",
  sources: { web: { contracts: [Page, Order] } },
  tables: {
    people: identity({
      ids: [
        [Page, { anonymous_id: "anonymous_id", email: "email" }],
        [Order, { customer: "customer", email: "email" }],
      ],
    }),
    visits: sessions({
      from: Page,
      by: person("people", "anonymous_id"),
      gap: "30m",
      measures: { views: count() },
    }),
    by_url: rollup({ from: Page, by: "url", measures: { views: count() } }),
    orders: entity({ from: [Order], key: "id" }),
  },
});

let n = 0;
/** Names of records begin anew. */
export const restartNames = (): void => {
  n = 0;
};
export const at = (minute: number): string => new Date(Date.UTC(2026, 2, 1, 0, minute)).toISOString();
export const page = (fields: object, id = `p${++n}`): LogRecord => ({
  source: "web",
  sent: "page",
  text: JSON.stringify({ id, at: at(n), ...fields }),
});
export const order = (fields: object, id = `o${++n}`): LogRecord => ({
  source: "web",
  sent: "order",
  text: JSON.stringify({ id, at: at(n), total: 1.5, ...fields }),
});

export const jane = "jane.doe@example.com";
export const records = (): LogRecord[] => [
  page({ anonymous_id: "jane-phone", url: "/a" }),
  page({ anonymous_id: "jane-phone", email: jane, url: "/b" }),
  page({ anonymous_id: "joe-laptop", email: "joe@example.com", url: "/a" }),
  order({ customer: 7_000_001, email: "Jane.Doe@example.com" }),
  order({ customer: 7_000_002, email: "joe@example.com" }),
  // Refused by their contract, unknown, and unreadable.
  order({ customer: "7000001", email: jane }),
  { source: "web", sent: "nobody", text: JSON.stringify({ who: { mail: jane } }) },
  { source: "web", sent: "nobody", text: JSON.stringify({ who: { mail: `mary.${jane}` } }) },
  { source: "web", error: "invalid_json: at byte 3", bytes: Buffer.from(`{"email" "${jane}"`) },
  {
    source: "web",
    error: "invalid_utf8: at byte 3",
    bytes: Buffer.from(`{"email":"${jane}", "\xff"`, "latin1"),
  },
];

export const asked = { identifiers: [{ kind: "email", value: jane }] };
