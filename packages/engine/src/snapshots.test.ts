import { afterAll, beforeAll, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import { program } from "./serve/serving.fixture.ts";

const harness = new Harness();
beforeAll(() => harness.open(program));
afterAll(() => harness.end());

/** Runs until it is interrupted. */
const endless = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b";

test("ten queries run, others wait their turn and no longer than they may, and beyond a thousand they are refused", async () => {
  const running = Array.from({ length: 10 }, () => harness.engine.query(endless, { timeoutMs: 3_000 }));
  const ended = Promise.allSettled(running);
  await expect(harness.engine.query("SELECT 1", { timeoutMs: 50 })).rejects.toThrow(
    expect.objectContaining({
      code: "query_timeout",
      message: "The query waited for 50 ms for others to end.",
    }),
  );
  const waiting = Array.from({ length: 1_000 }, (_, i) => harness.engine.query(`SELECT ${i}`));
  await expect(harness.engine.query("SELECT 1")).rejects.toThrow(
    expect.objectContaining({ code: "queries_overloaded" }),
  );
  for (const { status, ...rest } of await ended) {
    expect([status, rest]).toMatchObject(["rejected", { reason: { code: "query_timeout" } }]);
  }
  const answers = await Promise.all(waiting);
  expect(answers.map(({ rows }) => rows[0]?.[0])).toEqual(Array.from({ length: 1_000 }, (_, i) => i));
});
