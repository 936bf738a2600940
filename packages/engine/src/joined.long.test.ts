import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { joinedDefects } from "./order-free/joined-defects.fixture.ts";
import { joinedProject } from "./order-free/joined-project.fixture.ts";
import { joinedRecords } from "./order-free/joined-records.fixture.ts";
import { arrangementOf, arrangementSeed } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: joinedRecords, one: arrangementSeed, other: arrangementSeed });

test("enriched and derived tables are a function of the set of records, in a hundred cases", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      const first = await run(joinedProject, records, arrangementOf(one));
      expect(await run(joinedProject, records, arrangementOf(other))).toEqual(first);
    }),
    { numRuns: 100, endOnFailure: true },
  );
});

describe("a defect is found out", () => {
  test.each(Object.entries(joinedDefects))("%s", async (_, defect) => {
    const property = fc.asyncProperty(cases, async ({ records, one }) => {
      await run(joinedProject, records, arrangementOf(one), defect);
    });
    const { errorInstance } = await fc.check(property, { numRuns: 100, endOnFailure: true });
    // Wrong tables, not statements that fail.
    expect(errorInstance).toHaveProperty("name", "AssertionError");
  });
});
