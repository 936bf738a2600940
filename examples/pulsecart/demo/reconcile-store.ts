import type { StoreBooks } from "../store/messages.ts";
import type { Api, Cell } from "./api.ts";
import { same } from "./reconcile.ts";
import type { Comparison } from "./reconcile.ts";
import type { StoreDatabase } from "./store-database.ts";
import { money, number } from "./text.ts";

type Asked = Pick<Api, "query">;
type Rows = readonly (readonly Cell[])[];

/** Rows that are compared at a time. */
const pageRows = 20_000;

/** One question, in the words of the store's database and in those of Weir. */
interface Question {
  readonly what: string;
  readonly theirs: string;
  readonly weir: string;
}

/** Compares Weir's tables with the store's own database, row by row, and with what only the store's process knows. */
export async function reconcileStore(
  api: Asked,
  store: StoreDatabase,
  books: StoreBooks,
): Promise<Comparison[]> {
  const checks: Comparison[] = [];
  checks.push(...(await statusChecks(api, store)));
  for (const table of tables) checks.push(await rowCheck(table, api, store));
  for (const total of totals) checks.push(await totalCheck(total, api, store));
  checks.push(await unitCheck(api, store), await abandonedCheck(api, store));
  for (const count of counts) checks.push(await countCheck(count, api, store));
  return [...checks, ...(await bookChecks(api, books))];
}

/** What the store's SQL makes of an order: its items, and the store's own list of payments. */
const ownFacts = `(
  SELECT o.id AS order_id, o.status, c.tier, i.units, i.amount + o.shipping AS total, coalesce(p.amount, 0.00) AS paid
  FROM orders o
    JOIN customers c ON c.id = o.customer_id
    JOIN (SELECT order_id, sum(quantity) AS units, sum(quantity * unit_price) AS amount FROM order_items GROUP BY order_id) i
      ON i.order_id = o.id
    LEFT JOIN (
      SELECT order_id, sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END) AS amount FROM payments GROUP BY order_id
    ) p ON p.order_id = o.id
) own`;

/** Rows with a key, by which they are sorted, and a text of all that is to be equal. */
const tables: readonly Question[] = [
  {
    what: "orders, one by one",
    theirs: `SELECT lpad(order_id::text, 12, '0') AS key, concat_ws('|', status, tier, units, total, paid, paid) AS text FROM ${ownFacts}`,
    weir: `SELECT lpad(order_id::text, 12, '0') AS key, concat_ws('|', status, tier, units, total, charged, settled) AS text FROM order_facts`,
  },
  {
    what: "their items",
    theirs: `SELECT lpad(order_id::text, 12, '0') || line AS key, concat_ws('|', sku, quantity, unit_price) AS text FROM order_items`,
    weir: `SELECT lpad(order_id::text, 12, '0') || line AS key, concat_ws('|', sku, quantity, unit_price) AS text FROM order_items`,
  },
  {
    what: "customers, where they live",
    theirs: `SELECT lpad(id::text, 12, '0') AS key, concat_ws('|', tier, country, city, CASE WHEN phone IS NULL THEN 'none' END) AS text FROM customers`,
    weir: `SELECT lpad(id::text, 12, '0') AS key, concat_ws('|', tier, country, city, CASE WHEN _extra->>'phone' IS NULL THEN 'none' END) AS text FROM customers`,
  },
  {
    what: "products, with descriptions",
    theirs: `SELECT sku AS key, concat_ws('|', name, category, price, md5(description)) AS text FROM products`,
    weir: `SELECT sku AS key, concat_ws('|', name, category, price, md5(description)) AS text FROM products`,
  },
  {
    what: "stock, by place",
    theirs: `SELECT concat_ws(' ', sku, warehouse) AS key, on_hand::text AS text FROM stock`,
    weir: `SELECT concat_ws(' ', sku, warehouse) AS key, on_hand::text AS text FROM stock`,
  },
];

const paid = "SELECT sum(CASE kind WHEN 'charge' THEN amount ELSE -amount END)::text FROM payments";

/** Amounts in EUR. */
const totals: readonly Question[] = [
  {
    what: "total of all orders",
    theirs: "SELECT sum(total)::text FROM orders",
    weir: "SELECT sum(total)::text FROM order_facts",
  },
  { what: "charged by Stripe", theirs: paid, weir: "SELECT sum(charged)::text FROM order_facts" },
  { what: "settled by the bank", theirs: paid, weir: "SELECT sum(settled)::text FROM order_facts" },
];

const counts: readonly Question[] = [
  {
    what: "states of products",
    theirs: "SELECT (SELECT count(*) FROM products) + (SELECT count(*) FROM price_changes)",
    weir: "SELECT count(*) FROM products_history",
  },
  {
    what: "e-mail addresses, as tokens",
    theirs: "SELECT count(DISTINCT email) FROM customers",
    weir: "SELECT count(DISTINCT email) FROM customers WHERE email LIKE 'tok_email_%'",
  },
  {
    what: "streets, as tokens",
    theirs: "SELECT count(DISTINCT street) FROM customers",
    weir: "SELECT count(DISTINCT street) FROM customers WHERE street LIKE 'tok_address_%'",
  },
  {
    what: "e-mail addresses in the clear",
    theirs: "SELECT 0",
    weir: `SELECT count(*) FROM (SELECT text FROM raw UNION ALL SELECT text FROM quarantine UNION ALL SELECT email FROM customers_history)
      WHERE regexp_matches(text, '[a-z0-9]@[a-z0-9-]+[.][a-z]')`,
  },
];

