import * as fc from "fast-check";
import { describe, test } from "vitest";
import { entityCases } from "./entity-cases.fixture.ts";
import { cutArrangements, cutHolds } from "./entity-prune.fixture.ts";

// See entity-prune.long.test.ts for more cases and for the defects that this finds.
describe("a history that is cut off shows from the border on what all records give, whatever comes yet", () => {
  test.each(Object.entries(entityCases))("%s", async (_, one) => {
    await fc.assert(
      fc.asyncProperty(cutArrangements(one.records), (steps) => cutHolds(one, steps)),
      { numRuns: 1, endOnFailure: process.env["SHRINK"] === undefined },
    );
  });
});
