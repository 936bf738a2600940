/** Random changes of three tables and events that name their rows: few keys, so that all of them meet. */
import { changeText } from "@weir/contract";
import type { Received } from "@weir/testkit";
import * as fc from "fast-check";
import { receivedUs } from "./joined-project.fixture.ts";

const startMs = Date.parse("2026-03-01T12:00:00.000Z");
const at = fc.nat(60).map((second) => new Date(startMs + second * 1000).toISOString());
const orNull = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> =>
  fc.oneof({ weight: 6, arbitrary: value }, fc.constant(null));
const number = (most: number): fc.Arbitrary<string> => fc.nat(most).map(String);

const rows = {
  customers: {
    most: 4,
    columns: { tier: orNull(fc.constantFrom("new", "gold")), country: orNull(fc.constantFrom("IT", "FR")) },
  },
  orders: {
    most: 7,
    columns: { customer_id: orNull(number(4)), total: orNull(fc.constantFrom("10.00", "0.10")) },
  },
  payments: {
    most: 9,
    columns: { order_id: orNull(number(7)), amount: orNull(fc.constantFrom("5.00", "0.01")) },
  },
} as const;

/** A change with its version; mostly times go with versions, at times clocks disagree. */
const version = fc.record({ n: fc.nat(60), skew: fc.constantFrom(0, 0, 0, 0, 5, -20) });

function changes(stream: keyof typeof rows): fc.Arbitrary<Received> {
  const { most, columns } = rows[stream];
  const names = Object.keys(columns);
  return fc
    .record({
      key: number(most),
      version,
      op: fc.oneof(
        { weight: 20, arbitrary: fc.constantFrom("insert" as const, "update" as const, "snapshot" as const) },
        { weight: 2, arbitrary: fc.constant("delete" as const) },
        { weight: 1, arbitrary: fc.constant("truncate" as const) },
      ),
      row: fc.record<Record<string, string | null>>({ ...columns }),
      unknown: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, fc.subarray(names)),
    })
    .map(({ key, version: { n: any, skew }, op, row, unknown }) => {
      // Late ones would leave nothing.
      const n = op === "truncate" ? any % 25 : any;
      const isRow = op !== "truncate" && op !== "delete";
      const known = Object.entries(row).filter(
        ([name]) => isRow && !(unknown as readonly string[]).includes(name),
      );
      const id = `${stream}/${op === "truncate" ? "" : key}/${n}`;
      const { text } = changeText({
        id,
        at: new Date(startMs + (n + skew) * 1000).toISOString(),
        stream,
        op,
        key: op === "truncate" ? "[]" : JSON.stringify([key]),
        version: String(n).padStart(4, "0"),
        row: op === "truncate" ? null : { id: key, ...Object.fromEntries(known) },
        ...(isRow ? { unknown } : {}),
      });
      return received("db", "db", id, text);
    });
}

const views: fc.Arbitrary<Received> = fc
  .record({
    id: fc.nat(50).map((n) => `v${n}`),
    at,
    who: orNull(fc.record({ customer: orNull(fc.nat(5)) })),
    sku: fc.constantFrom("a", "b", undefined),
    source: fc.constantFrom("web", "app"),
  })
  .map(({ source, ...record }) => received(source, "viewed", record.id, JSON.stringify(record)));

/** A record with its time of receipt, which the harness writes into its line. */
const received = (
  source: string,
  sent: string,
  id: string,
  text: string,
): Received & { receivedUs: number } => ({
  source,
  sent,
  text,
  receivedUs: Number(receivedUs(id)),
});

const one = fc.oneof(
  { weight: 5, arbitrary: changes("customers") },
  { weight: 4, arbitrary: changes("orders") },
  { weight: 4, arbitrary: changes("payments") },
  { weight: 6, arbitrary: views },
);

/** Records, many of them twice; of those with one id that differ, one counts. */
export const joinedRecords: fc.Arbitrary<Received[]> = fc
  .array(one, { minLength: 40, maxLength: 90 })
  .chain((records) => fc.subarray(records).map((again) => [...records, ...again]));
