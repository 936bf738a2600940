import type { ValidateFunction } from "ajv/dist/2020.js";
import type { Contract } from "./contract.ts";
import { compileJudge } from "./judge.ts";
import { violationsOf } from "./violation.ts";
import type { Violation } from "./violation.ts";

/** A record with more values than this (members and items, at any depth) is told its first violation only. */
export const maxValuesExplained = 10_000;

/** All that is wrong with a parsed record; empty when the contract accepts it. */
export type Validator = (value: unknown) => Violation[];

const validators = new WeakMap<object, Validator>();

/**
 * The judge of a contract's records: Ajv, draft 2020-12, over the effective schema. It compiles on first use and is kept with
 * the contract.
 *
 * Bounds: one record gives at most 100 violations, each of bounded size; a record of more than 10,000 values gives one, so that
 * a huge bad array costs one pass and no memory. Recursion is as deep as the record, so whoever parses it bounds its depth;
 * `contract` refuses schemas that recurse without entering the record. Patterns run on JavaScript's backtracking engine.
 */
export function validator(contract: Pick<Contract, "schema">): Validator {
  const known = validators.get(contract);
  if (known !== undefined) return known;
  const first = compileJudge(contract.schema, false);
  let all: ValidateFunction | undefined;
  const judge: Validator = (value) => {
    if (first(value)) return [];
    if (hasMoreValues(value, maxValuesExplained)) return violationsOf(first.errors ?? []);
    // Compiled when the first bad record comes: most contracts of a project never see one in a process's life.
    all ??= compileJudge(contract.schema, true);
    all(value);
    return violationsOf(all.errors ?? []);
  };
  validators.set(contract, judge);
  return judge;
}

function hasMoreValues(root: unknown, limit: number): boolean {
  const open: unknown[] = [root];
  let count = 0;
  while (open.length > 0) {
    const value = open.pop();
    if (typeof value !== "object" || value === null) continue;
    const parts: unknown[] = Array.isArray(value) ? value : Object.values(value);
    count += parts.length;
    if (count > limit) return true;
    for (const part of parts) open.push(part);
  }
  return false;
}
