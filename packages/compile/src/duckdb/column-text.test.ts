import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { Type, changeContract, date, decimal, nullable, timestamp } from "@weir/contract";
import { entityRows } from "@weir/testkit";
import { beforeAll, expect, test } from "vitest";
import { entity } from "../entity-builder.ts";
import { entityType } from "../entity-model.ts";
import { columnValue } from "./column-text.ts";
import { cleanRecord } from "./entity.fixture.ts";

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  await connection.run("SET TimeZone = 'UTC'");
});

const columns = {
  text: Type.String({ maxLength: 1 }),
  int: Type.Integer(),
  double: nullable(Type.Number()),
  money: decimal({ precision: 6, scale: 2 }),
  whole: decimal({ precision: 4, scale: 0 }),
  flag: Type.Boolean(),
  at: timestamp(),
  day: date(),
  bytes: Type.String({ contentEncoding: "base64" }),
  hex: Type.String({ contentEncoding: "base16" }),
  ints: Type.Array(Type.Integer()),
  texts: Type.Array(Type.String()),
  json: Type.Unknown(),
  object: Type.Object({ a: Type.Integer() }),
};

/** Column, what the source sent, and its value in DuckDB's words: NULL where it does not fit. */
const cases: readonly [keyof typeof columns, unknown, string | null][] = [
  ["text", "longer than its schema says", "longer than its schema says"],
  ["text", 5, "5"],
  ["text", { a: [1] }, '{"a":[1]}'],
  ["int", "9223372036854775807", "9223372036854775807"],
  ["int", "9223372036854775808", null],
  ["int", "-5", "-5"],
  ["int", "+5", "5"],
  ["int", 7, "7"],
  ["int", "5.00", "5"],
  ["int", "5.5", null],
  ["int", " 5", null],
  ["int", "1_000", null],
  ["int", "t", null],
  ["int", true, null],
  ["double", "1.5e3", "1500.0"],
  ["double", "NaN", "nan"],
  ["double", "-Infinity", "-inf"],
  ["double", "-0", "0.0"],
  ["double", 0.1, "0.1"],
  ["double", "1e999", null],
  ["double", "one", null],
  ["money", "1234.56", "1234.56"],
  ["money", "-0.5", "-0.50"],
  ["money", "0001234.5000", "1234.50"],
  ["money", 19.9, "19.90"],
  ["money", "1.239", null],
  ["money", "12345.00", null],
  ["money", "NaN", null],
  ["money", "Infinity", null],
  ["money", "$1.00", null],
  ["money", ".", null],
  ["whole", "42.000", "42"],
  ["whole", "42.1", null],
  ["flag", "t", "true"],
  ["flag", "f", "false"],
  ["flag", true, "true"],
  ["flag", "yes", null],
  ["at", "2026-01-01 10:00:00.123456+00", "2026-01-01 10:00:00.123456"],
  ["at", "2026-01-01 10:00:00+05:30", "2026-01-01 04:30:00"],
  ["at", "2026-01-01 10:00:00-03", "2026-01-01 13:00:00"],
  ["at", "1900-01-01 10:00:00+01:02:03", "1900-01-01 08:57:57"],
  ["at", "2026-01-01 10:00:00", "2026-01-01 10:00:00"],
  ["at", "2026-01-01T10:00:00Z", "2026-01-01 10:00:00"],
  ["at", "2026-01-01T10:00:00.000+0000", "2026-01-01 10:00:00"],
  ["at", "0044-03-15 10:00:00+00 BC", "0044-03-15 (BC) 10:00:00"],
  ["at", "12026-01-01 10:00:00+00", "12026-01-01 10:00:00"],
  ["at", "infinity", null],
  ["at", "2026-02-30 10:00:00+00", null],
  ["at", "2026-01-01", null],
  ["at", "2026-01-01 10:00:00 Europe/Berlin", null],
  ["at", 1767225600, null],
  ["day", "2026-02-28", "2026-02-28"],
  ["day", "0001-01-01 BC", "0001-01-01 (BC)"],
  ["day", "2026-02-29", null],
  ["day", "infinity", null],
  ["day", "2026-01-01 00:00:00", null],
  ["bytes", "\\x00fFAb", "\\x00\\xFF\\xAB"],
  ["bytes", "AP+r", "\\x00\\xFF\\xAB"],
  ["bytes", "\\x0", null],
  ["bytes", "AP+", null],
  ["bytes", "", ""],
  ["hex", "00ff", "\\x00\\xFF"],
  ["hex", "xyz", null],
  ["ints", "{1,2,NULL}", "[1, 2, NULL]"],
  ["ints", [1, null], "[1, NULL]"],
  ["ints", "{}", "[]"],
  ["ints", "{1,x}", null],
  ["ints", "{{1},{2}}", null],
  ["ints", "[0:1]={1,2}", null],
  ["ints", "1", null],
  ["texts", String.raw`{a b,"c,\"d\\","NULL",null}`, String.raw`[a b, 'c,"d\\', 'NULL', NULL]`],
  ["json", '{"a": 1}', '{"a": 1}'],
  ["json", { a: 1 }, '{"a":1}'],
  ["json", "no json", '"no json"'],
  ["object", '{"a": "not what the schema says"}', '{"a": "not what the schema says"}'],
];

const db = changeContract("db");
const spec = entity({ from: "db.t", key: "id", columns });

test.each(cases)("%s: %j is %j", async (column, sent, value) => {
  const type = entityType(spec.columns[column] ?? {});
  const text = typeof sent === "string" ? sent : JSON.stringify(sent);
  const prepared = await connection.prepare(
    `SELECT CAST(${columnValue("t", type)} AS VARCHAR) FROM (SELECT $1::VARCHAR AS t)`,
  );
  prepared.bindVarchar(1, text);
  const rows = (await prepared.runAndReadAll()).getRows();
  expect(rows[0]?.[0]).toEqual(value);
  const change = {
    id: "1",
    at: "2026-01-01T00:00:00Z",
    stream: "t",
    op: "insert",
    key: '["1"]',
    version: "1",
  };
  const { current } = entityRows(spec, [cleanRecord(db, { ...change, row: { id: "1", [column]: sent } })]);
  expect(current[0]?.misfit, "to the oracle").toEqual(value === null ? [column] : []);
});

test("NULL is NULL of every type", async () => {
  for (const column of Object.keys(columns)) {
    const sql = columnValue("t", entityType(spec.columns[column] ?? {}));
    const reader = await connection.runAndReadAll(`SELECT ${sql} FROM (SELECT NULL::VARCHAR AS t)`);
    expect(reader.getRows()).toEqual([[null]]);
  }
});
