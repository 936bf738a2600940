import type { ContractProgram, Program, TableProgram } from "@weir/compile";
import { ident } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { Snapshots } from "../snapshots.ts";
import { rowJson } from "./row-json.ts";
import type { Column } from "./row-json.ts";

/** What can be looked up in a table. */
export interface TableShape {
  readonly name: string;
  readonly columns: readonly Column[];
  /** Name a row. */
  readonly key: readonly Column[];
  /** By which rows are found together, and sorted; often the same as `key`. */
  readonly order: readonly Column[];
  readonly time: Column | undefined;
  /** SQL of the row as JSON text; undefined where there is none. */
  readonly rowText: string | undefined;
  /** Undefined for the records of a contract. */
  readonly program: TableProgram | undefined;
}

const describeTimeoutMs = 60_000;

/** The shapes of a program's tables and contracts; each is found out once. */
export class TableShapes {
  readonly #program: Program;
  readonly #snapshots: Snapshots;
  readonly #shapes = new Map<string, Promise<TableShape>>();

  constructor(program: Program, snapshots: Snapshots) {
    this.#program = program;
    this.#snapshots = snapshots;
  }

  /** @throws WeirError `not_found` */
  async get(name: string): Promise<TableShape> {
    const known = this.#shapes.get(name);
    if (known !== undefined) return await known;
    const table = this.#program.tables.find((one) => one.name === name);
    const contract = this.#program.contracts.find((one) => one.contract.name === name);
    if (table === undefined && contract === undefined) {
      const names = [...this.#program.tables, ...this.#program.contracts.map((one) => one.contract)];
      throw new WeirError("not_found", `There is no table ${JSON.stringify(name.slice(0, 100))}.`, {
        where: name.slice(0, 100),
        remedy: `The tables are ${names.map((one) => one.name).join(", ")}.`,
      });
    }
    const found = this.#describe(name, table, contract);
    this.#shapes.set(name, found);
    found.catch(() => this.#shapes.delete(name));
    return await found;
  }

  async #describe(
    name: string,
    table: TableProgram | undefined,
    contract: ContractProgram | undefined,
  ): Promise<TableShape> {
    const columns = await this.#snapshots.run(
      { timeoutMs: describeTimeoutMs, reads: name },
      async (sql): Promise<Column[]> => {
        const result = await sql.stream(`SELECT * FROM db.main.${ident(name)} LIMIT 0`);
        const names = result.columnNames();
        return result.columnTypes().map((type, i) => ({ name: names[i] ?? "", type }));
      },
    );
    const named = (wanted: readonly string[]): Column[] =>
      wanted.flatMap((column) => columns.find((one) => one.name === column) ?? []);
    const key = named(table?.key ?? (contract === undefined ? [] : [contract.contract.id]));
    const time = table === undefined ? contract?.contract.time : table.time;
    return {
      name,
      columns,
      key,
      order: table?.order === undefined ? key : named(table.order),
      time: columns.find((column) => column.name === time),
      rowText: rowJson(columns),
      program: table,
    };
  }
}
