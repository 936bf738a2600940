import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { rawArray, rawItems, rawMembers, rawObject } from "./raw-json.ts";

describe("members and items as text", () => {
  test("keep every character of numbers and strings", () => {
    expect(rawMembers(String.raw`{"a":12345678901234567890.10,"\u0062":"}\",","":[1e400,{"x":[]}]}`)).toEqual(
      [
        { name: "a", value: "12345678901234567890.10" },
        { name: "b", value: String.raw`"}\","` },
        { name: "", value: '[1e400,{"x":[]}]' },
      ],
    );
    expect(rawItems('[[],{},"]",-0.0]')).toEqual(["[]", "{}", '"]"', "-0.0"]);
    expect([rawMembers("{}"), rawItems("[]")]).toEqual([[], []]);
  });

  test("put together again are the same text", () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        const text = JSON.stringify(JSON.parse(json));
        if (text.startsWith("{")) expect(rawObject(rawMembers(text))).toBe(text);
        if (text.startsWith("[")) expect(rawArray(rawItems(text))).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });
});