async function statusChecks(api: Asked, store: StoreDatabase): Promise<Comparison[]> {
  const byStatus = (rows: Rows): Map<string, number> =>
    new Map(rows.map(([status, count]) => [String(status), Number(count)]));
  const theirs = byStatus(await store.query("SELECT status, count(*) FROM orders GROUP BY status"));
  const weir = byStatus(await api.query("SELECT status, count(*) FROM order_facts GROUP BY status"));
  return [...new Set([...theirs.keys(), ...weir.keys()])]
    .sort()
    .map((status) => same(`orders ${status}`, theirs.get(status) ?? 0, weir.get(status) ?? 0));
}

/** Every row by itself; the line shows how many there are. */
async function rowCheck(
  { what, theirs, weir }: Question,
  api: Asked,
  store: StoreDatabase,
): Promise<Comparison> {
  const page = (sql: string, after: string): string =>
    `SELECT key, text FROM (${sql}) AS t WHERE key > '${after}' ORDER BY key LIMIT ${pageRows}`;
  const counted = { theirs: 0, weir: 0, different: 0 };
  for (let after = ""; ;) {
    const [own, found] = await Promise.all([store.query(page(theirs, after)), api.query(page(weir, after))]);
    // Up to the last key that both pages reach: what is beyond it comes with the next page.
    const isLast = own.length < pageRows && found.length < pageRows;
    const ends = [own, found]
      .filter((rows) => rows.length === pageRows)
      .map((rows) => String(rows.at(-1)?.[0]));
    const upTo = ends.toSorted()[0];
    const within = (rows: Rows): Rows => rows.filter(([key]) => upTo === undefined || String(key) <= upTo);
    const [ownRows, foundRows] = [within(own), within(found)];
    counted.theirs += ownRows.length;
    counted.weir += foundRows.length;
    counted.different += differences(ownRows, foundRows);
    if (isLast || upTo === undefined) break;
    after = upTo;
  }
  const { different } = counted;
  return {
    what,
    theirs: number(counted.theirs),
    weir: number(counted.weir) + (different === 0 ? "" : `, ${number(different)} differ`),
    equal: different === 0 && counted.theirs === counted.weir,
  };
}

/** Keys whose rows are not the same, or that one side has and the other has not. */
function differences(own: Rows, found: Rows): number {
  const left = new Map(found.map(([key, text]) => [key, text]));
  let different = 0;
  for (const [key, text] of own) {
    if (left.get(key ?? null) !== text) different += 1;
    left.delete(key ?? null);
  }
  return different + left.size;
}

async function totalCheck(
  { what, theirs, weir }: Question,
  api: Asked,
  store: StoreDatabase,
): Promise<Comparison> {
  const [own, found] = [await one(store, theirs), await one(api, weir)];
  return { what, theirs: `EUR ${money(own)}`, weir: `EUR ${money(found)}`, equal: own === found };
}

async function unitCheck(api: Asked, store: StoreDatabase): Promise<Comparison> {
  const units = "SELECT sum(on_hand)::text FROM stock";
  return same("units on hand", BigInt(await one(store, units)), BigInt(await one(api, units)));
}

async function countCheck(
  { what, theirs, weir }: Question,
  api: Asked,
  store: StoreDatabase,
): Promise<Comparison> {
  return same(what, BigInt(await one(store, theirs)), BigInt(await one(api, weir)));
}

/** Rows that were deleted while Weir watched are in no table, but in the history. */
async function abandonedCheck(api: Asked, store: StoreDatabase): Promise<Comparison> {
  const rows = await store.query("SELECT id FROM abandoned_orders");
  const ids = ["0", ...rows.map(([id]) => String(id))].join(", ");
  const left = await one(
    api,
    `SELECT (SELECT count(*) FROM orders WHERE id IN (${ids})) + (SELECT count(*) FROM order_items WHERE order_id IN (${ids}))`,
  );
  return {
    ...same("rows of deleted orders", 0, BigInt(left)),
    what: `rows of ${rows.length} deleted orders`,
  };
}

async function bookChecks(api: Asked, { logLines, settlements }: StoreBooks): Promise<Comparison[]> {
  const lines = new Map(
    (await api.query("SELECT severity_text, sum(lines)::BIGINT FROM log_lines GROUP BY severity_text")).map(
      ([severity, count]) => [String(severity), Number(count)],
    ),
  );
  const bad = await one(api, "SELECT count(*) FROM quarantine WHERE source = 'settlements'");
  return [
    same(
      "lines of settlement files",
      settlements.lines,
      BigInt(await one(api, "SELECT count(*) FROM payments")),
    ),
    same("bad ones, in quarantine", settlements.bad, BigInt(bad)),
    ...Object.entries(logLines).map(([severity, count]) =>
      same(`log lines ${severity}`, count, lines.get(severity) ?? 0),
    ),
  ];
}

async function one(asked: Asked, sql: string): Promise<string> {
  const [row] = await asked.query(sql);
  return String(row?.[0] ?? "0");
}
