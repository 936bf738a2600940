import { WeirError } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { duckdb } from "./duckdb/dialect.ts";
import type { Dialect } from "./duckdb/dialect.ts";
import { columnOf } from "./duckdb/events.ts";
import type { FieldType } from "./field-type.ts";
import type { Measure } from "./measure.ts";
import { contractModel, typeAt } from "./model.ts";
import type { ContractModel } from "./model.ts";
import type { Program } from "./program.ts";
import type { ProjectSpec, TableSpec } from "./table.ts";

const namePattern = /^[a-z][a-z0-9_]{0,62}$/;

/** Names that views and schemas of Weir's own have. */
const takenNames = new Set(["raw", "quarantine", "weir", "main", "state", "information_schema"]);

/**
 * Compiles a project to a program.
 *
 * @throws WeirError `project_invalid` with every problem found, each with its place and remedy.
 */
export function compileProject(project: ProjectSpec, dialect: Dialect = duckdb): Program {
  const problems: string[] = [];
  const contracts = contractsOf(project, problems);
  const models = new Map<string, ContractModel>();
  for (const contract of contracts.values()) {
    try {
      models.set(contract.name, contractModel(contract));
    } catch (error) {
      problems.push(
        error instanceof WeirError
          ? `${error.where ?? contract.name}: ${error.message} ${error.remedy}`
          : String(error),
      );
    }
  }
  checkNames(project, contracts, problems);
  for (const [name, table] of Object.entries(project.tables))
    checkTable(name, table, contracts, models, problems);
  if (problems.length > 0) {
    throw new WeirError("project_invalid", problems.join("\n"), { where: `project ${project.name}` });
  }
  const modelOf = (contract: Contract): ContractModel => {
    const model = models.get(contract.name);
    if (model === undefined) throw new Error(`unreachable: no model of ${contract.name}`);
    return model;
  };
  return {
    project: project.name,
    dialect: dialect.name,
    setup: dialect.setup,
    contracts: [...contracts.values()].map((contract) => dialect.contract(contract, modelOf(contract))),
    sources: Object.fromEntries(
      Object.entries(project.sources).map(([name, source]) => [name, source.contracts.map((c) => c.name)]),
    ),
    tables: Object.entries(project.tables).map(([name, spec]) =>
      dialect.table(name, spec, spec.from.map(modelOf)),
    ),
  };
}

/** Every contract that a source brings, by name. */
function contractsOf(project: ProjectSpec, problems: string[]): Map<string, Contract> {
  const contracts = new Map<string, Contract>();
  for (const [source, { contracts: list }] of Object.entries(project.sources)) {
    for (const contract of list) {
      const known = contracts.get(contract.name);
      if (known !== undefined && known !== contract) {
        problems.push(`source ${source}: two different contracts are named "${contract.name}". Rename one.`);
      }
      contracts.set(contract.name, contract);
    }
  }
  return contracts;
}

function checkNames(
  project: ProjectSpec,
  contracts: ReadonlyMap<string, Contract>,
  problems: string[],
): void {
  if (!/^[a-z][a-z0-9_-]{0,62}$/.test(project.name)) {
    problems.push(
      `project: the name "${project.name}" must be lower-case letters, digits, "-" and "_", at most 63.`,
    );
  }
  for (const source of Object.keys(project.sources)) {
    if (!/^[a-z0-9_-]{1,64}$/.test(source)) {
      problems.push(
        `source ${source}: the name must be lower-case letters, digits, "-" and "_", at most 64.`,
      );
    }
  }
  for (const name of contracts.keys()) {
    if (takenNames.has(name))
      problems.push(`contract ${name}: the name is taken by a view of Weir's own. Rename it.`);
  }
  for (const table of Object.keys(project.tables)) {
    if (!namePattern.test(table)) {
      problems.push(
        `table ${table}: the name must be a lower-case letter, then letters, digits and "_", at most 63.`,
      );
    }
    if (takenNames.has(table))
      problems.push(`table ${table}: the name is taken by a view of Weir's own. Rename it.`);
    if (contracts.has(table)) {
      problems.push(`table ${table}: a contract has this name, and both become views. Rename the table.`);
    }
  }
}

