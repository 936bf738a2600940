import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compareValues, isKeyType, keyLiteral, keyValue, storedValue } from "./key-value.ts";
import { rowJson } from "./row-json.ts";
import type { Column } from "./row-json.ts";

let instance: DuckDBInstance;
let sql: DuckDBConnection;
beforeAll(async () => {
  instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  sql = await instance.connect();
  await sql.run("SET TimeZone = 'UTC'");
});
afterAll(() => {
  sql.closeSync();
  instance.closeSync();
});

async function columnsOf(query: string): Promise<Column[]> {
  const reader = await sql.runAndReadAll(query);
  const types = reader.columnTypes();
  return reader.columnNames().flatMap((name, i) => {
    const type = types[i];
    return type === undefined ? [] : [{ name, type }];
  });
}

/** Values of every type that tables have, and NULL. */
const values = [
  "TRUE",
  "(-7)::TINYINT",
  "65535::USMALLINT",
  "(-2147483648)::INTEGER",
  "9223372036854775807::BIGINT",
  "18446744073709551615::UBIGINT",
  "(-170141183460469231731687303715884105728)::HUGEINT",
  "1.50::DECIMAL(10, 2)",
  "0.00::DECIMAL(38, 2)",
  "(-0.05)::DECIMAL(4, 2)",
  "12345678901234567890::DECIMAL(38, 0)",
  "(-0.50)::DECIMAL(2, 2)",
  "0.1::DOUBLE",
  "1e300::DOUBLE",
  "5e-324::DOUBLE",
  "(-0.0)::DOUBLE",
  "'nan'::DOUBLE",
  "'-inf'::DOUBLE",
  "0.1::FLOAT",
  "'a\"b\\c' || chr(9) || chr(10) || chr(31) || chr(127) || 'é😀' || chr(8232)",
  "''",
  "DATE '2026-02-28'",
  "TIMESTAMP '2026-01-15 10:00:00'",
  "TIMESTAMP '2026-01-15 10:00:00.5'",
  "TIMESTAMP '0001-01-01 00:00:00.000001'",
  "'{\"a\": 1.0}'::JSON",
  "'ABCDEF00-1111-2222-3333-444444444444'::UUID",
  "[1::BIGINT, NULL]",
  "['a', 'b']",
  "[]::VARCHAR[]",
  "[[1.5::DECIMAL(3, 1)]]",
  "{'a b': 1::BIGINT, 'c': {'d': [TIMESTAMP '2026-01-01']}}",
  "[{'n': 1::HUGEINT}, NULL]",
  "MAP {'k': 1::BIGINT, 'l': NULL}",
];

test.each(values)("the JSON of %s is what a query gives", async (value) => {
  const query = `SELECT ${value} AS "it's", NULL::INTEGER AS n, ${value.startsWith("[") ? `NULL` : `nullif(${value}, ${value})`} AS gone`;
  const json = rowJson(await columnsOf(query));
  const [given] = (await sql.runAndReadAll(query)).getRowObjectsJson();
  const [row] = (await sql.runAndReadAll(`SELECT ${json} FROM (${query})`)).getRowsJson();
  expect(JSON.parse(row?.[0] as string)).toEqual(JSON.parse(JSON.stringify(given)));
});

test("a type of which SQL cannot make what queries give", async () => {
  expect(rowJson(await columnsOf("SELECT 1 AS a, INTERVAL 1 DAY AS b"))).toBeUndefined();
  expect(rowJson(await columnsOf("SELECT [{'x': '\\xAA'::BLOB}] AS b"))).toBeUndefined();
});

