/** A project whose personal values are tokens, with two customers, Jane and Joe. */
import { compileProject, count, entity, identity, rollup } from "@weir/compile";
import { Type, changeContract, contract, pii, subject, timestamp } from "@weir/contract";
import type { LogRecord } from "../harness.fixture.ts";

const Signup = contract("signup", {
  version: "1.0.0",
  owner: "growth",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    user: Type.Optional(subject(Type.Integer())),
    device: Type.Optional(Type.String()),
    email: Type.Optional(pii.email()),
    plan: Type.String(),
  }),
});
const customers = changeContract("db", { "public.customers": { id: "subject", email: "email" } });
export const program = compileProject({
  name: "privacy",
  sources: { web: { contracts: [Signup] }, db: { contracts: [customers] } },
  tables: {
    people: identity({ ids: [[Signup, { user: "user", device: "device" }]] }),
    plans: rollup({ from: Signup, by: "plan", measures: { n: count() } }),
    customers: entity({
      from: "db.public.customers",
      key: "id",
      columns: { id: Type.String(), email: Type.String() },
    }),
  },
});

let n = 0;
/** Names of records begin anew. */
export const restartNames = (): void => {
  n = 0;
};
export const signup = (more: object): LogRecord => ({
  source: "web",
  sent: "signup",
  text: JSON.stringify({ id: `s${++n}`, at: "2026-03-01T00:00:00Z", plan: "a", ...more }),
});
const change = (op: string, row: { id: number; email?: string }): LogRecord => ({
  source: "db",
  sent: "db",
  text: JSON.stringify({
    id: `c${++n}`,
    at: "2026-03-01T00:00:00Z",
    stream: "public.customers",
    op,
    key: JSON.stringify([String(row.id)]),
    version: `v${String(n).padStart(4, "0")}`,
    row,
  }),
});
export const jane = "jane.doe@example.com";
export const joe = "joe@example.com";
export const records = (): LogRecord[] => [
  signup({ user: 71_001, email: jane, device: "jane-phone" }),
  signup({ user: 71_001 }),
  signup({ device: "jane-phone" }),
  signup({ user: 71_002, email: joe }),
  change("insert", { id: 71_001, email: jane }),
  change("delete", { id: 71_001 }),
  change("insert", { id: 71_002, email: joe }),
  // Refused: sealed.
  signup({ user: "71001", email: jane }),
  signup({ user: "71002", email: joe }),
];

export const asked = { identifiers: [{ kind: "email", value: jane }] };
