import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { failuresAfter, restartBackoff, restartDelayMs } from "./backoff.ts";

describe("restart backoff", () => {
  test("doubles from 100 ms", () => {
    expect([1, 2, 3, 4].map((n) => restartDelayMs(n))).toEqual([100, 200, 400, 800]);
  });

  test("never shrinks within a row of failures and never passes the cap", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e9 }), (failures) => {
        const delay = restartDelayMs(failures);
        expect(delay).toBeGreaterThanOrEqual(restartBackoff.firstMs);
        expect(delay).toBeLessThanOrEqual(restartBackoff.capMs);
        expect(restartDelayMs(failures + 1)).toBeGreaterThanOrEqual(delay);
      }),
    );
  });

  test("starts over after a process that worked long enough, and only then", () => {
    expect(failuresAfter(7, restartBackoff.resetMs)).toBe(1);
    expect(failuresAfter(7, restartBackoff.resetMs - 1)).toBe(8);
    expect(failuresAfter(0, 0)).toBe(1);
  });
});
