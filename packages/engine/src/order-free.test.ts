import * as fc from "fast-check";
import { expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { arrangementOf, arrangementSeed, recordSets } from "./order-free/records.fixture.ts";

const cases = fc.record({ records: recordSets, one: arrangementSeed, other: arrangementSeed });

test("tables are a function of the set of records", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      expect(await run(records, arrangementOf(other))).toEqual(await run(records, arrangementOf(one)));
    }),
    { numRuns: Number(process.env["RUNS"] ?? 10), endOnFailure: process.env["SHRINK"] === undefined },
  );
});
