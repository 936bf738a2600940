/** For tests: an entity's statements over batches of records, without an engine, and what its views then show. */
import {
  DuckDBBlobValue,
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBInstance,
  DuckDBListValue,
  DuckDBTimestampValue,
} from "@duckdb/node-api";
import type { DuckDBConnection, DuckDBValue } from "@duckdb/node-api";
import type { Contract } from "@weir/contract";
import { instantUs } from "@weir/testkit";
import type { CleanRecord, EntityRow, EntityValue, HistoryRow } from "@weir/testkit";
import { compileProject } from "../compile.ts";
import { contractModel } from "../model.ts";
import type { Program, Statement, TableProgram } from "../program.ts";
import { ident, text } from "../sql.ts";
import type { EntitySpec } from "../table.ts";
import { keptStates } from "./entity-prune.ts";
import { typedLeafValue, leafType } from "./leaf.ts";

/** A record as the clean zone has it. */
export const cleanRecord = (contract: Contract, value: Readonly<Record<string, unknown>>): CleanRecord => ({
  contract,
  id: String(value[contract.id]),
  timeUs: instantUs(String(value[contract.time])),
  text: JSON.stringify(value),
  value,
});

export class EntityBench {
  readonly #connection: DuckDBConnection;
  readonly #program: Program;
  readonly #table: TableProgram;
  readonly #json: ReadonlySet<string>;
  #batches = 0;

  private constructor(
    connection: DuckDBConnection,
    program: Program,
    table: TableProgram,
    json: ReadonlySet<string>,
  ) {
    this.#connection = connection;
    this.#program = program;
    this.#table = table;
    this.#json = json;
  }

  /** @param defect what is wrong with the table */
  static async open(
    spec: EntitySpec,
    contracts: readonly Contract[],
    defect: (table: TableProgram) => TableProgram = (table) => table,
  ): Promise<EntityBench> {
    const program = compileProject({
      name: "bench",
      sources: { [contracts[0]?.name ?? ""]: { contracts } },
      tables: { t: spec },
    });
    const [table] = program.tables;
    if (table === undefined) throw new Error("unreachable: there is one table");
    const connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
    const run = (sql: string): Promise<unknown> => connection.run(sql);
    await run("SET TimeZone = 'UTC'; ATTACH ':memory:' AS db; CREATE SCHEMA db.state");
    for (const macro of program.setup) await run(macro);
    for (const { sql } of table.create) await run(sql);
    const { rows } = { rows: await connection.runAndReadAll(`DESCRIBE SELECT * FROM db.state.t`) };
    const json = rows.getRowObjects().filter((row) => row["column_type"] === "JSON");
    return new EntityBench(
      connection,
      program,
      defect(table),
      new Set(json.map((row) => String(row["column_name"]))),
    );
  }

