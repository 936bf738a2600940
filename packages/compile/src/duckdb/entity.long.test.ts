import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { arrangements, entityCases, holds } from "./entity-cases.fixture.ts";
import { entityDefects } from "./entity-defects.fixture.ts";

describe("an entity is the fold of its records in the order of versions, in two hundred cases each", () => {
  test.each(Object.entries(entityCases))("%s", async (_, one) => {
    await fc.assert(
      fc.asyncProperty(arrangements(one.records), (batches) => holds(one, batches)),
      { numRuns: 200, endOnFailure: process.env["SHRINK"] === undefined },
    );
  });
});

describe("a defect is found out", () => {
  test.each(Object.entries(entityDefects))("%s", async (_, { of, defect }) => {
    const one = entityCases[of];
    if (one === undefined) throw new Error(`no case: ${of}`);
    const property = fc.asyncProperty(arrangements(one.records), (batches) => holds(one, batches, defect));
    const { failed, errorInstance } = await fc.check(property, { numRuns: 300, endOnFailure: true });
    expect(failed).toBe(true);
    // The rows or keys are wrong; a statement that cannot run would show nothing.
    expect(String(errorInstance)).toContain("AssertionError");
  });
});
