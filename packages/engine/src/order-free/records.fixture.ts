/** Random sets of records, crowded where mistakes would be made. */
import type { Received } from "@weir/testkit";
import * as fc from "fast-check";
import { gapMs, windowMs } from "./project.fixture.ts";

const year = (text: string): bigint => BigInt(Date.parse(text)) * 1000n;

/** Around these, times lie gaps and windows apart: the epoch, years that few programs see, a window's edge, an odd time. */
const bases = [
  0n,
  year("1969-12-31T23:59:30.000Z"),
  year("0001-06-01T00:00:00.000Z"),
  year("9998-12-31T23:59:59.999Z"),
  year("2026-02-28T23:59:30.000Z"),
  year("2026-03-01T12:34:56.789Z"),
];
const [gapUs, windowUs] = [BigInt(gapMs) * 1000n, BigInt(windowMs) * 1000n];

const timeUs: fc.Arbitrary<bigint> = fc
  .tuple(
    fc.oneof(
      { weight: 4, arbitrary: fc.constant(bases[5] ?? 0n) },
      { weight: 1, arbitrary: fc.constantFrom(...bases) },
    ),
    fc.constantFrom(0n, 0n, 1n, 2n, 3n, -1n),
    fc.constantFrom(gapUs, gapUs, gapUs, windowUs, 1000n, gapUs / 2n),
    fc.constantFrom(0n, 0n, 0n, 1n, -1n, 999n, 1000n, 1001n),
  )
  .map(([base, steps, step, jitter]) => base + steps * step + jitter);

/** One of the many spellings of a time. */
const timestampText = timeUs.chain((us) =>
  fc
    .record({
      offset: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.constantFrom(330, -480, 839, -1439)),
      style: fc.constantFrom("Z", "Z", "z", "more"),
    })
    .map(({ offset, style }) => {
      const local = us + BigInt(offset) * 60_000_000n;
      const seconds = local / 1_000_000n - (local % 1_000_000n < 0n ? 1n : 0n);
      const micros = String(local - seconds * 1_000_000n).padStart(6, "0");
      const clock = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
      const two = (n: number): string => String(n).padStart(2, "0");
      const hours = Math.trunc(Math.abs(offset) / 60);
      const zone =
        offset === 0
          ? style === "z"
            ? "z"
            : "Z"
          : `${offset < 0 ? "-" : "+"}${two(hours)}:${two(Math.abs(offset) % 60)}`;
      const fraction =
        micros === "000000" && style === "Z" ? "" : `.${micros}${style === "more" ? "999" : ""}`;
      return JSON.stringify(`${clock}${fraction}${zone}`);
    }),
);

const texts = (...values: string[]): fc.Arbitrary<string> =>
  fc.constantFrom(...values.map((value) => JSON.stringify(value)));
const visitor = texts("a", "B", 'a"b\\', "é", "😀\uffff", "\u0000");
const sku = texts("s1", "s10", "\uffee", "😀");
const price = fc.oneof(
  fc.constantFrom(
    "0",
    "-0",
    "-0.0",
    "0.1",
    "0.2",
    "0.3",
    "-0.6",
    "1e16",
    "-1e16",
    "1",
    "1.0",
    "1e300",
    "-1e300",
    "5e-324",
  ),
  fc.constantFrom(
    "16777215",
    "16777215.5",
    "16777216",
    "9007199254740993",
    "0.0009765625",
    "0.0009765624",
    "4e91",
    "-4e91",
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1000, max: 1000 }).map(String),
);
const amount = fc.oneof(
  fc.constantFrom(
    '"19.90"',
    "19.9",
    '"0.01"',
    "0.01",
    '"-0.00"',
    '"9999999999.99"',
    '"-9999999999.99"',
    "1e3",
  ),
  fc.integer({ min: -500, max: 500 }).map((cents) => JSON.stringify((cents / 100).toFixed(2))),
);
const integer = fc.constantFrom("0", "1", "-1", "7", "7.0", "9007199254740991", "-9007199254740991");
const address = fc.constantFrom(
  '{"city":"B"}',
  '{"city":"B","zip":"1"}',
  '{"city":"b","zip":"10"}',
  '{"city":null}',
  '{"zip":"2","city":"B","extra":{"a":[1]}}',
);

type Members = Readonly<Record<string, fc.Arbitrary<string>>>;

/** JSON texts of objects with all of the required members, some of the optional ones, and at times one nobody knows. */
function objectText(required: Members, optional: Members): fc.Arbitrary<string> {
  const names = Object.keys(optional);
  const unknown = fc.constantFrom("", "", '"more":{"x":[null,1e400]}', '"type":"t"', '"nothing":null');
  return fc
    .record({
      required: fc.record(required),
      optional: fc.record(optional),
      present: fc.subarray(names),
      unknown,
    })
    .map((parts) => {
      const members = [
        ...Object.entries(parts.required),
        ...parts.present.map((name) => [name, parts.optional[name] ?? "null"] as const),
      ].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
      return `{${[...members, ...(parts.unknown === "" ? [] : [parts.unknown])].join(",")}}`;
    });
}

