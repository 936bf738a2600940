import type { Contract } from "@weir/contract";
import type { ContractModel } from "../model.ts";
import type { ProjectSpec, TableSpec } from "../table.ts";

/** What the check of a table's declaration sees. */
export interface Checking {
  readonly name: string;
  /** `table <name>`: where its problems are. */
  readonly at: string;
  readonly project: ProjectSpec;
  /** Every contract that a source brings, by name; and the models of those that are sound. */
  readonly contracts: ReadonlyMap<string, Contract>;
  readonly models: ReadonlyMap<string, ContractModel>;
  /** Notes a problem: what is wrong and what to do, without the place. */
  readonly problem: (text: string) => void;
}

/** What the compiler has to know of a kind of table, beside its SQL. */
export interface TableKind<S extends TableSpec = TableSpec> {
  /** Names of the contracts that its records have. What names nothing known may be left out: `check` says so. */
  contracts(spec: S, project: ProjectSpec): readonly string[];
  /** Names of the tables that it reads. The compiler checks that they exist and that none reads itself. */
  inputs(spec: S): readonly string[];
  /** Names of its views beside the one that has its own name; no other view may have them. */
  moreViews(name: string): readonly string[];
  check(spec: S, checking: Checking): void;
}

/** The models of a table's contracts; undefined where one is unknown, which is a problem already. */
export function modelsOf(from: readonly Contract[], checking: Checking): ContractModel[] | undefined {
  if (from.length === 0) checking.problem(`"from" names no contract.`);
  for (const contract of from) {
    if (!checking.contracts.has(contract.name)) {
      checking.problem(`no source brings the contract "${contract.name}". Add it to a source's contracts.`);
    }
  }
  const models = from.flatMap((contract) => checking.models.get(contract.name) ?? []);
  return models.length < from.length ? undefined : models;
}
