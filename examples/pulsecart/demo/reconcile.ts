import type { ClientLedger } from "../clients/ledger.ts";
import { clients, contractNames, poisonReasons } from "../shop/message.ts";
import type { Api, Cell, Status } from "./api.ts";
import { committedOfClients, duplicatesOfClients } from "./counts.ts";
import { money, number } from "./text.ts";

export interface Comparison {
  readonly what: string;
  /** What clients, or the store, say. */
  readonly theirs: string;
  readonly weir: string;
  readonly equal: boolean;
}

/** Compares what the tables hold with what the clients say they sent: to the record, the cent and the unit. */
export async function reconcile(api: Api, ledger: ClientLedger): Promise<Comparison[]> {
  const status = await api.status();
  return [
    ...(await recordChecks(api, ledger)),
    ...(await tableChecks(api, ledger)),
    await stockCheck(api, ledger),
    ...(await wireChecks(api, ledger, status)),
    same("never acknowledged", ledger.unacknowledged, 0),
  ];
}

export const same = (what: string, theirs: number | bigint, weir: number | bigint): Comparison => ({
  what,
  theirs: number(theirs),
  weir: number(weir),
  equal: BigInt(theirs) === BigInt(weir),
});

const asNumber = (cell: Cell | undefined): number => Number(cell ?? 0);

/** The same number of records, and the same ids: their hashes have the same sum. */
async function recordChecks(api: Api, { contracts }: ClientLedger): Promise<Comparison[]> {
  const checks: Comparison[] = [];
  for (const name of contractNames) {
    const id = ["order_placed", "order_status_changed", "stock_moved"].includes(name)
      ? "event_id"
      : "message_id";
    const [row = []] = await api.query(
      `SELECT count(*), count(DISTINCT ${id}), coalesce(sum(md5_number_lower(${id})::HUGEINT), 0)::VARCHAR FROM ${name}`,
    );
    const [rows, distinct, ids] = row;
    const { records, ids: sent } = contracts[name];
    checks.push({
      what: name,
      theirs: number(records),
      weir: number(asNumber(rows)) + (ids === sent ? "" : ", other ids"),
      equal: records === Number(rows) && records === Number(distinct) && ids === sent,
    });
  }
  return checks;
}

async function tableChecks(api: Api, { contracts, visits, revenue }: ClientLedger): Promise<Comparison[]> {
  const [sessions = []] = await api.query("SELECT count(*), coalesce(sum(records), 0)::VARCHAR FROM visits");
  const [views = []] = await api.query("SELECT coalesce(sum(views), 0)::VARCHAR FROM views_per_minute");
  const taken = await api.query(
    "SELECT currency, sum(orders)::BIGINT, sum(units)::VARCHAR, sum(revenue)::VARCHAR FROM revenue_per_minute GROUP BY currency",
  );
  const byCurrency = new Map(taken.map(([currency, ...amounts]) => [String(currency), amounts]));
  const events =
    contracts.product_viewed.records + contracts.cart_updated.records + contracts.checkout_started.records;
  const currencies = [...new Set([...byCurrency.keys(), ...Object.keys(revenue)])].sort();
  return [
    same("visits", visits, asNumber(sessions[0])),
    same("events in visits", events, asNumber(sessions[1])),
    same("views per minute, in all", contracts.product_viewed.records, asNumber(views[0])),
    ...currencies.map((currency): Comparison => {
      const { orders, units, cents } = revenue[currency] ?? { orders: 0, units: 0, cents: 0 };
      const [theirOrders, theirUnits, theirAmount] = byCurrency.get(currency) ?? [];
      const amount = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
      return {
        what: `revenue ${currency}`,
        theirs: money(amount),
        weir: money(String(theirAmount ?? "0.00")),
        equal: theirAmount === amount && asNumber(theirOrders) === orders && asNumber(theirUnits) === units,
      };
    }),
  ];
}

/** Every place by itself; the line shows the units in all. */
async function stockCheck(api: Api, { stock }: ClientLedger): Promise<Comparison> {
  const rows = await api.query("SELECT sku || ' ' || warehouse, on_hand::VARCHAR FROM stock_on_hand");
  const found = new Map(rows.map(([place, units]) => [String(place), asNumber(units)]));
  const places = new Set([...found.keys(), ...Object.keys(stock)]);
  const different = [...places].filter((place) => found.get(place) !== stock[place]);
  const sum = (units: Iterable<number>): number => [...units].reduce((total, unit) => total + unit, 0);
  const more = different.length === 0 ? "" : `, ${different.length} places differ`;
  return {
    what: `units in ${places.size} places`,
    theirs: number(sum(Object.values(stock))),
    weir: number(sum(found.values())) + more,
    equal: different.length === 0,
  };
}

/**
 * Every record that crossed the wire, each time it did. Requests that ended without an answer may have been accepted
 * or not: that many records are allowed on top.
 */
async function wireChecks(
  api: Api,
  { contracts, wire }: ClientLedger,
  status: Status,
): Promise<Comparison[]> {
  const sources = clients.map((client) => `'${client}'`).join(", ");
  const rows = await api.query(
    `SELECT reason, count(*)::BIGINT FROM quarantine WHERE source IN (${sources}) GROUP BY reason`,
  );
  const quarantined = new Map(rows.map(([reason, count]) => [String(reason), asNumber(count)]));
  const within = (what: string, theirs: number, weir: number): Comparison => ({
    what,
    theirs: wire.unknown === 0 ? number(theirs) : `${number(theirs)} to ${number(theirs + wire.unknown)}`,
    weir: number(weir),
    equal: weir >= theirs && weir <= theirs + wire.unknown,
  });
  const poison = poisonReasons.map((reason) =>
    within(`quarantined: ${reason}`, wire.poison[reason], quarantined.get(reason) ?? 0),
  );
  const others = [...quarantined.keys()].filter((reason) => !poisonReasons.some((known) => known === reason));
  const poisoned = Object.values(wire.poison).reduce((sum, count) => sum + count, 0);
  const distinct = Object.values(contracts).reduce((sum, { records }) => sum + records, 0);
  return [
    within("received, with copies", wire.sound + poisoned, committedOfClients(status)),
    within("duplicates", wire.sound - distinct, duplicatesOfClients(status)),
    ...poison,
    ...others.map((reason) => same(`quarantined: ${reason}`, 0, quarantined.get(reason) ?? 0)),
  ];
}
