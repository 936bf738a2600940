import type { Program } from "@weir/compile";
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { edited, withTable } from "../order-free/defects.fixture.ts";
import { erasedCases, runErased } from "./erase-order.fixture.ts";
import { Suppression } from "./suppression.ts";

test("whenever a person is erased, tables are those of the records without the person's, in sixty cases", async () => {
  await fc.assert(
    fc.asyncProperty(erasedCases, async (one) => {
      await expect(runErased(one)).resolves.toBeUndefined();
    }),
    { numRuns: 60, endOnFailure: true },
  );
});

const withoutContract =
  (name: string) =>
  (program: Program): Program => ({
    ...program,
    subjects: program.subjects.filter(({ contract }) => contract !== name),
  });

const defects: Readonly<Record<string, (program: Program) => Program>> = {
  "records of one contract are not looked at": withoutContract("gift"),
  "a table keeps its groups": withTable("lifetime", (table) => ({
    ...table,
    retract: edited(table.retract, /^DELETE FROM [^]*$/, "SELECT 1").map((statement, i) =>
      statement.sql === "SELECT 1" ? statement : (table.retract[i] ?? statement),
    ),
  })),
};

async function isFound(defect?: (program: Program) => Program): Promise<void> {
  const property = fc.asyncProperty(erasedCases, (one) => runErased(one, defect));
  const { errorInstance } = await fc.check(property, { numRuns: 60, endOnFailure: true });
  expect(errorInstance).toHaveProperty("name", "AssertionError");
}

describe("a defect is found out", () => {
  afterEach(() => vi.restoreAllMocks());

  test.each(Object.entries(defects))("%s", (_, defect) => isFound(defect));

  test("late records are not looked at", async () => {
    vi.spyOn(Suppression.prototype, "active", "get").mockReturnValue(false);
    await isFound();
  });
});
