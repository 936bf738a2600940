/** For tests of lookups and changes: a project with tables of every kind and shape, and records for it. */
import {
  compileProject,
  count,
  derive,
  distinct,
  enrich,
  entity,
  identity,
  last,
  person,
  rollup,
  sessions,
  sum,
} from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import type { JsonValue } from "../database.ts";
import type { Engine } from "../engine.ts";
import type { LogRecord } from "../harness.fixture.ts";

const common = { version: "1.0.0", owner: "test", id: "id", time: "at" } as const;

export const Paid = contract("paid", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    who: Type.Optional(Type.String()),
    store: Type.Integer(),
    amount: decimal({ precision: 10, scale: 2 }),
    weight: Type.Number(),
  }),
});

export const Profile = contract("profile", {
  ...common,
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    who: Type.String(),
    email: Type.String(),
    tier: Type.String(),
    gone: Type.Boolean(),
  }),
});

const measures = { n: count(), total: sum("amount"), grams: sum("weight"), latest: last("amount") };

export const program = compileProject({
  name: "shop",
  sources: { web: { contracts: [Paid, Profile] } },
  tables: {
    customers: rollup({ from: Paid, by: "who", measures }),
    per_minute: rollup({
      from: Paid,
      window: "1m",
      by: ["who", "store"],
      measures: { n: count(), stores: distinct("store") },
    }),
    visits: sessions({ from: Paid, by: "who", gap: "10m", measures }),
    everything: rollup({ from: Paid, measures }),
    amounts: rollup({ from: Paid, by: ["amount", "at", "weight"], measures: { n: count() } }),
    profiles: entity({ from: Profile, key: "who", deleted: { field: "gone", equals: true } }),
    tiers: derive({
      from: { p: "profiles" },
      key: "tier",
      keys: { p: "tier" },
      sql: "SELECT tier, count(*) AS n, max(email) AS email FROM p GROUP BY tier",
    }),
    tagged: enrich({ from: Paid, to: "profiles", on: { who: "who" }, take: "tier", keep: "store" }),
    people: identity({
      ids: [
        [Paid, { who: "who" }],
        [Profile, { who: "who", email: "email" }],
      ],
    }),
    by_person: rollup({ from: Paid, by: person("people", "who"), measures: { n: count() } }),
    runs: sessions({ from: Paid, by: person("people", "who"), gap: "10m", measures: { n: count() } }),
  },
});

export const tables = program.tables.map(({ name }) => name);

export const keysOf = (table: string): readonly string[] =>
  program.tables.find(({ name }) => name === table)?.key ?? [];

export interface Payment {
  readonly id: string;
  /** Minutes after the start. */
  readonly minute: number;
  readonly who?: string | undefined;
  readonly store?: number;
  readonly amount?: string;
  readonly weight?: number;
}

export const startMs = Date.parse("2026-01-15T10:00:00Z");
const timeOf = (minute: number): string => new Date(startMs + minute * 60_000).toISOString();

export function paid({ id, minute, who, store = 1, amount = "1.50", weight = 0.5 }: Payment): LogRecord {
  const record = { id, at: timeOf(minute), ...(who === undefined ? {} : { who }), store, amount, weight };
  return { source: "web", sent: "paid", text: JSON.stringify(record) };
}

export interface ProfileChange {
  readonly id: string;
  readonly minute: number;
  readonly who: string;
  readonly email: string;
  readonly tier: string;
  readonly gone: boolean;
}

export function profile({ minute, ...rest }: ProfileChange): LogRecord {
  return { source: "web", sent: "profile", text: JSON.stringify({ at: timeOf(minute), ...rest }) };
}

export type Row = Record<string, JsonValue>;

/** All rows of a table by the JSON text of their key, as a query gives them. */
export async function queried(
  engine: Engine,
  table: string,
): Promise<{ commit: number; rows: Map<string, Row> }> {
  const { columns, rows, commit } = await engine.query(`SELECT * FROM ${table}`, { maxRows: 1_000_000 });
  const objects = rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i] ?? null])));
  return { commit, rows: new Map(objects.map((row) => [keyOf(table, row), row])) };
}

export const keyOf = (table: string, row: Row): string =>
  JSON.stringify(
    keysOf(table).map((column) => (row[column] === null ? null : String(row[column] as string | number))),
  );

/** Rows of a lookup as objects. */
export const parsed = (rows: readonly Buffer[]): Row[] =>
  rows.map((row) => JSON.parse(row.toString("utf8")) as Row);

/** Asks for every table, and waits until lookups come out of mirrors, as of the last commit. */
export async function mirrored(engine: Engine): Promise<void> {
  for (const table of tables) {
    const columns = Object.fromEntries(keysOf(table).map((name) => [name, null]));
    await engine.lookup(table, keysOf(table).length === 0 ? {} : { columns });
  }
  const deadline = performance.now() + 120_000;
  for (;;) {
    const { lookups, commit } = await engine.status();
    const live = lookups.filter((one) => one.state === "live" && one.commit === commit);
    if (live.length === tables.length) return;
    if (performance.now() > deadline || lookups.some(({ state }) => state === "off"))
      throw new Error(`not mirrored: ${JSON.stringify({ commit, lookups })}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
