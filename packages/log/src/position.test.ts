import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatPosition, maxSegmentNumber, parsePosition } from "./position.ts";

const name = fc.stringMatching(/^[a-z0-9_-]{1,64}$/);
const position = fc.record({
  source: name,
  writer: name,
  number: fc.integer({ min: 1, max: maxSegmentNumber }),
  line: fc.integer({ min: 1, max: 999_999_999_999_999 }),
});

test("a position reads back as it was written", () => {
  expect(formatPosition({ source: "web", writer: "c0", number: 42, line: 7 })).toBe("web/c0/000000000042:7");
  fc.assert(
    fc.property(position, (one) => {
      expect(parsePosition(formatPosition(one))).toEqual(one);
    }),
  );
});

test("what is no position is refused", () => {
  const wrong = [
    "",
    "web/c0/42:7",
    "web/c0/000000000042",
    "web/c0/000000000000:1",
    "web/c0/000000000042:0",
    "a/b/c/000000000042:7",
  ];
  for (const text of [...wrong, "Web/c0/000000000042:7", "web/c0/000000000042:7\n"]) {
    expect(() => parsePosition(text), text).toThrow(
      expect.objectContaining({ code: "log_invalid_position" }),
    );
  }
});
