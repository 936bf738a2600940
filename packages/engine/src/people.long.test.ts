import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { peopleDefects } from "./order-free/people-defects.fixture.ts";
import { peopleProject } from "./order-free/people-project.fixture.ts";
import { peopleRecords } from "./order-free/people-records.fixture.ts";
import { arrangementOf, arrangementSeed } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: peopleRecords, one: arrangementSeed, other: arrangementSeed });

test("persons and tables by person are a function of the set of records, in a hundred cases", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      const first = await run(peopleProject, records, arrangementOf(one));
      expect(await run(peopleProject, records, arrangementOf(other))).toEqual(first);
    }),
    { numRuns: 100, endOnFailure: true },
  );
});

describe("a defect is found out", () => {
  test.each(Object.entries(peopleDefects))("%s", async (_, defect) => {
    const property = fc.asyncProperty(cases, async ({ records, one }) => {
      await run(peopleProject, records, arrangementOf(one), defect);
    });
    const { errorInstance } = await fc.check(property, { numRuns: 100, endOnFailure: true });
    // Wrong tables, not statements that fail.
    expect(errorInstance).toHaveProperty("name", "AssertionError");
  });
});
