/** The project of the order-free tests of tables that read tables: entities, enriched records, and what is derived from both. */
import { compileProject, derive, enrich, entity } from "@weir/compile";
import type { EnrichSpec, EntitySpec, Program, TableSpec } from "@weir/compile";
import { Type, changeContract, contract, decimal, nullable, timestamp } from "@weir/contract";
import { enrichRows, entityRows } from "@weir/testkit";
import type { CleanRecord, EntityRow, OracleRow, Scalar } from "@weir/testkit";
import type { OrderFreeProject } from "./compare.fixture.ts";

export const Changes = changeContract("db");
export const Viewed = contract("viewed", {
  version: "1.0.0",
  owner: "growth",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    who: Type.Optional(nullable(Type.Object({ customer: nullable(Type.Integer()) }))),
    sku: Type.Optional(Type.String()),
  }),
});

export const sources = {
  db: { contracts: [Changes] },
  web: { contracts: [Viewed] },
  app: { contracts: [Viewed] },
};
export const graceMs = 3_600_000;
const hourUs = 3_600_000_000n;

/**
 * When a record is received: known from its id, so that all copies of one are received at one time. Only some payments are
 * received late, so that a grace ends with records that have nothing to do with what waits.
 */
export function receivedUs(id: string): bigint {
  const isLate = /^payments.*[05]$/.test(id);
  const n = Buffer.from(id).reduce((sum, byte) => sum + byte, 0);
  return 1_790_000_000_000_000n + (isLate ? hourUs : 0n) + (BigInt(n % 5) * hourUs) / 4n;
}

const money = decimal({ precision: 12, scale: 2 });
const customers = entity({
  from: "db.customers",
  key: "id",
  columns: { id: Type.Integer(), tier: Type.String(), country: Type.String() },
});
const orders = entity({
  from: "db.orders",
  key: "id",
  columns: { id: Type.Integer(), customer_id: Type.Integer(), total: money },
});
const payments = entity({
  from: "db.payments",
  key: "id",
  columns: { order_id: Type.Integer(), amount: money },
});

const common = { from: Viewed, to: "customers", on: { "who.customer": "id" } } as const;
const views = {
  views_now: enrich({ ...common, take: ["tier", "country"], keep: "sku" }),
  views_then: enrich({ ...common, take: ["tier", "country"], prefix: "customer_", asOf: true }),
  views_patient: enrich({ ...common, take: "tier", asOf: true, grace: graceMs }),
};

const factsSql = `
SELECT o.id AS order_id, o.customer_id, c.tier, o.total, coalesce(sum(p.amount), 0)::DECIMAL(18, 2) AS paid,
  count(p.id) AS payments
FROM o LEFT JOIN p ON p.order_id = o.id LEFT JOIN c ON c.id = o.customer_id
GROUP BY o.id, o.customer_id, c.tier, o.total`;
const tiersSql = `
SELECT tier, sum(orders) AS orders, sum(paid) AS paid, sum(views) AS views, string_agg(sku, ',' ORDER BY sku) AS skus
FROM (
  SELECT tier, 1 AS orders, paid, 0 AS views, NULL AS sku FROM f
  UNION ALL SELECT tier, 0, 0, 1, sku FROM n
) GROUP BY tier`;
const waitingSql = "SELECT id, who_customer FROM w WHERE NOT _matched";

export const joinedTables: Record<string, TableSpec> = {
  tiers: derive({
    from: { f: "facts", n: "views_now" },
    key: "tier",
    keys: { f: "tier", n: "tier" },
    sql: tiersSql,
  }),
  facts: derive({
    from: { o: "orders", p: "payments", c: "customers" },
    key: "order_id",
    keys: { o: "id", p: "order_id", c: { via: "o", on: { customer_id: "id" } } },
    sql: factsSql,
  }),
  waiting: derive({ from: { w: "views_patient" }, key: "id", keys: { w: "id" }, sql: waitingSql }),
  ...views,
  payments,
  orders,
  customers,
};

/** The tables that read each, directly or through others. */
const readers: Readonly<Record<string, readonly string[]>> = {
  customers: ["facts", "tiers", "waiting", ...Object.keys(views)],
  orders: ["facts", "tiers"],
  payments: ["facts", "tiers"],
  facts: ["tiers"],
  views_now: ["tiers"],
  views_patient: ["waiting"],
};

function program(without?: string): Program {
  const left = new Set(without === undefined ? [] : [without, ...(readers[without] ?? [])]);
  const kept = Object.entries(joinedTables).filter(([name]) => !left.has(name));
  return compileProject({ name: "joined", sources, tables: Object.fromEntries(kept) });
}

export const joinedProject: OrderFreeProject = {
  sources,
  tables: Object.keys(joinedTables),
  program,
  expected: (clean) => {
    const rows = (spec: EntitySpec): ReturnType<typeof entityRows> => entityRows(spec, clean);
    const newest = clean.map(({ id }) => receivedUs(id)).reduce((a, b) => (a > b ? a : b), 0n);
    const receipts = { of: ({ id }: CleanRecord): bigint => receivedUs(id), newest };
    const enriched = (spec: EnrichSpec): OracleRow[] => enrichRows(spec, clean, rows(customers), receipts);
    const facts = factRows(rows(orders).current, rows(payments).current, rows(customers).current);
    const patient = enriched(views.views_patient);
    return {
      facts,
      tiers: tierRows(facts, enriched(views.views_now)),
      waiting: patient
        .filter((row) => row["_matched"] === false)
        .map(({ id = null, who_customer: customer = null }) => ({ id, who_customer: customer })),
      views_now: enriched(views.views_now),
      views_then: enriched(views.views_then),
      views_patient: patient,
    };
  },
};

const cell = (row: EntityRow | undefined, name: string): Scalar => (row?.columns[name] ?? null) as Scalar;
const total = (values: readonly Scalar[]): bigint =>
  values.reduce<bigint>((sum, value) => sum + ((value ?? 0n) as bigint), 0n);

function factRows(
  found: readonly EntityRow[],
  paid: readonly EntityRow[],
  people: readonly EntityRow[],
): OracleRow[] {
  return found.map((order) => {
    const [id, customer] = [cell(order, "id"), cell(order, "customer_id")];
    const own = paid.filter((payment) => cell(payment, "order_id") === id && id !== null);
    const who = people.find((person) => cell(person, "id") === customer && customer !== null);
    return {
      order_id: id,
      customer_id: customer,
      tier: cell(who, "tier"),
      total: cell(order, "total"),
      paid: total(own.map((payment) => cell(payment, "amount"))),
      payments: BigInt(own.length),
    };
  });
}

function tierRows(facts: readonly OracleRow[], seen: readonly OracleRow[]): OracleRow[] {
  const tiers = new Set([...facts, ...seen].map((row) => row["tier"] ?? null));
  return [...tiers].map((tier) => {
    const own = facts.filter((row) => row["tier"] === tier);
    const views = seen.filter((row) => row["tier"] === tier);
    const skus = views.flatMap(({ sku = null }) => (sku === null ? [] : [sku as string]));
    return {
      tier,
      orders: BigInt(own.length),
      paid: total(own.map((row) => row["paid"] ?? null)),
      views: BigInt(views.length),
      skus: skus.length === 0 ? null : skus.toSorted().join(","),
    };
  });
}
