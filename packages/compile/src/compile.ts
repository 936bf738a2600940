import { createHash } from "node:crypto";
import { WeirError, taggedFields } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { namePattern } from "./check/columns.ts";
import type { Columns } from "./column-type.ts";
import { kindOf } from "./check/kinds.ts";
import { isTable, reads } from "./check/shape.ts";
import { duckdb } from "./duckdb/dialect.ts";
import type { SubjectPath } from "./duckdb/subjects.ts";
import type { Dialect } from "./duckdb/dialect.ts";
import { contractModel } from "./model.ts";
import type { ContractModel } from "./model.ts";
import { inputsFirst } from "./order.ts";
import type { Program, ProgramPrivacy, TableParts, TableProgram } from "./program.ts";
import { streamKeys } from "./stream.ts";
import { checkMasked, keepingNames, subjectPaths } from "./subjects.ts";
import type { ProjectSpec } from "./table.ts";

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
  const invalid = (): WeirError =>
    new WeirError("project_invalid", problems.join("\n"), { where: `project ${project.name}` });
  if (!checkTables(project, contracts, models, problems)) throw invalid();
  const order = orderTables(project, problems);
  const problem = (text: string): void => void problems.push(text);
  const subjects = subjectPaths(project, contracts, models, problem);
  const privacy = privacyOf(project, [...contracts.values()]);
  if (privacy.detect) checkMasked(subjects, contracts, problem);
  if (problems.length > 0) throw invalid();
  return {
    project: project.name,
    dialect: dialect.name,
    setup: dialect.setup,
    contracts: [...contracts.values()].map((contract) =>
      dialect.contract(
        contract,
        { ...keepingNames(modelOf(models, contract.name), subjects), rowKeys: streamKeys(project, contract) },
        namingOf(subjects, contract.name),
      ),
    ),
    sources: Object.fromEntries(
      Object.entries(project.sources).map(([name, source]) => [name, source.contracts.map((c) => c.name)]),
    ),
    tables: compileTables(project, order, models, dialect),
    subjects: subjects.map((path) => dialect.subject(path)),
    privacy,
  };
}

/** The columns that a contract's records are stored in. @throws WeirError `contract_invalid` */
export const storedColumns = (contract: Contract, dialect: Dialect = duckdb): Columns =>
  dialect.contract(contract, contractModel(contract), []).columns;

/** Paths of a contract's fields that name the person of a record. */
const namingOf = (subjects: readonly SubjectPath[], name: string): (readonly string[])[] =>
  subjects.flatMap(({ contract, path, stream }) => (contract === name && stream === undefined ? [path] : []));

/** @returns whether the tables are such that what they read can be looked at */
function checkTables(
  project: ProjectSpec,
  contracts: ReadonlyMap<string, Contract>,
  models: ReadonlyMap<string, ContractModel>,
  problems: string[],
): boolean {
  const tables = Object.entries(project.tables).map(([name, spec]) => {
    const at = `table ${name}`;
    return { name, at, spec, problem: (text: string): void => void problems.push(`${at}: ${text}`) };
  });
  const strangers = tables.filter(({ spec, problem }) => !isTable(spec, problem));
  if (strangers.length > 0) return false;
  checkNames(project, contracts, problems);
  const misshapen = tables.filter(
    ({ name, at, spec, problem }) =>
      !reads(() => kindOf(spec).check(spec, { name, at, project, contracts, models, problem }), problem),
  );
  return misshapen.length === 0;
}

function privacyOf({ privacy = {} }: ProjectSpec, contracts: readonly Contract[]): ProgramPrivacy {
  const isTagged = contracts.some(
    ({ schema, rowTags = {} }) =>
      taggedFields(schema).length > 0 ||
      Object.values(rowTags).some((tags) => Object.values(tags).some((tag) => tag !== "none")),
  );
  const { detect = isTagged } = privacy;
  return { on: isTagged || detect, detect };
}

function modelOf(models: ReadonlyMap<string, ContractModel>, contract: string): ContractModel {
  const model = models.get(contract);
  if (model === undefined) throw new Error(`unreachable: no model of ${contract}`);
  return model;
}

/** @param order each table after those that it reads */
function compileTables(
  project: ProjectSpec,
  order: readonly string[],
  models: ReadonlyMap<string, ContractModel>,
  dialect: Dialect,
): TableProgram[] {
  const compiled = new Map<string, TableProgram>();
  for (const name of order) {
    const spec = project.tables[name];
    if (spec === undefined) throw new Error(`unreachable: no table ${name}`);
    const kind = kindOf(spec);
    const from = kind.contracts(spec, project);
    const inputs = new Map(
      kind.inputs(spec).map((input) => {
        const program = compiled.get(input);
        if (program === undefined) throw new Error(`unreachable: ${name} comes before ${input}`);
        return [input, program] as const;
      }),
    );
    const parts = dialect.table(name, spec, {
      project,
      inputs,
      model: (contract) => modelOf(models, contract),
    });
    const hash = hashOf(parts, [...inputs.values()]);
    compiled.set(name, { ...parts, name, kind: spec.kind, from, inputs: [...inputs.keys()], hash });
  }
  return [...compiled.values()];
}

/** All that decides a table's content: its own statements, and what decides that of the tables it reads. */
function hashOf(parts: TableParts, inputs: readonly TableProgram[]): string {
  const { create, events, merge, build, views } = parts;
  const content = [create, events, merge, build, views, inputs.map(({ name, hash }) => [name, hash])];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 32);
}

function orderTables(project: ProjectSpec, problems: string[]): readonly string[] {
  const inputsOf = (name: string): readonly string[] => {
    const spec = project.tables[name];
    return spec === undefined ? [] : kindOf(spec).inputs(spec);
  };
  const names = Object.keys(project.tables);
  for (const name of names) {
    for (const input of inputsOf(name)) {
      if (project.tables[input] === undefined)
        problems.push(`table ${name}: it reads the table "${input}", and there is none of that name.`);
    }
  }
  const { order, cycles } = inputsFirst(names, inputsOf);
  for (const cycle of cycles)
    problems.push(`table ${cycle[0]}: it reads itself: ${cycle.join(" reads ")}. Break the cycle.`);
  return order;
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
  if (typeof project.name !== "string" || !/^[a-z][a-z0-9_-]{0,62}$/.test(project.name)) {
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
  for (const [table, spec] of Object.entries(project.tables)) {
    for (const view of kindOf(spec).moreViews(table)) {
      if (project.tables[view] === undefined && !contracts.has(view)) continue;
      problems.push(
        `table ${table}: its view "${view}" has the name of another table or of a contract. Rename one.`,
      );
    }
  }
}
