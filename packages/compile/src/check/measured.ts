import { keyColumnOf } from "../duckdb/events.ts";
import type { Measure } from "../measure.ts";
import type { ContractModel } from "../model.ts";
import type { RollupSpec, SessionsSpec } from "../table.ts";
import { modelsOf } from "./checking.ts";
import type { Checking, TableKind } from "./checking.ts";
import { checkDistinct, checkKeyPaths, checkRowid, commonType, isScalar, namePattern } from "./columns.ts";
import { checkPerson, identitiesOf } from "./person.ts";

/** Tables of measures over records: sessions and rollups. */

export const sessionsKind: TableKind<SessionsSpec> = {
  contracts: ({ from }) => from.map(({ name }) => name),
  inputs: identitiesOf,
  moreViews: () => [],
  check: (table, checking) => {
    if (table.by.length === 0) checking.problem(`"by" names no field.`);
    if (table.gapMs <= 0) checking.problem("the gap must be longer than nothing.");
    checkMeasured(table, ["session_id", "session_start", "session_end", "records"], checking);
  },
};

export const rollupKind: TableKind<RollupSpec> = {
  contracts: ({ from }) => from.map(({ name }) => name),
  inputs: identitiesOf,
  moreViews: () => [],
  check: (table, checking) => {
    if (table.windowMs !== undefined && !(table.windowMs >= 1))
      checking.problem("the window must be at least 1 ms.");
    checkMeasured(table, table.windowMs === undefined ? [] : ["window_start"], checking);
  },
};

/** @param own columns that the kind has of itself */
function checkMeasured(table: SessionsSpec | RollupSpec, own: readonly string[], checking: Checking): void {
  if (Object.keys(table.measures).length === 0)
    checking.problem("it has no measures. Add one, such as count().");
  const from = modelsOf(table.from, checking);
  if (from === undefined) return;
  checkKeyPaths(
    table.by.filter((part) => typeof part === "string"),
    from,
    checking,
  );
  for (const part of table.by) if (typeof part === "object") checkPerson(part, from, checking);
  checkDistinct([...own, ...table.by.map(keyColumnOf), ...Object.keys(table.measures)], checking);
  checkRowid(table.by.map(keyColumnOf), checking);
  for (const [name, measure] of Object.entries(table.measures)) {
    if (!namePattern.test(name) || name.includes("__")) {
      checking.problem(`measure "${name}" must be named with lower-case letters, digits and single "_".`);
    }
    checkMeasure(measure, from, (text) => checking.problem(`measure ${name}: ${text}`));
  }
}

const numeric = new Set(["integer", "number", "decimal"]);

function checkMeasure(
  measure: Measure,
  from: readonly ContractModel[],
  problem: (text: string) => void,
): void {
  if (measure.measure === "count") return;
  const type = commonType(measure.field, from, problem, false);
  if (type === undefined) {
    problem(`no contract of this table has a field "${measure.field}".`);
    return;
  }
  const additive = measure.measure === "sum" || measure.measure === "avg";
  if (additive && !numeric.has(type.kind)) {
    problem(`${measure.measure} needs a number; "${measure.field}" is a ${type.kind}.`);
  }
  if (!additive && !isScalar(type)) {
    problem(`${measure.measure} needs a scalar; "${measure.field}" is a ${type.kind}.`);
  }
}
