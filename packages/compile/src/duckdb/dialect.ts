import type { Contract } from "@weir/contract";
import { createHash } from "node:crypto";
import type { ContractModel } from "../model.ts";
import type { ContractProgram, TableProgram } from "../program.ts";
import type { TableSpec } from "../table.ts";
import { tableModel } from "./events.ts";
import { measureMacros } from "./measures.ts";
import { rollupProgram } from "./rollup.ts";
import { cleanColumns, cleanQuery, emptyCleanQuery, fixesStatement, freshStatement } from "./rows.ts";
import { idsStatement, rowsStatement, undecidedQuery } from "./rows.ts";
import { sessionsProgram } from "./sessions.ts";

/** An engine's SQL. */
export interface Dialect {
  readonly name: string;
  readonly setup: readonly string[];
  contract(contract: Contract, model: ContractModel): ContractProgram;
  table(name: string, spec: TableSpec, from: readonly ContractModel[]): TableProgram;
}

export const duckdb: Dialect = {
  name: "duckdb",
  setup: measureMacros,
  contract: (contract, model) => ({
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
  }),
  table: (name, spec, from) => {
    const model = tableModel(name, from, spec.by, spec.measures, spec.kind === "rollup");
    const program =
      spec.kind === "rollup" ? rollupProgram(model, spec.windowMs) : sessionsProgram(model, spec.gapMs);
    const content = [program.create, program.merge, program.events, program.view];
    return {
      ...program,
      hash: createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 32),
    };
  },
};
