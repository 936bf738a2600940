import * as fc from "fast-check";
import { expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { joinedProject } from "./order-free/joined-project.fixture.ts";
import { joinedRecords } from "./order-free/joined-records.fixture.ts";
import { arrangementOf, arrangementSeed } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: joinedRecords, one: arrangementSeed, other: arrangementSeed });

// See joined.long.test.ts for more cases, and for the defects that this property finds.
test("enriched and derived tables are a function of the set of records", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      const first = await run(joinedProject, records, arrangementOf(one));
      expect(await run(joinedProject, records, arrangementOf(other))).toEqual(first);
    }),
    { numRuns: 2, endOnFailure: process.env["SHRINK"] === undefined },
  );
});
