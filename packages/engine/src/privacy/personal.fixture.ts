/** For tests: a project with personal values everywhere, and records of people whose values are known. */
import { compileProject, count, entity, identity, rollup } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, changeContract, contract, logContract, pci, pii, subject, timestamp } from "@weir/contract";
import type { LogRecord } from "../harness.fixture.ts";

const ordered = contract("ordered", {
  version: "1.0.0",
  owner: "shop",
  id: "id",
  key: "user",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    user: subject(Type.Integer()),
    session: Type.String(),
    email: pii.email({ pattern: "@" }),
    phone: Type.Optional(pii.phone()),
    to: Type.Object({ name: pii.name(), city: Type.String() }),
    card: Type.Optional(pci.pan()),
    note: Type.Optional(Type.String()),
  }),
});
const db = changeContract("db", { "public.customers": { id: "subject", email: "email", name: "name" } });

export const personalProgram: Program = compileProject({
  name: "personal",
  sources: {
    web: { contracts: [ordered] },
    db: { contracts: [db] },
    logs: { contracts: [logContract("app_logs")] },
  },
  tables: {
    customers: entity({
      from: "db.public.customers",
      key: "id",
      columns: { id: Type.String(), email: Type.String(), name: Type.String() },
    }),
    persons: identity({ ids: [[ordered, { user: "user", email: "email", session: "session" }]] }),
    per_user: rollup({ from: ordered, by: ["user", "email"], measures: { orders: count() } }),
  },
});

/** What must be nowhere of person `n`. */
export const needlesOf = (n: number): string[] => [
  `person.${n}.needle@example.com`,
  `+31-20-77${n}-6655`,
  `Needleman ${n}th`,
  `78${n}000${n}31`,
  "4556737586899855",
  "4556 7375 8689 9855",
];

const at = (i: number): string => new Date(Date.UTC(2026, 0, 1) + i * 1000).toISOString();

/** Records of a person, each kind of them: loaded, captured, logged, rejected, unreadable, of no contract. */
export function recordsOf(n: number, version: string): LogRecord[] {
  const [email = "", phone = "", name = "", user = ""] = needlesOf(n);
  const web = (text: object, sent = "ordered"): LogRecord => ({
    source: "web",
    sent,
    text: JSON.stringify(text),
  });
  const base = { user: Number(user), session: `s${n}`, email, to: { name, city: "Delft" } };
  return [
    web({ id: `${version}-${n}-a`, at: at(n), ...base, phone, card: "4556 7375 8689 9855" }),
    web({
      id: `${version}-${n}-b`,
      at: at(n + 1),
      ...base,
      note: `of ${email}, \\ "${email}"`,
      contact: email,
    }),
    web({ id: `${version}-${n}-c`, at: at(n), ...base, email: `no address of ${name}` }),
    web({ id: 7, who: name, card: "4556737586899855" }, "nobody_knows"),
    {
      source: "web",
      sent: "ordered",
      error: `invalid_json: at ${name}`,
      bytes: Buffer.from(`{"email":"${email}",`),
    },
    {
      source: "db",
      sent: "db",
      text: JSON.stringify({
        id: `${version}/public.customers/["${user}"]`,
        at: at(n),
        stream: "public.customers",
        op: "insert",
        key: JSON.stringify([user]),
        version: `${version}-${n}`,
        row: { id: user, email, name, bio: `ask ${email}` },
      }),
    },
    {
      source: "logs",
      sent: "app_logs",
      text: JSON.stringify({
        id: `${version}-${n}`,
        time: at(n),
        body: `login of ${email} with 4556737586899855`,
        attributes: { who: email },
      }),
    },
  ];
}
