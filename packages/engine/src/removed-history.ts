import type { Program, TableProgram } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { reachedTables } from "./merge.ts";
import type { Sql } from "./database.ts";

/**
 * Contracts whose clean zone has lost its beginning, and from where it is whole.
 *
 * Invariant: every loaded record of a contract whose event time is later than its edge is in the clean zone. Of those up to
 * the edge, some or all are gone. The edge only grows, and it grows before files go.
 *
 * Tables keep what they have of records that are gone, so nothing may compute part of a table anew from a clean zone that
 * does not have all of that part:
 *
 * - A record that was loaded keeps its place, though one with its id and an earlier time came later, where a group of a
 *   table that it is in may reach back to the edge (`keepsPlace`). The later one is a duplicate.
 * - A table that was built from more than is left is not built anew (`wouldLose`), unless the project says so.
 */
export class RemovedHistory {
  readonly program: Program;
  readonly #mayLose: ReadonlySet<string>;
  /** Edges by contract, microseconds since the epoch. */
  #edges: ReadonlyMap<string, bigint> = new Map();

  private constructor(program: Program, mayLose: readonly string[]) {
    this.program = program;
    this.#mayLose = new Set(mayLose);
  }

  /** @param mayLose tables that may be built anew from what is left */
  static async open(sql: Sql, program: Program, mayLose: readonly string[]): Promise<RemovedHistory> {
    const removed = new RemovedHistory(program, mayLose);
    await removed.read(sql);
    return removed;
  }

  /** Takes over what is committed. */
  async read(sql: Sql): Promise<void> {
    const rows = await sql.rows<{ contract: string; edge: string }>(
      "SELECT contract, edge_us::VARCHAR AS edge FROM db.weir.clean_edges",
    );
    this.#edges = new Map(rows.map(({ contract, edge }) => [contract, BigInt(edge)]));
  }

  /**
   * Whether a loaded record of a contract keeps its place, by its event time; undefined where all of them can be taken
   * back, which is so until the first file goes.
   */
  keepsPlace(contract: string): ((timeUs: bigint) => boolean) | undefined {
    if (this.#edges.size === 0) return undefined;
    const own = this.#edges.get(contract);
    const tables = reachedTables(this.program, ({ from }) => from.includes(contract));
    let before = own === undefined ? undefined : own + 1n;
    for (const { from, reachMs } of tables) {
      for (const edge of from.flatMap((name) => this.#edges.get(name) ?? [])) {
        if (reachMs === undefined) return () => true;
        const whole = edge + BigInt(reachMs) * 1000n;
        if (before === undefined || whole > before) before = whole;
      }
    }
    if (before === undefined) return undefined;
    const whole = before;
    return (timeUs) => timeUs < whole;
  }

  /** Whether building a table anew would lose rows that it has, and the project does not allow that. */
  wouldLose(table: TableProgram): boolean {
    return this.lostBy(table).length > 0 && !this.#mayLose.has(table.name);
  }

  /** The contracts of a table that lost their beginning. */
  lostBy({ from }: Pick<TableProgram, "from">): string[] {
    return from.filter((name) => this.#edges.has(name));
  }

  /** SQL timestamp from where the contracts of a table are whole; undefined where nothing is gone. */
  edgeOf(table: Pick<TableProgram, "from">): string | undefined {
    const edges = this.lostBy(table).map((name) => this.#edges.get(name) ?? 0n);
    if (edges.length === 0) return undefined;
    const latest = edges.reduce((a, b) => (a > b ? a : b));
    return new Date(Number(latest / 1000n)).toISOString().slice(0, 19).replace("T", " ");
  }
}

/** Moves the edge of a contract; in a transaction that is committed before any of its files go. */
export const moveEdge = (contract: string, edge: string): string =>
  `MERGE INTO db.weir.clean_edges t USING (SELECT ${text(contract)} AS contract, epoch_us(TIMESTAMP ${text(edge)}) AS edge_us) s
     ON t.contract = s.contract
   WHEN MATCHED THEN UPDATE SET edge_us = greatest(t.edge_us, s.edge_us)
   WHEN NOT MATCHED THEN INSERT VALUES (s.contract, s.edge_us)`;

/** A table whose definition changed, and that would lose rows if it were built anew. */
export const historyRemoved = ({ name }: TableProgram, contracts: readonly string[], edge = ""): WeirError =>
  new WeirError(
    "history_removed",
    `${name} is defined otherwise than it was built, and retention has removed records of ${contracts.join(", ")} up to ${edge}. Building it anew would lose what came of them.`,
    {
      where: `table ${name}`,
      remedy: `Give the new definition another name and keep ${name} as it was; or take its definition back; or list it in retention.rebuildFromKept, to have only what comes of the records that are left.`,
    },
  );