const orNull = (value: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 4, arbitrary: value }, fc.constant("null"));

const viewText = objectText(
  {
    event_id: fc.nat(40).map((n) => `"e${n}"`),
    at: timestampText,
    visitor: orNull(visitor),
    sku: orNull(sku),
  },
  {
    price,
    amount,
    n: integer,
    seen: timestampText,
    day: texts("2026-01-01", "1969-12-31", "0001-01-01", "9999-12-31"),
    flag: fc.constantFrom("true", "false"),
    addr: address,
    link: texts("https://a.example/"),
  },
);
const orderText = objectText(
  {
    number: fc.nat(12).map((n) => (n % 5 === 0 ? `${n}.0` : String(n))),
    source: timestampText,
    visitor,
    sku: orNull(sku),
    amount,
    units: fc.constantFrom("0", "1", "2", "1e1"),
  },
  { price, addr: address },
);
const pingText = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.nat(5), timestampText).map(([id, at]) => `{"id":"${id}","at":${at}}`) },
  fc.tuple(fc.nat(5), timestampText).map(([id, at]) => `{"id":"${id}","at":${at},"type":"ping"}`),
);

/** Records that their contract refuses. */
const badText = fc.constantFrom(
  '{"event_id":"e1","at":"2026-02-30T00:00:00Z"}',
  '{"event_id":"e1","at":"2026-01-01T00:00:00Z","price":"1"}',
  '{"event_id":"e2","at":"2026-01-01T00:00:00Z","amount":"0.001"}',
  '{"event_id":null,"at":"2026-01-01T00:00:00Z"}',
  '{"at":"2026-01-01T00:00:00Z"}',
  '{"event_id":"e3","at":"2026-01-01T00:00:00Z","link":"no uri"}',
  "{}",
);
const unreadable = fc.constantFrom("invalid_json: at byte 3", "not_an_object", "too_deep: 65");

const anySource = fc.constantFrom("web", "shop", "tiny");

const one: fc.Arbitrary<Received> = fc.oneof(
  {
    weight: 14,
    arbitrary: fc.record({
      source: fc.constantFrom("web", "web", "shop"),
      sent: fc.constantFrom("product_view", "product_view", "Product Viewed", "product_view@1.9.0"),
      text: viewText,
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      source: fc.constantFrom("web", "shop"),
      sent: fc.constantFrom("order", "order@2.0.0"),
      text: orderText,
    }),
  },
  { weight: 2, arbitrary: fc.record({ source: anySource, sent: fc.constant("ping"), text: pingText }) },
  {
    weight: 1,
    arbitrary: fc.record({
      source: anySource,
      sent: fc.constantFrom("", "nobody", "order@1.0.0", "order@2", "product_view", "Product Viewed@1.0.0"),
      text: fc.oneof(badText, viewText),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      source: anySource,
      error: unreadable,
      bytes: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
    }),
  },
);

/** Records, many of them twice or more. */
export const recordSets: fc.Arbitrary<Received[]> = fc
  .array(one, { minLength: 60, maxLength: 90 })
  .chain((records) => fc.subarray(records).map((again) => [...records, ...again]));

/** What happens after some records were appended. */
export type Action = "go on" | "seal" | "drain" | "restart" | "restart without a table";

export interface Step {
  readonly records: number;
  readonly writer: string;
  readonly next: Action;
  /** Which table to leave out, if one is. */
  readonly table: number;
}

export interface Arrangement {
  /** Random numbers from 0 to 1, one a record, that say in which order they come. */
  readonly order: readonly number[];
  readonly steps: readonly Step[];
  readonly lanes: number;
  readonly batchBytes: number;
  readonly recentIds: number;
}

const arrangements: fc.Arbitrary<Arrangement> = fc.record({
  order: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 200, maxLength: 200 }),
  steps: fc.array(
    fc.record({
      records: fc.integer({ min: 1, max: 40 }),
      writer: fc.constantFrom("w0", "w1"),
      next: fc.constantFrom<Action>(
        "go on",
        "seal",
        "seal",
        "seal",
        "drain",
        "drain",
        "restart",
        "restart without a table",
      ),
      table: fc.nat(100),
    }),
    { maxLength: 10, size: "max" },
  ),
  lanes: fc.integer({ min: 1, max: 3 }),
  batchBytes: fc.constantFrom(1, 5_000, 1 << 27),
  recentIds: fc.constantFrom(3, 20, 1 << 20),
});

/** The arrangement of a number: short to print, and left alone when a set of records is shrunk. */
export function arrangementOf(seed: number): Arrangement {
  const [arrangement] = fc.sample(arrangements, { seed, numRuns: 1 });
  if (arrangement === undefined) throw new Error("unreachable: one was asked for");
  return arrangement;
}

export const arrangementSeed = fc.noShrink(fc.nat());
