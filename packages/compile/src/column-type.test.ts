import { describe, expect, test } from "vitest";
import { keepsValues } from "./column-type.ts";

describe("a column's type may change where values stay what they were", () => {
  test.each([
    ["BIGINT", "BIGINT"],
    ["DECIMAL(10, 2)", "DECIMAL(10, 2)"],
    ["DECIMAL(10, 2)", "DECIMAL(12, 4)"],
    ["DECIMAL(10, 2)[]", "DECIMAL(12, 2)[]"],
    ['STRUCT("a" BIGINT, "b c" VARCHAR)', 'STRUCT("b c" VARCHAR, "a" BIGINT, "d" DATE[])'],
    ['STRUCT("a" BIGINT, "b" VARCHAR)', 'STRUCT("b" VARCHAR)'],
    ['MAP(VARCHAR, STRUCT("a" DECIMAL(4, 2)))', 'MAP(VARCHAR, STRUCT("a" DECIMAL(5, 2), "b" JSON))'],
    ['STRUCT("a ""quoted"" name" BIGINT)', 'STRUCT("a ""quoted"" name" BIGINT, "x" JSON)'],
  ])("%s to %s", (from, to) => {
    expect(keepsValues(from, to)).toBe(true);
  });

  test.each([
    ["BIGINT", "DOUBLE"],
    ["BIGINT", "VARCHAR"],
    ["VARCHAR", "TIMESTAMP"],
    ["DECIMAL(10, 2)", "DECIMAL(10, 3)"],
    ["DECIMAL(10, 2)", "DECIMAL(9, 2)"],
    ["DECIMAL(10, 2)", "DECIMAL(12, 1)"],
    ["BIGINT[]", "BIGINT"],
    ["BIGINT[]", "BIGINT[][]"],
    ['STRUCT("a" BIGINT)', 'STRUCT("a" VARCHAR)'],
    ['STRUCT("a" BIGINT)', 'STRUCT("b" BIGINT)'],
    ['STRUCT("a" BIGINT)', "JSON"],
    ["MAP(VARCHAR, BIGINT)", "MAP(VARCHAR, DOUBLE)"],
  ])("not %s to %s", (from, to) => {
    expect(keepsValues(from, to)).toBe(false);
  });
});
