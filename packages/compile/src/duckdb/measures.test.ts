import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import { exactSum } from "@weir/testkit";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { sum } from "../measure.ts";
import { measureMacros, measureSql } from "./measures.ts";

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  for (const macro of measureMacros) await connection.run(macro);
  await connection.run("CREATE TABLE records (batch INTEGER, a0 DOUBLE)");
});

const state = measureSql("m", sum("x"), { kind: "number", bounds: {}, exact: true }, "a0", false);
const columns = state.columns.map(({ name, ofRecords }) => `${ofRecords} AS "${name}"`).join(", ");

/** The sum of numbers that come in batches: merged as sessions merge states, and as rollups do. */
async function sums(batches: readonly (readonly number[])[]): Promise<(number | null)[]> {
  await connection.run("DELETE FROM records");
  const appender = await connection.createAppender("records");
  for (const [batch, numbers] of batches.entries()) {
    for (const value of numbers) {
      appender.appendInteger(batch);
      appender.appendDouble(value);
      appender.endRow();
    }
  }
  appender.closeSync();
  const states = `SELECT batch, ${columns} FROM records GROUP BY batch`;
  const ofStates = state.columns.map(({ name, ofStates }) => `${ofStates} AS "${name}"`).join(", ");
  const merged = state.columns.map(({ name, merged }) => `${merged} AS "${name}"`).join(", ");
  const queries = [
    `SELECT ${columns} FROM records`,
    `SELECT ${ofStates} FROM (${states})`,
    `SELECT ${merged} FROM (SELECT ${columns} FROM records WHERE batch = 0) t,
      (SELECT ${columns} FROM records WHERE batch > 0) s`,
  ];
  const found: (number | null)[] = [];
  for (const query of queries) {
    const reader = await connection.runAndReadAll(`SELECT ${state.value} FROM (${query})`);
    found.push(reader.getRows()[0]?.[0] as number | null);
  }
  return found;
}

const edges = [
  0.1, 0.2, -0.3, 1, 1e16, -1e16, 5e-324, 2.2250738585072014e-308, 2.225073858507201e-308, 1e300, -1e300,
];
const powers = fc
  .tuple(fc.integer({ min: -1074, max: 1023 }), fc.constantFrom(1, -1))
  .map(([e, sign]) => sign * 2 ** e);
const double = fc.oneof(
  fc.constantFrom(
    ...edges,
    0.0009765625,
    0.0009765624999999999,
    16777215,
    16777215.000000002,
    2 ** 1023,
    2 ** 53,
  ),
  powers,
  powers.map((power) => power * (1 + Number.EPSILON)),
  powers.map((power) => power * (1 - Number.EPSILON / 2)),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.double({ noNaN: true, min: -1e9, max: 1e9 }),
);
/** Numbers of which many cancel out, so that little is left of what was large. */
const numbers = fc
  .array(double, { minLength: 1, maxLength: 12 })
  .chain((some) => fc.subarray(some).map((taken) => [...some, ...taken.map((value) => -value)]));

describe("sums of doubles", () => {
  test("are exact and rounded once, however they were batched", async () => {
    await fc.assert(
      fc.asyncProperty(numbers, fc.nat(24), async (values, cut) => {
        const expected = exactSum(values);
        const found = await sums([values.slice(0, cut), values.slice(cut)]);
        expect(found).toEqual([expected, expected, expected]);
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    [[2 ** 92, 2 ** 38, -(2 ** 92)], 2 ** 38],
    [[2 ** 53, 1, 2 ** -60], 2 ** 53 + 2],
    [[-(2 ** 53), -1, -(2 ** -60)], -(2 ** 53) - 2],
    [[2 ** 53, 1], 2 ** 53],
    [[1e300, 1, -1e300], 1],
    [[-1e300, -5e-324, 1e300], -5e-324],
    [[2 ** 1023, 2 ** 1023, -(2 ** 1023)], 2 ** 1023],
    [[Number.MAX_VALUE, Number.MAX_VALUE], Infinity],
    [[-0, -0], 0],
  ])("%j is %d", async (values, sum) => {
    expect(await sums([values, []])).toEqual([sum, sum, sum]);
  });

  test("of no number are NULL", async () => {
    expect(await sums([])).toEqual([null, null, null]);
  });

  test("of many numbers do not overflow", async () => {
    const many = Array.from({ length: 20_000 }, (_, i) => (i % 2 === 0 ? 16777215 : 3.9e91));
    const expected = exactSum(many);
    expect(await sums([many.slice(0, 7), many.slice(7)])).toEqual([expected, expected, expected]);
  });
});
