import * as fc from "fast-check";
import { expect, test } from "vitest";
import { erasedCases, runErased } from "./erase-order.fixture.ts";

// More cases, and the defects that this property finds, are in erase-order.long.test.ts.
test("whenever a person is erased, tables are those of the records without the person's", async () => {
  await fc.assert(
    fc.asyncProperty(erasedCases, async (one) => {
      await expect(runErased(one)).resolves.toBeUndefined();
    }),
    { numRuns: 4, endOnFailure: process.env["SHRINK"] === undefined },
  );
}, 300_000);
