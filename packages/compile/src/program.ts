import type { Contract } from "@weir/contract";
import type { ContractModel } from "./model.ts";

/** One step of a program: SQL that runs as it stands, with what it is for. */
export interface Statement {
  readonly name: string;
  readonly purpose: string;
  readonly sql: string;
}

/** What one contract compiles to. See `duckdb/rows.ts` for the relations the statements read and leave. */
export interface ContractProgram {
  readonly contract: Contract;
  readonly model: ContractModel;
  /** Changes when the columns of the clean zone do. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: Statement;
  readonly undecided: string;
  readonly fixes: Statement;
  readonly ids: Statement;
  readonly fresh: Statement;
  readonly clean: string;
  readonly emptyClean: string;
}

/** What one table compiles to. */
export interface TableProgram {
  readonly name: string;
  readonly kind: "sessions" | "rollup";
  /** Names of the contracts whose records the table is made of. */
  readonly from: readonly string[];
  /** A hash of all that decides the table's content: when it changes, the table is built anew from history. */
  readonly hash: string;
  /** The tables that hold its state, in schema `db.state`. */
  readonly stateTables: readonly string[];
  readonly create: readonly Statement[];
  /** Merges `fresh_<contract>` of the batch into the state. */
  readonly merge: readonly Statement[];
  /** The query behind the view that users read. */
  readonly view: string;
  /** The columns that name a row. */
  readonly key: readonly string[];
  /**
   * Takes records back: given `removed_<contract>`, finds the groups they were in, drops these from the state and
   * leaves them as `affected_<table>`; then `events` restricted to those groups goes through `merge` again.
   */
  readonly retract: readonly Statement[];
  /** The view of the table's events over `fresh_<contract>`; first of `merge`'s inputs. */
  readonly events: Statement;
  /** The same, only of the groups in `affected_<table>`. */
  readonly affectedEvents: Statement;
}

/** A compiled project: what the engine runs for every batch, in order. */
export interface Program {
  readonly project: string;
  readonly dialect: string;
  /** Run once on every connection's database before anything else. */
  readonly setup: readonly string[];
  readonly contracts: readonly ContractProgram[];
  /** Contract names by source. */
  readonly sources: Readonly<Record<string, readonly string[]>>;
  readonly tables: readonly TableProgram[];
}

/** The program as text: every statement in the order in which a batch runs it. */
export function explainProgram(program: Program): string {
  const out: string[] = [];
  const add = (statement: Statement): void => {
    out.push(`-- ${statement.name}: ${statement.purpose}\n${statement.sql};\n`);
  };
  out.push(`-- Program of ${program.project} in ${program.dialect}, one batch\n`);
  for (const contract of program.contracts) {
    add(contract.rows);
    add(contract.fixes);
    add(contract.ids);
    add(contract.fresh);
    add({ name: `clean ${contract.contract.name}`, purpose: "Rows for the clean zone", sql: contract.clean });
  }
  for (const table of program.tables) {
    add(table.events);
    for (const statement of table.merge) add(statement);
    add({ name: table.name, purpose: "What users read", sql: table.view });
  }
  return out.join("\n");
}