describe("key values", () => {
  const typeOf = async (type: string): Promise<Column["type"]> => {
    const [column] = await columnsOf(`SELECT NULL::${type} AS c`);
    if (column === undefined) throw new Error("no column");
    expect(isKeyType(column.type)).toBe(true);
    return column.type;
  };

  test.each([
    ["VARCHAR", "a'b", "a'b"],
    ["VARCHAR", "", ""],
    ["BIGINT", "007", "7"],
    ["BIGINT", "-0", "0"],
    ["BIGINT", "9223372036854775807", "9223372036854775807"],
    ["DECIMAL(10, 2)", "1.5", "1.50"],
    ["DECIMAL(10, 2)", "01.500", "1.50"],
    ["DECIMAL(10, 2)", "-0.00", "0.00"],
    ["DECIMAL(2, 2)", "0.5", "0.50"],
    ["DECIMAL(38, 0)", "12345678901234567890123456789012345678", "12345678901234567890123456789012345678"],
    ["DOUBLE", "1e2", "100"],
    ["DOUBLE", "-0", "0"],
    ["FLOAT", "0.1", "0.10000000149011612"],
    ["BOOLEAN", "true", "true"],
    ["DATE", "2024-02-29", "2024-02-29"],
    ["UUID", "ABCDEF00-1111-2222-3333-444444444444", "abcdef00-1111-2222-3333-444444444444"],
    ["TIMESTAMP", "2026-01-15T10:00:00Z", "2026-01-15 10:00:00"],
    ["TIMESTAMP", "2026-01-15t10:00:00.500000z", "2026-01-15 10:00:00.5"],
    ["TIMESTAMP", "2026-01-15 10:00:00.000001", "2026-01-15 10:00:00.000001"],
    ["TIMESTAMP", "2026-01-15T01:30:00+02:00", "2026-01-14 23:30:00"],
    ["TIMESTAMP", "2026-01-15", "2026-01-15 00:00:00"],
    ["TIMESTAMP", "0099-12-31 23:59", "0099-12-31 23:59:00"],
  ])("%s %s is %s, in DuckDB too", async (name, written, canonical) => {
    const type = await typeOf(name);
    const value = keyValue("c", type, written);
    expect(value).toBe(canonical);
    const [row] = (await sql.runAndReadAll(`SELECT (${keyLiteral(type, value)})::VARCHAR`)).getRowsJson();
    expect(storedValue(type, row?.[0] as string)).toBe(canonical);
  });

  test.each([
    ["BIGINT", "1.0"],
    ["BIGINT", "9223372036854775808"],
    ["BIGINT", ""],
    ["UBIGINT", "-1"],
    ["TINYINT", "128"],
    ["DECIMAL(10, 2)", "1.005"],
    ["DECIMAL(10, 2)", "123456789"],
    ["DECIMAL(10, 2)", "1e2"],
    ["DOUBLE", "nan"],
    ["DOUBLE", "1e999"],
    ["BOOLEAN", "TRUE"],
    ["DATE", "2026-02-29"],
    ["DATE", "2026-01-15T00:00:00Z"],
    ["UUID", "abc"],
    ["TIMESTAMP", "2026-02-30T00:00:00Z"],
    ["TIMESTAMP", "2026-01-15T24:00:01Z"],
    ["TIMESTAMP", "2026-01-15T10:00:00.0000001Z"],
    ["TIMESTAMP", "2026-01-15T10:00:00 02:00"],
    ["TIMESTAMP", "now"],
  ])("%s takes no %s", async (name, written) => {
    const type = await typeOf(name);
    expect(() => keyValue("c", type, written)).toThrow(
      expect.objectContaining({ code: "lookup_invalid", where: "c" }),
    );
  });

  test.each(["VARCHAR", "BIGINT", "DECIMAL(9, 3)", "DOUBLE", "TIMESTAMP", "BOOLEAN"])(
    "%s sorts as in DuckDB",
    async (name) => {
      const type = await typeOf(name);
      const written: Record<string, fc.Arbitrary<string>> = {
        VARCHAR: fc.oneof(
          fc.string({ unit: "grapheme", maxLength: 3 }),
          fc.constantFrom("\uFFFF", "😀", "a", "B"),
        ),
        BIGINT: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
        "DECIMAL(9, 3)": fc.integer({ min: -999_999, max: 999_999 }).map((n) => (n / 1000).toFixed(3)),
        DOUBLE: fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
        TIMESTAMP: fc
          .tuple(fc.date({ min: new Date(0), max: new Date("2100-01-01"), noInvalidDate: true }), fc.nat(3))
          .map(([at, n]) => at.toISOString().slice(0, 19) + ["", ".5", ".05", ".123456"][n]),
        BOOLEAN: fc.constantFrom("true", "false"),
      };
      const values = fc.sample(written[name] ?? fc.constant(""), 200).filter((one) => !one.includes("\0"));
      const canonical = [...new Set(values.map((one) => keyValue("c", type, one)))];
      const list = [null, ...canonical].map((value) => `(${keyLiteral(type, value)})`).join(", ");
      const query = `SELECT c::VARCHAR FROM (VALUES ${list}) t(c) ORDER BY c NULLS FIRST`;
      const sorted = (await sql.runAndReadAll(query))
        .getRowsJson()
        .map(([c]) => storedValue(type, c as string | null));
      expect([null, ...canonical].sort((a, b) => compareValues(type, a, b))).toEqual(sorted);
    },
  );
});
