import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { defects } from "./order-free/defects.fixture.ts";
import { arrangementOf, arrangementSeed, recordSets } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: recordSets, one: arrangementSeed, other: arrangementSeed });

// A failing case is shrunk only on demand: every step of it runs two engines.
const endOnFailure = process.env["SHRINK"] === undefined;

test("tables are a function of the set of records", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      expect(await run(records, arrangementOf(other))).toEqual(await run(records, arrangementOf(one)));
    }),
    { numRuns: 8, endOnFailure },
  );
});

describe("a defect is found out", () => {
  test.each(Object.entries(defects))("%s", { timeout: 300_000 }, async (_, defect) => {
    const property = fc.asyncProperty(cases, async ({ records, one }) => {
      await run(records, arrangementOf(one), defect);
    });
    const { failed } = await fc.check(property, { numRuns: 12, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
