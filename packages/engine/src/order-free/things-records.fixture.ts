/** Random changes of a few rows and records of a few things, with versions that meet and ids that come again. */
import { changeText } from "@weir/contract";
import type { JsonObject } from "@weir/contract";
import type { Received } from "@weir/testkit";
import * as fc from "fast-check";

const startMs = Date.parse("2026-03-01T12:00:00.000Z");
const at = fc.nat(30).map((second) => new Date(startMs + second * 1000).toISOString());

/** With one id there are records that differ: of those, one counts, and what another did is taken back. */
const change: fc.Arbitrary<Received> = fc
  .record({
    id: fc.nat(60),
    at,
    stream: fc.constantFrom(
      "public.orders",
      "public.orders",
      "public.orders",
      "public.customers",
      "public.other",
    ),
    key: fc.nat(3).map(String),
    version: fc.nat(25),
    op: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom("snapshot" as const, "insert" as const, "update" as const) },
      { weight: 2, arbitrary: fc.constant("delete" as const) },
      { weight: 1, arbitrary: fc.constantFrom("truncate" as const, "schema" as const) },
    ),
    row: fc.record({
      status: fc.constantFrom("new", "paid", "sent", "odd", null),
      total: fc.constantFrom("1.50", "2", "NaN", "1.239", null),
      placed: fc.constantFrom("2026-01-01 10:00:00.5+02", "infinity"),
      paid: fc.constantFrom("t", "f"),
      note: fc.constantFrom("é 😀", "", null),
    }),
    unknown: fc.oneof(
      { weight: 3, arbitrary: fc.constant<string[]>([]) },
      fc.subarray<string>(["status", "total", "note", "nothing"]),
    ),
  })
  .map(({ id, stream, key, version, op, row, unknown, ...rest }) => {
    const isAll = op === "truncate" || op === "schema";
    const names = stream === "public.customers" ? { region: "eu", id: key } : { id: key };
    const known = Object.entries(row).filter(([name]) => !unknown.includes(name));
    const told: JsonObject = op === "delete" ? names : { ...names, ...Object.fromEntries(known) };
    const { text } = changeText({
      ...rest,
      id: `c${id}`,
      stream,
      op,
      key: isAll ? "[]" : JSON.stringify(Object.values(names)),
      // Late fences would leave nothing.
      version: String(op === "truncate" ? version % 8 : version).padStart(4, "0"),
      row: isAll ? null : told,
      ...(isAll || op === "delete" ? {} : { unknown }),
    });
    return { source: "db", sent: "db", text };
  });

const orNone = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(value, { nil: undefined });

const record: fc.Arbitrary<Received> = fc
  .record({
    isMade: fc.boolean(),
    id: fc.nat(30).map((n) => `r${n}`),
    at,
    seq: fc.nat(15),
    sku: fc.constantFrom("a", "a", "b", "é", null, undefined),
    status: fc.constantFrom("new", "paid", "sent", "odd"),
    gone: orNone(fc.constantFrom(false, false, true)),
    place: orNone(fc.constantFrom("x", "y")),
    day: orNone(fc.constant("2026-01-01")),
    more: orNone(fc.constantFrom(1, { a: [null] })),
  })
  .map(({ isMade, status, gone, place, day, ...both }) => ({
    source: isMade ? "plant" : both.seq % 2 === 0 ? "plant" : "depot",
    sent: isMade ? "made" : "moved",
    text: JSON.stringify(isMade ? { ...both, status, gone } : { ...both, place, day }),
  }));

/** Records, many of them twice. */
export const thingsRecords: fc.Arbitrary<Received[]> = fc
  .array(fc.oneof({ weight: 3, arbitrary: change }, { weight: 2, arbitrary: record }), {
    minLength: 40,
    maxLength: 90,
  })
  .chain((records) => fc.subarray(records).map((again) => [...records, ...again]));
