/** The project of the order-free tests of persons: ids of several kinds, and tables by person of every kind. */
import { compileProject, identity } from "@weir/compile";
import type { IdentitySpec } from "@weir/compile";
import { Type, contract, nullable, timestamp } from "@weir/contract";
import { Persons } from "@weir/testkit";
import type { OrderFreeProject } from "./compare.fixture.ts";

const common = { version: "1.0.0", owner: "growth", id: "id", time: "at" } as const;
const base = { id: Type.String(), at: timestamp() };
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

const people = identity({
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

const tables = { people };

export const peopleProject: OrderFreeProject = {
  sources,
  tables: Object.keys(tables),
  program: (without) => {
    const kept = Object.entries(tables).filter(([name]) => name !== without && without !== "people");
    return compileProject({ name: "people", sources, tables: Object.fromEntries(kept) });
  },
  expected: (clean) => {
    const persons = new Persons(people satisfies IdentitySpec, clean);
    return { people: persons.rows() };
  },
};
