import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dateDays, instantUs } from "./instants.ts";

test("instants that JavaScript has are those of JavaScript", () => {
  const days = fc.date({ noInvalidDate: true, min: new Date("0001-01-01"), max: new Date("9999-12-31") });
  fc.assert(
    fc.property(days, (date) => {
      expect(instantUs(date.toISOString())).toBe(BigInt(date.getTime()) * 1000n);
      expect(dateDays(date.toISOString().slice(0, 10))).toBe(BigInt(Math.floor(date.getTime() / 86_400_000)));
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ["1970-01-01T00:00:00Z", 0n],
  ["1970-01-01T00:00:00.0000019Z", 1n],
  ["1969-12-31T23:59:59.9999999Z", -1n],
  ["1970-01-01t01:00:00+01:00", 0n],
  ["1969-12-31T23:59:60Z", 0n],
  ["0000-03-01T00:00:00Z", -62162035200000000n],
  ["0000-01-01T00:00:00+00:01", -62167219260000000n],
])("%s", (text, us) => {
  expect(instantUs(text)).toBe(us);
});
