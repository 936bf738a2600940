import type { ContractProgram } from "@weir/compile";
import type { Sql } from "../database.ts";

type Known = NonNullable<ContractProgram["privacy"]["known"]>;

/**
 * Who was met lately: the sets of values that records had together, with what stands for them, in tables of the in-memory database. A batch asks
 * the vault only about others. (To ask it about all takes 5 us more an event in the engine's benchmark, where a person comes up again after 0.2 s.)
 *
 * Invariants:
 * - What is here is durable in the vault, and the vault has it still: a destruction empties this first, and a batch that found its
 *   tokens before it adds nothing after.
 * - Changed by one step at a time (see `Vault.exclusive`). Batches read it meanwhile, each statement what was there as it began.
 */
export class KnownPeople {
  readonly #tables = new Map<string, string>();
  readonly #limit: number;
  #size = 0;
  /** Goes up with each destruction. */
  #era = 0;

  /** @param limit sets of values, of all contracts together: some 300 bytes each */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Makes the tables that contracts need; within `exclusive`. Gives the era in which they are read. */
  async open(sql: Sql, contracts: readonly ContractProgram[]): Promise<number> {
    for (const known of knownOf(contracts)) {
      if (this.#tables.has(known.table)) continue;
      await sql.run(`CREATE TABLE ${known.table} (${known.columns})`);
      this.#tables.set(known.table, known.columns);
    }
    return this.#era;
  }

  /**
   * Adds whom a batch met first, once their tokens are durable; within `exclusive`.
   *
   * @param era in which the batch looked
   * @param count how many they are at most
   */
  async add(sql: Sql, contracts: readonly ContractProgram[], era: number, count: number): Promise<void> {
    if (era !== this.#era || count === 0 || count > this.#limit) return;
    if (this.#size + count > this.#limit) await this.#empty(sql);
    for (const known of knownOf(contracts)) await sql.run(`INSERT INTO ${known.table} ${known.added}`);
    this.#size += count;
  }

  /** Forgets everybody; within `exclusive`, before anything is destroyed. */
  async forget(sql: Sql): Promise<void> {
    this.#era++;
    await this.#empty(sql);
  }

  async #empty(sql: Sql): Promise<void> {
    for (const [table, columns] of this.#tables)
      await sql.run(`CREATE OR REPLACE TABLE ${table} (${columns})`);
    this.#size = 0;
  }
}

const knownOf = (contracts: readonly ContractProgram[]): Known[] =>
  contracts.flatMap(({ privacy }) => privacy.known ?? []);
