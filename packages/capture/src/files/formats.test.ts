/** Files that other programs wrote (fixtures/make.py) give the values that went in. */
import { expect, test } from "vitest";
import { Drop, validate } from "./capture.fixture.ts";

type Value = Record<string, unknown>;

/** The rows of fixtures/make.py as records. Times without a zone are taken for times of UTC. */
const rows: Value[] = [
  {
    id: "p1",
    amount: "12.50",
    huge: "1234567890123456789012345678901234.5678",
    big: 9007199254740993n,
    count: 1,
    ratio: 0.1,
    small: 0.1,
    flag: true,
    day: "2026-01-02",
    at: "2026-01-02T03:04:05.678901Z",
    local: "2026-01-02T03:04:05.678Z",
    clock: "23:59:58.500",
    note: 'Größe, "quoted"\nand a line',
    raw: "AAH/",
    tags: ["a", "b"],
    attrs: { k: "v", ж: "ü" },
    place: { city: "Köln", zip: 50667 },
    lines: [
      { sku: "s1", price: "1.10" },
      { sku: "s2", price: "2.00" },
    ],
  },
  {
    id: "p2",
    amount: "-0.05",
    huge: "0.0001",
    big: -9223372036854775808n,
    count: -2147483648,
    ratio: -1.5e300,
    small: -2.5,
    flag: false,
    day: "1969-12-31",
    at: "1969-12-31T23:59:59.999999Z",
    local: "1600-02-29T00:00:00Z",
    clock: "00:00:00",
    note: "",
    raw: "",
    tags: [],
    attrs: {},
    place: { city: null, zip: null },
    lines: [],
  },
  { id: "p3", amount: null, flag: null, note: null },
  {
    id: "p4",
    amount: "9999999999.99",
    huge: "-99999.5000",
    big: 0n,
    count: 2147483647,
    ratio: 3,
    small: 16777216,
    flag: true,
    day: "9999-12-31",
    at: "2026-01-02T03:04:05Z",
    local: "2026-03-29T02:30:00Z",
    clock: "12:00:00",
    note: "\u{1f600}",
    raw: "YWJj",
    tags: ["x", null],
    attrs: { n: null },
    place: { city: "Oslo", zip: 150 },
  },
];

const only = (names: readonly string[]): Value[] =>
  rows.map((row) => Object.fromEntries(names.filter((name) => name in row).map((name) => [name, row[name]])));

/** Records as they stand in the log, with integers beyond a double as bigints. */
async function recordsOf(
  fixture: string,
  options: ConstructorParameters<typeof Drop>[0] = {},
): Promise<Value[]> {
  const drop = new Drop({ timezone: "UTC", pattern: "*", file: false, ...options });
  drop.copy(fixture);
  await drop.settle({ read: 1 });
  expect(drop.quarantined).toEqual([]);
  return drop.journal.records.map(({ text, value }) => {
    expect(validate({ seen_at: "2026-01-01T00:00:00Z", amount: null, ...value })).toEqual([]);
    const { big, ...others } = value as Value;
    if (big === undefined || big === null) return others;
    return { ...others, big: BigInt(/"big":"?(-?\d+)/.exec(text!)![1]!) };
  });
}

test.each(["pyarrow.parquet", "pyarrow-v2-zstd.parquet", "duckdb.parquet", "duckdb-lz4.parquet"])(
  "%s",
  async (fixture) => {
    const records = await recordsOf(fixture);
    expect(records).toEqual(rows);
  },
);

test("nanoseconds of another zone are instants", async () => {
  expect(await recordsOf("pyarrow-nanoseconds-brotli.parquet")).toEqual(only(["id", "amount", "at"]));
});

test("pandas.parquet: its index is a column like any", async () => {
  const [first] = await recordsOf("pandas.parquet");
  expect(first).toMatchObject({ id: "p1", amount: "12.50", local: "2026-01-02T03:04:05.678Z" });
});

test.each(["null", "deflate", "snappy", "zstandard"])("fastavro, codec %s", async (codec) => {
  const records = await recordsOf(`fastavro-${codec}.avro`);
  const [p1, p2, p3, p4] = records;
  for (const [i, record] of records.entries()) {
    const { parent, kind, ref, ...own } = record;
    expect(own).toEqual(rows[i]);
    expect([kind, ref]).toEqual([i === 1 ? "CASH" : "CARD", "00000000-0000-0000-0000-000000000007"]);
    expect(parent === undefined || parent === null).toBe(i !== 3);
  }
  expect([p1, p2, p3].every((record) => record !== undefined)).toBe(true);
  expect(p4!["parent"]).toMatchObject({ id: "p3", kind: "CARD", amount: null });
});

const flat = ["id", "amount", "big", "count", "ratio", "flag", "day", "at", "local", "note"];

test("duckdb.csv: an empty cell is no value, an empty text is one", async () => {
  const expected = only(flat).map((row) =>
    row["id"] === "p4" ? { ...row, at: "2026-01-02T03:04:05.000000Z" } : row,
  );
  expect(await recordsOf("duckdb.csv")).toEqual(expected);
});

test.each(["duckdb.ndjson.gz", "duckdb-array.json"])(
  "%s: values stay as they were written",
  async (fixture) => {
    const drop = new Drop({ pattern: "*" });
    drop.copy(fixture);
    await drop.settle({ read: 1 });
    expect(drop.quarantined).toEqual([]);
    expect(drop.journal.records[0]!.text).toContain('"amount":12.5,"big":9007199254740993,"count":1,');
    expect(drop.values).toHaveLength(4);
    expect(drop.values[0]).toMatchObject({ note: 'Größe, "quoted"\nand a line' });
  },
);

test("pandas.csv.gz, and the same as Excel in Germany would have it", async () => {
  const plain = await recordsOf("pandas.csv.gz");
  const excel = await recordsOf("pandas-excel.csv", {
    csv: { delimiter: ";", encoding: "utf-16le", decimal: "," },
  });
  expect(plain).toEqual([
    {
      id: "p1",
      amount: "12.50",
      big: 9007199254740993n,
      local: "2026-01-02T03:04:05.678Z",
      note: rows[0]!["note"],
    },
    { id: "p2", amount: "-0.05", big: -9223372036854775808n, local: "2026-01-01T00:00:00.000Z", note: null },
    { id: "p4", amount: "9999999999.99", big: 0n, local: "2026-03-29T02:30:00.000Z", note: "\u{1f600}" },
  ]);
  expect(excel).toEqual(plain);
});

test("Python's csv with everything quoted", async () => {
  const records = await recordsOf("python-quoted.csv");
  expect(records).toEqual(
    only(["id", "amount", "flag", "note"]).map((row) => ({ ...row, note: row["note"] ?? "" })),
  );
});

test("a dialect in Windows-1252", async () => {
  const records = await recordsOf("python-windows.tsv", { csv: { quote: "'", encoding: "windows-1252" } });
  expect(records.map(({ note }) => note)).toEqual(["Größe\t'5 €'", "zwei\r\nZeilen"]);
});
