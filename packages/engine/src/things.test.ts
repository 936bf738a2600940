import * as fc from "fast-check";
import { expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { arrangementOf, arrangementSeed } from "./order-free/records.fixture.ts";
import { thingsProject } from "./order-free/things-project.fixture.ts";
import { thingsRecords } from "./order-free/things-records.fixture.ts";

const cases = fc.record({ records: thingsRecords, one: arrangementSeed, other: arrangementSeed });

// More cases are in things.long.test.ts; defects of single statements are looked for beside the compiler, in entity.long.test.ts.
test("entities and their histories are a function of the set of records", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      const first = await run(thingsProject, records, arrangementOf(one));
      expect(await run(thingsProject, records, arrangementOf(other))).toEqual(first);
    }),
    { numRuns: 2, endOnFailure: process.env["SHRINK"] === undefined },
  );
});
