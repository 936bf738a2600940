import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { entityCases } from "./entity-cases.fixture.ts";
import { cutArrangements, cutHolds, pruneDefects } from "./entity-prune.fixture.ts";

describe("a history that is cut off shows from the border on what all records give, in two hundred cases each", () => {
  test.each(Object.entries(entityCases))("%s", async (_, one) => {
    await fc.assert(
      fc.asyncProperty(cutArrangements(one.records), (steps) => cutHolds(one, steps)),
      { numRuns: 200, endOnFailure: process.env["SHRINK"] === undefined },
    );
  });
});

describe("a defect is found out", () => {
  test.each(Object.entries(pruneDefects))("%s", async (_, { of, defect }) => {
    const one = entityCases[of];
    if (one === undefined) throw new Error(`no case: ${of}`);
    const property = fc.asyncProperty(cutArrangements(one.records), (steps) => cutHolds(one, steps, defect));
    const { failed, errorInstance } = await fc.check(property, { numRuns: 400, endOnFailure: true });
    expect(failed).toBe(true);
    expect(String(errorInstance)).toContain("AssertionError");
  });
});
