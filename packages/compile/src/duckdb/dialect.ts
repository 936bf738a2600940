import type { Contract } from "@weir/contract";
import type { ContractModel } from "../model.ts";
import type { ContractProgram, TableParts, TableProgram } from "../program.ts";
import type { SubjectField } from "../privacy.ts";
import type { ProjectSpec, TableSpec } from "../table.ts";
import { deriveProgram } from "./derive.ts";
import { enrichProgram } from "./enrich.ts";
import { identityProgram } from "./identity.ts";
import { entityProgram } from "./entity.ts";
import { entityMacros } from "./entity-fold.ts";
import { measureMacros } from "./measures.ts";
import { contractPrivacy } from "./privacy.ts";
import { rollupProgram } from "./rollup.ts";
import { cleanColumns, cleanQuery, emptyCleanQuery, fixesStatement, freshStatement } from "./rows.ts";
import { idsStatement, removedIdsQuery, rowsStatement, undecidedQuery } from "./rows.ts";
import { sessionsProgram } from "./sessions.ts";
import { subjectField } from "./subjects.ts";
import type { SubjectPath } from "./subjects.ts";

/** What a table is compiled among. The declarations have been checked: what they name is there. */
export interface TableScope {
  readonly project: ProjectSpec;
  model(contract: string): ContractModel;
  /** The tables that it reads, compiled. */
  readonly inputs: ReadonlyMap<string, TableProgram>;
}

/** An engine's SQL. */
export interface Dialect {
  readonly name: string;
  readonly setup: readonly string[];
  /** @param naming paths of the fields that name the person of a record */
  contract(contract: Contract, model: ContractModel, naming: readonly (readonly string[])[]): ContractProgram;
  table(name: string, spec: TableSpec, scope: TableScope): TableParts;
  subject(path: SubjectPath): SubjectField;
}

export const duckdb: Dialect = {
  name: "duckdb",
  setup: [...measureMacros, ...entityMacros],
  contract: (contract, model, naming) => ({
    contract,
    model,
    columns: cleanColumns(model),
    rows: rowsStatement(model),
    undecided: undecidedQuery(model),
    fixes: fixesStatement(model),
    ids: idsStatement(model),
    fresh: freshStatement(model),
    clean: cleanQuery(model),
    emptyClean: emptyCleanQuery(model),
    removedIds: removedIdsQuery(model),
    privacy: contractPrivacy(contract, model, naming),
  }),
  subject: subjectField,
  table: (name, spec, scope) => {
    switch (spec.kind) {
      case "sessions":
        return sessionsProgram(name, spec, scope);
      case "rollup":
        return rollupProgram(name, spec, scope);
      case "entity":
        return entityProgram(name, spec, scope);
      case "enrich":
        return enrichProgram(name, spec, scope);
      case "derive":
        return deriveProgram(name, spec, scope);
      case "identity":
        return identityProgram(name, spec, scope);
    }
  },
};