function checkTable(
  name: string,
  table: TableSpec,
  contracts: ReadonlyMap<string, Contract>,
  models: ReadonlyMap<string, ContractModel>,
  problems: string[],
): void {
  const at = `table ${name}`;
  if (table.from.length === 0) problems.push(`${at}: "from" names no contract.`);
  for (const contract of table.from) {
    if (!contracts.has(contract.name)) {
      problems.push(
        `${at}: no source brings the contract "${contract.name}". Add it to a source's contracts.`,
      );
    }
  }
  if (table.kind === "sessions" && table.by.length === 0) problems.push(`${at}: "by" names no field.`);
  if (table.kind === "sessions" && table.gapMs <= 0)
    problems.push(`${at}: the gap must be longer than nothing.`);
  if (table.kind === "rollup" && table.windowMs !== undefined && !(table.windowMs >= 1)) {
    problems.push(`${at}: the window must be at least 1 ms.`);
  }
  if (Object.keys(table.measures).length === 0)
    problems.push(`${at}: it has no measures. Add one, such as count().`);
  const from = table.from.flatMap((contract) => models.get(contract.name) ?? []);
  if (from.length < table.from.length) return;
  for (const path of table.by) {
    const type = commonType(at, path, from, problems, true);
    if (type !== undefined && !isScalar(type))
      problems.push(`${at}: "${path}" is a ${type.kind}; a key must be scalar.`);
  }
  checkColumns(at, table, problems);
  for (const [measureName, measure] of Object.entries(table.measures)) {
    checkMeasure(`${at}, measure ${measureName}`, measure, from, problems);
  }
}

function checkColumns(at: string, table: TableSpec, problems: string[]): void {
  const ofRollup = table.kind === "rollup" && table.windowMs !== undefined ? ["window_start"] : [];
  const own =
    table.kind === "sessions" ? ["session_id", "session_start", "session_end", "records"] : ofRollup;
  const columns = [...own, ...table.by.map(columnOf), ...Object.keys(table.measures)];
  const seen = new Set<string>();
  for (const column of columns) {
    const folded = column.toLowerCase();
    if (seen.has(folded))
      problems.push(`${at}: two columns are named "${column}" (SQL ignores case). Rename one.`);
    seen.add(folded);
  }
  for (const measure of Object.keys(table.measures)) {
    if (!namePattern.test(measure) || measure.includes("__")) {
      problems.push(
        `${at}: measure "${measure}" must be named with lower-case letters, digits and single "_".`,
      );
    }
  }
}

const isScalar = (type: FieldType): boolean => !["array", "object", "map", "json"].includes(type.kind);

/** The type of a path in all contracts of a table; a problem where one lacks it (if needed) or they differ. */
function commonType(
  at: string,
  path: string,
  from: readonly ContractModel[],
  problems: string[],
  everywhere: boolean,
): FieldType | undefined {
  let common: FieldType | undefined;
  for (const contract of from) {
    const type = typeAt(contract, path);
    if (type === undefined) {
      if (everywhere) problems.push(`${at}: contract "${contract.name}" has no field "${path}".`);
    } else if (common !== undefined && common.kind !== type.kind) {
      problems.push(
        `${at}: "${path}" is a ${common.kind} in one contract and a ${type.kind} in "${contract.name}".`,
      );
    } else if (common?.kind === "decimal" && type.kind === "decimal" && common.scale !== type.scale) {
      problems.push(
        `${at}: "${path}" has ${common.scale} decimal places in one contract, ${type.scale} in another.`,
      );
    } else common ??= type;
  }
  return common;
}

const numeric = new Set(["integer", "number", "decimal"]);

function checkMeasure(
  at: string,
  measure: Measure,
  from: readonly ContractModel[],
  problems: string[],
): void {
  if (measure.measure === "count") return;
  const type = commonType(at, measure.field, from, problems, false);
  if (type === undefined) {
    problems.push(`${at}: no contract of this table has a field "${measure.field}".`);
    return;
  }
  const additive = measure.measure === "sum" || measure.measure === "avg";
  if (additive && !numeric.has(type.kind)) {
    problems.push(`${at}: ${measure.measure} needs a number; "${measure.field}" is a ${type.kind}.`);
  }
  if (!additive && !isScalar(type)) {
    problems.push(`${at}: ${measure.measure} needs a scalar; "${measure.field}" is a ${type.kind}.`);
  }
}
