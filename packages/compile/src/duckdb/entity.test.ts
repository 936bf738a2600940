import * as fc from "fast-check";
import { describe, test } from "vitest";
import { arrangements, entityCases, holds } from "./entity-cases.fixture.ts";

// A failing case is shrunk only on demand. See entity.long.test.ts for more cases and for the defects that this finds.
describe("an entity is the fold of its records in the order of versions, however they come", () => {
  test.each(Object.entries(entityCases))("%s", async (_, one) => {
    await fc.assert(
      fc.asyncProperty(arrangements(one.records), (batches) => holds(one, batches)),
      { numRuns: 6, endOnFailure: process.env["SHRINK"] === undefined },
    );
  });
});
