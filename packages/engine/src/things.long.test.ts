import * as fc from "fast-check";
import { expect, test } from "vitest";
import { run } from "./order-free/compare.fixture.ts";
import { arrangementOf, arrangementSeed } from "./order-free/records.fixture.ts";
import { thingsProject } from "./order-free/things-project.fixture.ts";
import { thingsRecords } from "./order-free/things-records.fixture.ts";

const cases = fc.record({ records: thingsRecords, one: arrangementSeed, other: arrangementSeed });

test("entities and their histories are a function of the set of records, in a hundred cases", async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ({ records, one, other }) => {
      const first = await run(thingsProject, records, arrangementOf(one));
      expect(await run(thingsProject, records, arrangementOf(other))).toEqual(first);
    }),
    { numRuns: 100, endOnFailure: true },
  );
});

test("planted defect: records that are taken back stay in entities", async () => {
  const property = fc.asyncProperty(cases, async ({ records, one }) => {
    await run(thingsProject, records, arrangementOf(one), (program) => ({
      ...program,
      tables: program.tables.map((table) => ({ ...table, retract: table.retract.slice(0, 3) })),
    }));
  });
  const { errorInstance } = await fc.check(property, { numRuns: 100, endOnFailure: true });
  expect(errorInstance).toHaveProperty("name", "AssertionError");
});