  async merge(records: readonly CleanRecord[]): Promise<void> {
    await this.#show("fresh", records);
    await this.#begin();
    await this.#run([
      ...(this.#table.events === undefined ? [] : [this.#table.events]),
      ...this.#table.merge,
    ]);
  }

  /** Takes records back; `left` are all others. */
  async retract(removed: readonly CleanRecord[], left: readonly CleanRecord[]): Promise<void> {
    await this.#show("removed", removed);
    await this.#show("fresh", left);
    await this.#begin();
    const { retract, affectedEvents, merge } = this.#table;
    await this.#run([...retract, ...(affectedEvents === undefined ? [] : [affectedEvents]), ...merge]);
  }

  /** Cuts the history off, a part of the things at a time. */
  async cutOff(borderUs: bigint): Promise<void> {
    const { history, name } = this.#table;
    if (history === undefined) throw new Error(`${name} has no history`);
    await this.#connection.run(`CREATE SCHEMA IF NOT EXISTS db.weir;
      CREATE OR REPLACE TABLE db.weir.history_borders AS SELECT 't' AS name, make_timestamp(${borderUs}) AS border;
      SET VARIABLE weir_border = make_timestamp(${borderUs})`);
    const half = 1n << 63n;
    for (const [low, high] of [
      [0n, half - 1n],
      [half, 2n * half - 1n],
    ]) {
      await this.#connection.run(
        `SET VARIABLE weir_low = ${low}::UBIGINT; SET VARIABLE weir_high = ${high}::UBIGINT`,
      );
      await this.#run(history.prune);
    }
  }

  /** The history that is shown once it was cut off. */
  async keptHistory(): Promise<HistoryRow[]> {
    return this.#history(keptStates("t", this.#table.views[1]?.sql ?? ""));
  }

  /** How many records are stored. */
  async stored(): Promise<number> {
    const [row] = await this.#rows(
      `SELECT count(*)::INTEGER AS n FROM db.state."${this.#table.history?.records}"`,
    );
    return Number(row?.["n"]);
  }

  /** Keys that the last merge or retraction says to have changed: now, and in the history. */
  async changedKeys(): Promise<{ now: Set<string>; history: Set<string> }> {
    const keys = async (table: string): Promise<Set<string>> =>
      new Set((await this.#rows(`SELECT DISTINCT * FROM ${table}`)).map((row) => this.#key(row)));
    return { now: await keys("changed_t"), history: await keys("changed_t_history") };
  }

  /** Keys of the rows that the last merge or retraction put there. */
  async stampedKeys(): Promise<Set<string>> {
    const rows = await this.#rows(`SELECT * FROM (${this.#table.stamped}) WHERE _commit = ${this.#batches}`);
    return new Set(rows.map((row) => this.#key(row)));
  }

  #key(row: Record<string, DuckDBValue>): string {
    return keyText(this.#table.key.map((column) => plainValue(row[column] ?? null)));
  }

  async current(): Promise<EntityRow[]> {
    return (await this.#rows(this.#table.views[0]?.sql ?? "")).map((row) => this.#row(row));
  }

  history(): Promise<HistoryRow[]> {
    return this.#history(this.#table.views[1]?.sql ?? "");
  }

  async #history(sql: string): Promise<HistoryRow[]> {
    const rows = await this.#rows(sql);
    return rows.map((row) => ({
      ...this.#row(row),
      op: String(row["_op"]),
      fromUs: plainValue(row["valid_from"] ?? null) as bigint,
      toUs: plainValue(row["valid_to"] ?? null) as bigint | null,
    }));
  }

  /** The way that each thing of the last batch went. */
  async ways(): Promise<string[]> {
    return (await this.#rows("SELECT _how FROM todo_t ORDER BY ALL")).map((row) => String(row["_how"]));
  }

  close(): void {
    this.#connection.closeSync();
  }

  async #begin(): Promise<void> {
    await this.#connection.run(`SET VARIABLE weir_commit = ${++this.#batches}::UBIGINT`);
    await this.#run([this.#table.changed]);
  }

  async #run(statements: readonly Statement[]): Promise<void> {
    for (const { name, sql, needs } of statements) {
      try {
        if (needs !== undefined && (await this.#rows(`SELECT 1 FROM ${needs} LIMIT 1`)).length === 0)
          continue;
        await this.#connection.run(sql);
      } catch (error) {
        throw new Error(`${name}\n${sql}`, { cause: error });
      }
    }
  }

  async #rows(sql: string): Promise<Record<string, DuckDBValue>[]> {
    return (await this.#connection.runAndReadAll(sql)).getRowObjects();
  }

  /** `<prefix>_<contract>` with the records of each contract. */
  async #show(prefix: "fresh" | "removed", records: readonly CleanRecord[]): Promise<void> {
    for (const { contract, columns } of this.#program.contracts) {
      const own = records.filter((record) => record.contract === contract);
      const { fields } = contractModel(contract);
      const structure = JSON.stringify(Object.fromEntries(fields.map((f) => [f.name, leafType(f.type)])));
      const patch = JSON.stringify(
        Object.fromEntries([...fields.map((f) => [f.name, null]), ["type", null]]),
      );
      const values = fields.map(
        (f) => `${typedLeafValue(`struct_extract(j, ${text(f.name)})`, f.type)} AS ${ident(f.name)}`,
      );
      const rest = columns
        .slice(fields.length + 1)
        .map(({ name, type }) => `NULL::${type} AS ${ident(name)}`);
      const rows = own.map((record) => `(${text(record.text)})`).join(", ");
      await this.#connection.run(
        `CREATE OR REPLACE TEMP TABLE ${ident(`${prefix}_${contract.name}`)} AS
         SELECT ${[...values, `nullif(json_merge_patch(t, ${text(patch)}), '{}')::JSON AS _extra`, ...rest].join(", ")}
         FROM (SELECT t::VARCHAR AS t, from_json(t::VARCHAR, ${text(structure)}) AS j FROM (VALUES ${rows === "" ? "(NULL)" : rows}) v(t))
         WHERE t IS NOT NULL`,
      );
    }
  }

  #row(row: Record<string, DuckDBValue>): EntityRow {
    const own = Object.entries(row).filter(([name]) => !name.startsWith("_") && !name.startsWith("valid_"));
    const list = (name: string): string[] => ((plainValue(row[name] ?? null) ?? []) as string[]).toSorted();
    return {
      columns: Object.fromEntries(
        own.map(([name, value]) => [
          name,
          this.#json.has(name) && value !== null
            ? { json: JSON.parse(String(value)) as unknown }
            : plainValue(value),
        ]),
      ),
      extra: JSON.parse(String(row["_extra"] ?? "{}")) as Record<string, unknown>,
      misfit: list("_misfit"),
      unknown: list("_unknown"),
      version: plainValue(row["_version"] ?? null) as string,
    };
  }
}

/** The values of a key as one text. */
export const keyText = (values: readonly (EntityValue | undefined)[]): string => values.map(String).join(" ");

function plainValue(value: DuckDBValue): EntityValue {
  if (value instanceof DuckDBTimestampValue) return value.micros;
  if (value instanceof DuckDBDateValue) return BigInt(value.days);
  if (value instanceof DuckDBDecimalValue) return value.value;
  if (value instanceof DuckDBListValue) return value.items.map(plainValue);
  if (value instanceof DuckDBBlobValue)
    return { bytes: Buffer.from(value.bytes).toString("hex").toUpperCase() };
  if (value === null || typeof value !== "object") return value;
  throw new Error(`no such value: ${String(value)}`);
}
