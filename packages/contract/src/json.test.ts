import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson, cutJson, cutText } from "./json.ts";

describe("canonicalJson", () => {
  test("gives the texts of RFC 8785 section 3.2", () => {
    const value: unknown = JSON.parse(
      String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001,-0],` +
        String.raw`"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
    );
    expect(canonicalJson(value)).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27,0],` +
        String.raw`"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    );
  });

  test("sorts members by UTF-16 code units (section 3.2.3)", () => {
    const value = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\u{1f600}": 5, "\u0080": 6, "\u00f6": 7 };
    expect(canonicalJson(value)).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
    );
  });

  test("does not depend on member order, and parses back to the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        const json = JSON.stringify(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(json));
        expect(canonicalJson(reversed(value))).toBe(text);
      }),
    );
  });

  test("writes numbers beyond a double so that they parse back to themselves", () => {
    expect(JSON.parse(canonicalJson([Infinity, -Infinity]))).toEqual([Infinity, -Infinity]);
  });
});

describe("cutJson", () => {
  test("is the JSON text cut after so many code points", () => {
    const text = fc.oneof(fc.jsonValue(), fc.string({ unit: "grapheme", maxLength: 60 }));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 50 }), (value, limit) => {
        expect(cutJson(value, limit)).toBe(Array.from(JSON.stringify(value)).slice(0, limit).join(""));
      }),
    );
  });

  test("never splits a surrogate pair", () => {
    expect(cutJson("😀😀😀", 3)).toBe('"😀😀');
    expect(cutText("😀😀", 1)).toBe("😀");
    expect(cutText("ab", 2)).toBe("ab");
  });

  test("stops early: a deep value costs as much as its cut text", () => {
    let reads = 0;
    const endless: unknown = new Proxy([], {
      get: (target, name) => {
        if (name === "length") return 1;
        if (name === "0") {
          reads++;
          return endless;
        }
        return Reflect.get(target, name) as unknown;
      },
    });
    expect(cutJson(endless, 10)).toBe("[[[[[[[[[[");
    expect(reads).toBeLessThan(50);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, reversed(member)]),
  );
}
