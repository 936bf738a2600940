/** The project of the order-free tests of persons: ids of several kinds, and tables by person of every kind. */
import {
  avg,
  compileProject,
  count,
  distinct,
  first,
  identity,
  last,
  max,
  person,
  rollup,
  sessions,
  sum,
} from "@weir/compile";
import type { RollupSpec, SessionsSpec, TableSpec } from "@weir/compile";
import { Type, contract, nullable, timestamp } from "@weir/contract";
import { Persons, tableRows } from "@weir/testkit";
import type { OrderFreeProject } from "./compare.fixture.ts";

const common = { version: "1.0.0", owner: "growth", id: "id", time: "at" } as const;
const base = { id: Type.String(), at: timestamp(), shop: Type.String() };
const optional = Type.Optional(nullable(Type.String()));

export const Page = contract("page", {
  ...common,
  fields: Type.Object({
    ...base,
    anonymous_id: optional,
    user_id: optional,
    device: Type.Optional(Type.Object({ id: optional })),
    sku: optional,
    price: Type.Optional(Type.Number()),
  }),
});
/** Its customers are the users of pages, by number. */
export const Order = contract("order", {
  ...common,
  fields: Type.Object({ ...base, buyer: nullable(Type.Integer()), email: optional, units: Type.Integer() }),
});
export const Alias = contract("alias", {
  ...common,
  fields: Type.Object({ ...base, user_id: Type.String(), previous_id: Type.String() }),
});
/** From one person to another. */
export const Gift = contract("gift", {
  ...common,
  fields: Type.Object({ ...base, giver: optional, taker: optional, units: Type.Integer() }),
});

export const sources = { web: { contracts: [Page, Alias, Order] }, shop: { contracts: [Order, Gift, Page] } };
export const warnAbove = 3;

export const people = identity({
  ids: [
    [Page, { anonymous_id: "anonymous_id", user_id: "user_id", device: "device.id" }],
    [Order, { user_id: "buyer", email: "email" }],
    [Alias, { user_id: ["user_id", "previous_id"] }],
    [Gift, { user_id: "giver" }],
    [Gift, { user_id: "taker" }],
  ],
  ignore: ["0", "null"],
  warnAbove,
});

/** By person: sessions and rollups, with and without windows and more key, by one of several ids and by two persons. */
const byPerson: Record<string, SessionsSpec | RollupSpec> = {
  visits: sessions({
    from: Page,
    by: person("people", "anonymous_id"),
    gap: "90s",
    measures: {
      views: count(),
      worth: sum("price"),
      skus: distinct("sku"),
      first_sku: first("sku"),
      last_sku: last("sku"),
    },
  }),
  journeys: sessions({
    from: [Page, Order],
    by: [person("people", ["user_id", "buyer", "device.id"], { as: "who" }), "shop"],
    gap: "2m",
    measures: { units: sum("units"), skus: distinct("sku") },
  }),
  per_minute: rollup({
    from: [Page, Order],
    window: "1m",
    by: [person("people", ["device.id", "anonymous_id", "user_id", "email"]), "shop"],
    measures: {
      records: count(),
      worth: sum("price"),
      units: sum("units"),
      mean: avg("price"),
      users: distinct("user_id"),
      last_user: last("user_id"),
    },
  }),
  lifetime: rollup({
    from: Order,
    by: person("people", "buyer"),
    measures: {
      units: sum("units"),
      emails: distinct("email"),
      shops: distinct("shop"),
      first_email: first("email"),
      most: max("units"),
    },
  }),
  gifts: rollup({
    from: Gift,
    by: [person("people", "giver", { as: "giver" }), person("people", "taker", { as: "taker" })],
    measures: { gifts: count(), units: sum("units"), sizes: distinct("units") },
  }),
};
const tables: Record<string, TableSpec> = { people, ...byPerson };

export const peopleProject: OrderFreeProject = {
  sources,
  tables: Object.keys(tables),
  program: (without) => {
    const kept = Object.entries(tables).filter(([name]) => name !== without && without !== "people");
    return compileProject({ name: "people", sources, tables: Object.fromEntries(kept) });
  },
  expected: (clean) => {
    const persons = new Persons(people, clean);
    const others = Object.entries(byPerson).map(([name, table]) => [
      name,
      tableRows(table, clean, { people: persons }),
    ]);
    return { people: persons.rows(), ...Object.fromEntries(others) };
  },
};
