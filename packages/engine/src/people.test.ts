import * as fc from "fast-check";
import { expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { peopleProject } from "./order-free/people-project.fixture.ts";
import { peopleRecords } from "./order-free/people-records.fixture.ts";
import { arrangementOf, arrangementSeed } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: peopleRecords, one: arrangementSeed, other: arrangementSeed });

test("persons and tables by person are a function of the set of records", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      const first = await run(peopleProject, records, arrangementOf(one));
      expect(await run(peopleProject, records, arrangementOf(other))).toEqual(first);
    }),
    { numRuns: 2, endOnFailure: process.env["SHRINK"] === undefined },
  );
});
