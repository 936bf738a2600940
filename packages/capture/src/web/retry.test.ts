import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Passing, retryAfterMs, retrying } from "./retry.ts";

const options = (sleeps: number[], random = () => 0.5) => ({
  clock: {
    now: () => 0,
    sleep: (ms: number) => {
      sleeps.push(ms);
      return Promise.resolve();
    },
  },
  signal: new AbortController().signal,
  random,
  attempts: 5,
  firstMs: 100,
  longestMs: 300,
});

test("what passes is tried again, with delays that grow up to a bound, and then thrown", async () => {
  const sleeps: number[] = [];
  let tries = 0;
  const work = () => {
    tries++;
    return Promise.reject(new Passing(`try ${tries}`));
  };
  await expect(
    retrying(
      options(sleeps, () => 1),
      work,
    ),
  ).rejects.toThrow("try 5");
  expect(sleeps).toEqual([100, 200, 300, 300]);
});

test("delays are random from nothing up to the bound, and never shorter than the server asks for", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.option(fc.nat(5000)),
      async (random, asked) => {
        const sleeps: number[] = [];
        const work = (attempt: number) =>
          attempt === 1
            ? Promise.reject(new Passing("busy", asked === null ? {} : { afterMs: asked }))
            : Promise.resolve("done");
        expect(
          await retrying(
            options(sleeps, () => random),
            work,
          ),
        ).toBe("done");
        expect(sleeps).toEqual([Math.max(random * 100, asked ?? 0)]);
      },
    ),
  );
});

test("what does not pass is thrown at once, and nothing is tried after the signal", async () => {
  const sleeps: number[] = [];
  await expect(retrying(options(sleeps), () => Promise.reject(new TypeError("no")))).rejects.toThrow("no");
  const abort = new AbortController();
  abort.abort();
  const work = () => Promise.reject(new Passing("busy"));
  await expect(retrying({ ...options(sleeps), signal: abort.signal }, work)).rejects.toThrow("busy");
  expect(sleeps).toEqual([]);
});

test.each([
  ["3", 3000],
  ["Thu, 01 Jan 1970 00:00:10 GMT", 9000],
  ["Thu, 01 Jan 1970 00:00:00 GMT", 0],
  ["soon", undefined],
])("Retry-After: %s", (value, ms) => {
  expect(retryAfterMs(new Headers({ "retry-after": value }), 1000)).toBe(ms);
});
