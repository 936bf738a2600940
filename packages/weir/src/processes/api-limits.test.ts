import type { Caller } from "@weir/govern";
import { localCaller } from "@weir/govern";
import { expect, test } from "vitest";
import { ApiLimits, checkApiLimits } from "./api-limits.ts";

const ann: Caller = { name: "ann", role: "analyst" };
const bob: Caller = { name: "bob", role: "analyst" };
const root: Caller = { name: "root", role: "admin" };

test("each token has its role's requests a second, and is told when it may ask again", () => {
  let nowMs = 0;
  const limits = new ApiLimits({ analyst: { perSecond: 2 } }, () => nowMs);
  const ask = (caller: Caller): number => {
    try {
      limits.request(caller);
      return 0;
    } catch (error) {
      expect(error).toMatchObject({ code: "rate_limited" });
      return (error as { waitMs: number }).waitMs;
    }
  };
  expect([ask(ann), ask(ann), ask(ann), ask(ann)]).toEqual([0, 0, 500, 500]);
  expect([ask(bob), ask(root), ask(localCaller)]).toEqual([0, 0, 0]);
  nowMs = 500;
  expect([ask(ann), ask(ann)]).toEqual([0, 500]);
  for (let i = 0; i < 10_000; i++) expect(ask(root) + ask(localCaller)).toBe(0);
});

test("queries at once, whatever becomes of them", async () => {
  const limits = new ApiLimits({ analyst: { queries: 2 } });
  let end = (): void => undefined;
  const ending = new Promise<void>((resolve) => (end = resolve));
  const first = limits.query(ann, () => ending);
  const second = limits.query(ann, () => ending.then(() => Promise.reject(new Error("it failed"))));
  await expect(limits.query(ann, () => Promise.resolve(1))).rejects.toMatchObject({
    code: "rate_limited",
    waitMs: 1000,
  });
  expect(await limits.query(bob, () => Promise.resolve(1))).toBe(1);
  end();
  await first;
  await expect(second).rejects.toThrow("it failed");
  expect(await limits.query(ann, () => Promise.resolve(2))).toBe(2);
});

test("limits that mean nothing are refused", () => {
  const wrong = { code: "project_invalid" };
  for (const limits of [
    { analyst: { perSecond: 0 } },
    { analyst: { persecond: 5 } },
    { analysts: { queries: 1 } },
  ])
    expect(() => checkApiLimits(limits as never)).toThrowError(expect.objectContaining(wrong) as Error);
  checkApiLimits({ analyst: { perSecond: 0.5 }, admin: { queries: 1 } });
});
