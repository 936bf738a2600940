import * as fc from "fast-check";
import { expect, test } from "vitest";
import { escapePointer, jsonPointer, parsePointer } from "./pointer.ts";

test("pointers are those of RFC 6901 section 5", () => {
  const document: [string[], string][] = [
    [[], ""],
    [["foo", "0"], "/foo/0"],
    [[""], "/"],
    [["a/b"], "/a~1b"],
    [["c%d"], "/c%d"],
    [['k"l'], '/k"l'],
    [[" "], "/ "],
    [["m~n"], "/m~0n"],
    [["~1"], "/~01"],
  ];
  for (const [steps, pointer] of document) {
    expect(jsonPointer(steps)).toBe(pointer);
    expect(parsePointer(pointer)).toEqual(steps);
  }
  expect(jsonPointer(["items", 3])).toBe("/items/3");
  expect(escapePointer("~/")).toBe("~0~1");
});

test("every list of steps survives the way there and back", () => {
  const step = fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom("~", "/", "0", "1", "a") }));
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      expect(parsePointer(jsonPointer(steps))).toEqual(steps);
    }),
  );
});

test("what is no pointer is none", () => {
  for (const text of ["a", "#/a", "/a~", "/a~2", "~0"]) expect(parsePointer(text)).toBeUndefined();
});
