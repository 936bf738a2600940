import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Timeline } from "./timeline.ts";

test("things come out by time, and in the order they went in where times are equal", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
      const timeline = new Timeline<{ at: number; i: number }>();
      for (const [i, at] of times.entries()) timeline.add(at, { at, i });
      const taken = [];
      for (let next = timeline.take(Infinity); next !== undefined; next = timeline.take(Infinity))
        taken.push(next);
      expect(taken).toEqual(times.map((at, i) => ({ at, i })).sort((a, b) => a.at - b.at || a.i - b.i));
    }),
  );
});

test("nothing comes out before its time", () => {
  const timeline = new Timeline<string>();
  timeline.add(10, "ten");
  expect(timeline.take(9)).toBeUndefined();
  expect(timeline.take(10)).toBe("ten");
});
