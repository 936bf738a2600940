import type { FieldType } from "../field-type.ts";
import { typeAt } from "../model.ts";
import type { ContractModel } from "../model.ts";
import type { Checking } from "./checking.ts";

export const namePattern = /^[a-z][a-z0-9_]{0,62}$/;

export const isScalar = (type: FieldType): boolean => !["array", "object", "map", "json"].includes(type.kind);

/** Notes columns that have one name. */
export function checkDistinct(columns: readonly string[], checking: Checking): void {
  const seen = new Set<string>();
  for (const column of columns) {
    const folded = column.toLowerCase();
    if (seen.has(folded))
      checking.problem(`two columns are named "${column}" (SQL ignores case). Rename one.`);
    seen.add(folded);
  }
}

/** Notes columns of stored tables whose rows the statements could not name any more. */
export function checkRowid(columns: Iterable<string>, checking: Checking): void {
  for (const column of columns) {
    if (column.toLowerCase() === "rowid")
      checking.problem(`a column cannot be named "${column}": SQL has one of its own.`);
  }
}

/** Notes key paths that a contract lacks, or that are no scalars of one type. */
export function checkKeyPaths(
  by: readonly string[],
  from: readonly ContractModel[],
  checking: Checking,
): void {
  for (const path of by) {
    const type = commonType(path, from, checking.problem, true);
    if (type !== undefined && !isScalar(type))
      checking.problem(`"${path}" is a ${type.kind}; a key must be scalar.`);
  }
}

/**
 * The type of a path in all contracts of a table; a problem where one lacks it (if needed) or they differ.
 *
 * @param everywhere whether every contract needs it
 */
export function commonType(
  path: string,
  from: readonly ContractModel[],
  problem: (text: string) => void,
  everywhere: boolean,
): FieldType | undefined {
  let common: FieldType | undefined;
  for (const contract of from) {
    const type = typeAt(contract, path);
    if (type === undefined) {
      if (everywhere) problem(`contract "${contract.name}" has no field "${path}".`);
    } else if (common !== undefined && common.kind !== type.kind) {
      problem(`"${path}" is a ${common.kind} in one contract and a ${type.kind} in "${contract.name}".`);
    } else if (common?.kind === "decimal" && type.kind === "decimal" && common.scale !== type.scale) {
      problem(`"${path}" has ${common.scale} decimal places in one contract, ${type.scale} in another.`);
    } else common ??= type;
  }
  return common;
}
