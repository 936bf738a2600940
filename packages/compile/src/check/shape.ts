import type { TableSpec } from "../table.ts";
import { kindOf } from "./kinds.ts";

/** Project files run without `tsc` having seen them, so a declaration may be anything. */

/** Whether it is a table of a kind that there is; says so if not. */
export function isTable(spec: unknown, problem: (text: string) => void): spec is TableSpec {
  const { kind } = (spec ?? {}) as { readonly kind?: unknown };
  if (typeof kind === "string" && (kindOf(spec as TableSpec) as unknown) !== undefined) return true;
  problem(
    "it is no table. Declare it with sessions(), rollup(), entity(), identity(), enrich() or derive().",
  );
  return false;
}

/**
 * Runs a check. What it cannot read is a problem of the declaration, not a defect.
 *
 * @returns whether all of it could be read
 */
export function reads(check: () => void, problem: (text: string) => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    problem(
      `something is missing in its declaration, or is of another type than it has to be (${error.message}). "npx tsc --noEmit" names the place.`,
    );
    return false;
  }
}
