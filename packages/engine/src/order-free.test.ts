import * as fc from "fast-check";
import { expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { measuredProject } from "./order-free/project.fixture.ts";
import { arrangementOf, arrangementSeed, recordSets } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: recordSets, one: arrangementSeed, other: arrangementSeed });

// A failing case is shrunk only on demand: every step of it runs two engines. See order-free.long.test.ts for more cases and
// for the defects that this property finds.
test("tables are a function of the set of records", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      expect(await run(measuredProject, records, arrangementOf(other))).toEqual(
        await run(measuredProject, records, arrangementOf(one)),
      );
    }),
    { numRuns: 3, endOnFailure: process.env["SHRINK"] === undefined },
  );
});
