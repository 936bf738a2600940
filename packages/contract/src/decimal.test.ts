import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalDecimal, compareDecimals, decimalTest } from "./decimal.ts";
import type { DecimalRule } from "./decimal.ts";

/**
 * The oracle: a decimal as an integer of units of 10^-400, by BigInt alone. Written from the documentation of the keyword, without
 * looking at digits the way the code does: so many units fit DECIMAL(p, s) when they are a multiple of 10^-s and below 10^(p-s).
 */
const unitDigits = 400n;

function units(value: unknown): bigint | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? numberUnits(value) : undefined;
  if (typeof value !== "string") return undefined;
  const parts = value.replace(/^-/, "").split(".");
  const isPlain =
    parts.length <= 2 &&
    parts.every((part) => part.length > 0 && Array.from(part).every((c) => "0123456789".includes(c)));
  if (!isPlain) return undefined;
  const fraction = parts[1] ?? "";
  const size = BigInt(parts.join("")) * 10n ** (unitDigits - BigInt(fraction.length));
  return value.startsWith("-") ? -size : size;
}

function numberUnits(value: number): bigint {
  const [mantissa = "", exponent = "0"] = value.toExponential().split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  return BigInt(whole + fraction) * 10n ** (unitDigits + BigInt(exponent) - BigInt(fraction.length));
}

function oracle(rule: DecimalRule, value: unknown): boolean {
  const size = units(value);
  if (size === undefined) return false;
  const magnitude = size < 0n ? -size : size;
  const step = 10n ** (unitDigits - BigInt(rule.scale));
  const limit = 10n ** (unitDigits + BigInt(rule.precision - rule.scale));
  const { minimum, maximum } = rule;
  return (
    magnitude % step === 0n &&
    magnitude < limit &&
    (minimum === undefined || size >= (units(minimum) ?? 0n)) &&
    (maximum === undefined || size <= (units(maximum) ?? 0n))
  );
}

const digits = (maxLength: number) =>
  fc.string({ unit: fc.constantFrom("0", "0", "1", "2", "3", "4", "5", "9"), maxLength });
const text = fc
  .tuple(fc.constantFrom("", "", "-", "+"), digits(42), fc.constantFrom("", ".", ".."), digits(42))
  .map((parts) => parts.join(""));
const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.integer({ min: -1e6, max: 1e6 }).map((n) => n / 100),
  fc.constantFrom(
    0,
    -0,
    1e21,
    1e-7,
    5e-324,
    1.7976931348623157e308,
    2 ** 53 + 2,
    0.1 + 0.2,
    123456789012345680000,
  ),
);
const value = fc.oneof(
  text,
  text,
  number,
  number.map(String),
  fc.constantFrom(null, true, [], {}, "1e2", " 1", "1 ", "1\n", "٣"),
);
const rule = fc
  .integer({ min: 1, max: 38 })
  .chain((precision) =>
    fc.record(
      { precision: fc.constant(precision), scale: fc.nat(precision), minimum: text, maximum: text },
      { requiredKeys: ["precision", "scale"] },
    ),
  )
  .map(({ minimum, maximum, ...rest }): DecimalRule => {
    const least = canonicalDecimal(minimum);
    const greatest = canonicalDecimal(maximum);
    return {
      ...rest,
      ...(least === undefined ? {} : { minimum: least }),
      ...(greatest === undefined ? {} : { maximum: greatest }),
    };
  });

describe("decimal", () => {
  test("accepts what an independent count of units accepts", () => {
    let accepted = 0;
    fc.assert(
      fc.property(rule, value, (rule, value) => {
        const expected = oracle(rule, value);
        accepted += expected ? 1 : 0;
        expect(decimalTest(rule)(value)).toBe(expected);
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });

  test("counts neither leading nor trailing zeros", () => {
    const fits = decimalTest({ precision: 5, scale: 2 });
    const good = [
      "0",
      "-0",
      "00000000123.4500000",
      "999.99",
      "-999.99",
      999.99,
      1e2,
      1.5e-1,
      0,
      -0,
      "-0.00",
      12.3,
    ];
    const bad = [
      "1000",
      "0.001",
      "1.234",
      1000,
      1e-3,
      1e21,
      5e-324,
      NaN,
      Infinity,
      "",
      "-",
      ".5",
      "5.",
      "+1",
      "1e2",
      "1_0",
      " 1",
      "0x1",
      "--1",
    ];
    expect(good.filter((value) => !fits(value))).toEqual([]);
    expect(bad.filter(fits)).toEqual([]);
  });

  test("takes a number as its shortest decimal form, not as the double it is", () => {
    // The double nearest 0.1 is 0.1000000000000000055...; nobody who writes 0.1 means that.
    expect(decimalTest({ precision: 2, scale: 1 })(0.1)).toBe(true);
    expect(decimalTest({ precision: 17, scale: 16 })(0.1 + 0.2)).toBe(false);
    expect(decimalTest({ precision: 18, scale: 17 })(0.1 + 0.2)).toBe(true);
    // Integers beyond 2^53 have the digits of their shortest form too.
    expect(canonicalDecimal(Number("12345678901234567890"))).toBe("12345678901234567000");
  });

  test("bounds are inclusive and exact", () => {
    const fits = decimalTest({
      precision: 38,
      scale: 20,
      minimum: "-0.5",
      maximum: "0.30000000000000000001",
    });
    expect(["-0.5", "0.3", 0.3, "0.30000000000000000001", -0.5].every(fits)).toBe(true);
    expect(["-0.50000000000000000001", "0.30000000000000000002", "1", -1].some(fits)).toBe(false);
  });

  test("order is numeric", () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        const [left, right] = [units(a), units(b)];
        const expected =
          left === undefined || right === undefined ? NaN : Number(left > right) - Number(left < right);
        expect(Math.sign(compareDecimals(a, b))).toBe(expected);
      }),
      { numRuns: 5000 },
    );
  });

  test("a long run of zeros costs one pass", () => {
    const zeros = "0".repeat(1_000_000);
    const started = performance.now();
    expect(canonicalDecimal(`${zeros}1.${zeros}1`)).toHaveLength(1_000_003);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});
