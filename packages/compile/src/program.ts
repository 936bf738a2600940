import type { Contract, PiiTag } from "@weir/contract";
import type { ContractModel } from "./model.ts";
import type { SubjectField } from "./privacy.ts";
import type { TableSpec } from "./table.ts";

/** One step of a program: SQL that runs as it stands, with what it is for. */
export interface Statement {
  readonly name: string;
  readonly purpose: string;
  readonly sql: string;
  /** A relation without whose rows there is nothing to do: the statement is then left out. */
  readonly needs?: string;
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
  /** The columns `h0` to `h3` of `ids`, of rows of the clean zone in `removed_<contract>`. */
  readonly removedIds: string;
  readonly privacy: ContractPrivacy;
}

/**
 * How personal values of a contract's records become tokens. Statements run once all rows of a batch are judged; see
 * `duckdb/privacy.ts` for the relations that they read and leave.
 */
export interface ContractPrivacy {
  /** None where no field is tagged; then `replace` is not there. */
  readonly wanted: readonly Statement[];
  readonly replace?: Statement;
  /** The sets of values that are known with their tokens: the table with its columns, and a query of those that a batch adds. */
  readonly known?: { readonly table: string; readonly columns: string; readonly added: string };
  /** Tagged columns of a captured source, by stream. */
  readonly streams: readonly StreamPrivacy[];
  /** Paths of the fields that name the person of a record: in them nothing is looked for, as what is masked would be one person. */
  readonly naming: readonly (readonly string[])[];
  /** Of a row `r`, the texts that nothing is declared of, as one text; undefined where there are none. */
  readonly freeText: string | undefined;
  /** Takes rows anew from `refreshed`. */
  readonly refresh: Statement;
}

/** The tagged columns of a stream, and a query of its rows with the tokens that stand for them. */
export interface StreamPrivacy {
  readonly stream: string;
  readonly columns: readonly { readonly name: string; readonly tag: PiiTag }[];
  /** The columns of the key, tagged or not; empty where the project does not say what these are. */
  readonly key: readonly string[];
  /** `_key`, `id`, `key`, `row`, the line's `text`, values and tokens as JSON lists in the order of `columns`, and the subject's id and wrapped key. */
  readonly rows: string;
}

/**
 * What a dialect makes of one table. Its state is brought up to date by statements over these relations:
 *
 *   fresh_<contract>    records that are new in the batch, of each contract in `from`
 *   changed_<input>     key columns of the rows of each table in `inputs` that this batch added, changed or removed;
 *                       the input itself is as it stands after the batch
 *   changed_<table>     to be filled with the same of this table, for those that read it; see `changed`
 *
 * Each of them may be empty. Statements see the commit's number as the variable `weir_commit`, and the newest time of
 * receipt of all records so far, this batch's included, as `weir_newest_us`.
 */
export interface TableParts {
  /** The tables that hold its state, in schema `db.state`. */
  readonly stateTables: readonly string[];
  readonly create: readonly Statement[];
  /**
   * Run once when the table is built, after `create`, where it has rows that no record brings: computes them from the
   * inputs as they stand. The records of `from` follow, chunk by chunk through `merge`, with every `changed_<input>` empty.
   */
  readonly build: readonly Statement[];
  /** The view `events_<table>`, of what `merge` reads of `fresh_<contract>`; undefined where there are no contracts. */
  readonly events?: Statement;
  /** Merges `events_<table>` and `changed_<input>` into the state. */
  readonly merge: readonly Statement[];
  /** Creates `changed_<table>`, empty. The other statements only insert; a row more than once, or unchanged, is no harm. */
  readonly changed: Statement;
  /**
   * Takes records back: given `removed_<contract>`, finds the groups they were in, drops these from the state and
   * leaves them as `affected_<table>`; then `affectedEvents` and `merge` compute them anew.
   */
  readonly retract: readonly Statement[];
  /**
   * How far before a record's event time its groups may begin, which `retract` computes anew; undefined where that has no
   * bound. A table without records of its own has none.
   */
  readonly reachMs?: number;
  /** Inputs that, when they take records back, make this table do so too: `retract` runs after theirs. */
  readonly retractsWith?: readonly string[];
  /** `events_<table>` with all records of the groups in `affected_<table>`, where `fresh_<contract>` is all of the clean zone. */
  readonly affectedEvents?: Statement;
  /** Every state that its rows had, where it keeps them. */
  readonly history?: HistoryParts;
  /** What users read; the first has the table's name. */
  readonly views: readonly TableView[];
  /** The columns of the first view that name a row. */
  readonly key: readonly string[];
  /**
   * The first view's rows with one column more, `_commit`: the commit that last changed the row. Of every key that a batch
   * leaves in `changed_<table>`, the row has the batch's commit here, or is gone. Without it nobody can follow the
   * table's changes.
   */
  readonly stamped?: string;
  /** Whether `merge` of records never removes a row. */
  readonly keepsRows?: boolean;
  /**
   * Columns of the first view by which its rows are found together and sorted; together they name a row, as `key` does,
   * which it is where there are none.
   */
  readonly order?: readonly string[];
  /** The column of the first view with a row's event time. */
  readonly time?: string;
  /** The names `x` of the `changed_x` that it reads, where these are not those of `inputs`: `merge` runs when one has a row. */
  readonly watches?: readonly string[];
  /** Of the records of `from` it reads those with this `stream` only (see `changeContract`): without any, `merge` has nothing to do. */
  readonly stream?: string;
  /** Whether `merge` has something to do in every batch, whatever records it has. */
  readonly everyBatch?: boolean;
  /** A query of what an operator should know of the table's content: one text a row, as `concern`. */
  readonly concerns?: string;
  /** A query that computes the first view's rows from the inputs alone, as they stand. */
  readonly recomputed?: string;
  /** What must hold of the state, beside that keys are unique. */
  readonly invariants?: readonly Invariant[];
  /** SQL of the user's in the statements above, which only a database can check. */
  readonly userSql?: UserSql;
}

