import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { measuredProject } from "./order-free/project.fixture.ts";
import { defects } from "./order-free/defects.fixture.ts";
import { arrangementOf, arrangementSeed, recordSets } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: recordSets, one: arrangementSeed, other: arrangementSeed });

test("tables are a function of the set of records, in a hundred cases", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      expect(await run(measuredProject, records, arrangementOf(other))).toEqual(
        await run(measuredProject, records, arrangementOf(one)),
      );
    }),
    { numRuns: 100, endOnFailure: true },
  );
});

describe("a defect is found out", () => {
  test.each(Object.entries(defects))("%s", async (_, defect) => {
    const property = fc.asyncProperty(cases, async ({ records, one }) => {
      await run(measuredProject, records, arrangementOf(one), defect);
    });
    const { failed } = await fc.check(property, { numRuns: 200, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
