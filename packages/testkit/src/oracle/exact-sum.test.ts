import * as fc from "fast-check";
import { expect, test } from "vitest";
import { exactSum } from "./exact-sum.ts";

test.each<[number[], number]>([
  [[], 0],
  [[0.1, 0.2], 0.30000000000000004],
  [[1e300, 1, -1e300], 1],
  [[0.1, 0.2, 0.3, -0.6], 2.7755575615628914e-17],
  [[2 ** 53, 1], 2 ** 53],
  [[2 ** 53, 1, 2 ** -60], 2 ** 53 + 2],
  [[2 ** 53, 3], 2 ** 53 + 4],
  [[5e-324, 5e-324], 1e-323],
  [[2 ** 1023, -(2 ** 1023), 5e-324], 5e-324],
  [[Number.MAX_VALUE, Number.MAX_VALUE, -Number.MAX_VALUE], Number.MAX_VALUE],
  [[Number.MAX_VALUE, Number.MAX_VALUE], Infinity],
  [[-2.5, 1], -1.5],
])("%j is %d", (values, sum) => {
  expect(exactSum(values)).toBe(sum);
});

test("two numbers are added as IEEE 754 does", () => {
  const double = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(double, double, (a, b) => {
      expect(exactSum([a, b])).toBe(a + b + 0);
      expect(exactSum([a])).toBe(a + 0);
    }),
  );
});