/** How a history is cut off at a border; see `duckdb/entity-prune.ts` for the variables that the statements read. */
export interface HistoryParts {
  /** The name of the view with it; of its rows only those of `keptStates` may be read. */
  readonly view: string;
  /** The state table with what it is made of, which has a column `_hash`. */
  readonly records: string;
  /** Removes what no state needs that is in force at the border or later. */
  readonly prune: readonly Statement[];
  /** Has a row for each record that went. */
  readonly pruned: string;
  /** Drops what the statements leave on the connection. */
  readonly drop: string;
}

/** Something that must hold, and a query whose rows are where it does not. */
export interface Invariant {
  readonly name: string;
  readonly breaches: string;
}

/** SQL that a user wrote: one SELECT that reads its inputs and is a function of the set of their rows. */
export interface UserSql {
  readonly text: string;
  /** Columns that it must give. */
  readonly key: readonly string[];
  /** What it may read: a name, the query behind it, and columns that this must have. */
  readonly inputs: readonly {
    readonly name: string;
    readonly view: string;
    readonly columns: readonly string[];
  }[];
}

export interface TableView {
  readonly name: string;
  readonly sql: string;
}

/** What one table compiles to. */
export interface TableProgram extends TableParts {
  readonly name: string;
  readonly kind: TableSpec["kind"];
  /** Names of the contracts whose records the table is made of. */
  readonly from: readonly string[];
  /** Names of the tables that it reads. */
  readonly inputs: readonly string[];
  /** A hash of all that decides the table's content: when it changes, the table is built anew from history. */
  readonly hash: string;
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
  /** Each after those that it reads. */
  readonly tables: readonly TableProgram[];
  /** The fields that name the person of a record. */
  readonly subjects: readonly SubjectField[];
  readonly privacy: ProgramPrivacy;
}

/** What is done about personal values. */
export interface ProgramPrivacy {
  /** There is a vault, and records that fail are sealed. */
  readonly on: boolean;
  /** E-mail addresses and card numbers in free text are masked. */
  readonly detect: boolean;
}

/** A field, or a column of a captured source, whose values are not kept. */
export interface PersonalField {
  readonly contract: string;
  /** `shipping.name`; of a captured source with its stream: `public.customers.email`. */
  readonly column: string;
  readonly tag: PiiTag;
}

/** Every field with a tag. */
export const personalFields = (program: Program): PersonalField[] =>
  program.contracts.flatMap(({ contract, model, privacy }) => [
    ...model.tagged.map(({ path, tag }) => ({ contract: contract.name, column: path.join("."), tag })),
    ...privacy.streams.flatMap(({ stream, columns }) =>
      columns.map(({ name, tag }) => ({ contract: contract.name, column: `${stream}.${name}`, tag })),
    ),
  ]);

/** The program as text: every statement in the order in which a batch runs it. */
export function explainProgram(program: Program): string {
  const out: string[] = [];
  const add = (statement: Statement): void => {
    const needs = statement.needs === undefined ? "" : `-- only with rows in ${statement.needs}\n`;
    out.push(`-- ${statement.name}: ${statement.purpose}\n${needs}${statement.sql};\n`);
  };
  out.push(`-- Program of ${program.project} in ${program.dialect}, one batch\n`);
  for (const { contract, column, tag } of personalFields(program)) {
    const becomes = tag === "pan" || tag === "cvv" ? "masked" : tag === "subject" ? "a pseudonym" : "a token";
    out.push(`-- ${contract}.${column}: ${tag}, ${becomes}\n`);
  }
  for (const contract of program.contracts) {
    add(contract.rows);
    add(contract.fixes);
    const { wanted, replace } = contract.privacy;
    for (const statement of [...wanted, replace]) if (statement !== undefined) add(statement);
    add(contract.ids);
    add(contract.fresh);
    add({ name: `clean ${contract.contract.name}`, purpose: "Rows for the clean zone", sql: contract.clean });
  }
  for (const table of program.tables) {
    add(table.changed);
    if (table.events !== undefined) add(table.events);
    for (const statement of table.merge) add(statement);
    for (const { name, sql } of table.views) add({ name, purpose: "What users read", sql });
  }
  return out.join("\n");
}
