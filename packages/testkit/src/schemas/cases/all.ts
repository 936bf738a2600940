import { arrayTables } from "./arrays.ts";
import type { CaseTable } from "./case.ts";
import { compositionTables } from "./compositions.ts";
import { formatTables } from "./formats.ts";
import { decimalTables, numberTables } from "./numbers.ts";
import { objectTables } from "./objects.ts";
import { lengthTables, patternTables } from "./strings.ts";
import { typeTables, valueTables } from "./types.ts";

/** Every table: each keyword and each format that a contract may use, with values on both sides of its edges. */
export const caseTables: readonly CaseTable[] = [
  ...typeTables,
  ...valueTables,
  ...lengthTables,
  ...patternTables,
  ...formatTables,
  ...numberTables,
  ...decimalTables,
  ...arrayTables,
  ...objectTables,
  ...compositionTables,
];
