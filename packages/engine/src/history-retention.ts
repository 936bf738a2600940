import type { HistoryParts, Program } from "@weir/compile";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "./database.ts";
import type { ResolvedRetention } from "./keep.ts";
import { runStatements } from "./merge.ts";
import type { ResolvedSettings } from "./settings.ts";

/** Records of a history that are looked through at a time, about: half a second, in which nothing is committed. */
const recordsAtOnce = 400_000;
const hashes = 1n << 64n;

/**
 * Cuts off the histories of entities that are kept for a time: states that ended before its border are not shown any more, and the
 * records that no other state needs go (see entity-prune.ts of the compiler).
 *
 * Invariants: the border of a table only grows, until the table is built anew at a start, from all of the clean zone. No record
 * goes before the border is past it. What is shown depends on the border and the set of records alone, not on which
 * records have gone.
 *
 * Steps, each of which may be the last before a crash:
 *
 * 1. The border moves, alone, by a day or a thirty-second of what is kept; from its commit on nobody reads states that ended before.
 * 2. Things are looked through by the hash of their keys, some at a time, each part in a transaction of its own with the count of
 *    what went. A part that is done twice finds nothing the second time.
 * 3. It is noted that all parts are done. Until then every start, and every swap of the table, begins with the first again.
 */
export class HistoryRetention {
  readonly #program: Program;
  readonly #keep: ResolvedRetention;
  readonly #stepMs: number;

  constructor(program: Program, settings: Pick<ResolvedSettings, "keep" | "historyStepMs">) {
    this.#program = program;
    this.#keep = settings.keep;
    this.#stepMs = settings.historyStepMs;
  }

  /** @param exclusive runs a step while no commit does */
  async run(sql: Sql, nowMs: number, exclusive: (step: () => Promise<void>) => Promise<void>): Promise<void> {
    for (const { name, history } of this.#program.tables) {
      const keptMs = this.#keep.historyOf[name] ?? this.#keep.historyMs;
      if (history === undefined || keptMs === undefined || this.#keep.historyOf[name] === null) continue;
      const stepMs = Math.min(this.#stepMs, Math.max(1, Math.floor(keptMs / 32)));
      const borderUs = Math.floor((nowMs - keptMs) / stepMs) * stepMs * 1000;
      const stored = await storedBorder(sql, name);
      if (borderUs > stored.borderUs) {
        await exclusive(() => sql.run(moveBorder(name, borderUs)));
        failpoint("engine.retain.border_moved");
      }
      const us = Math.max(borderUs, stored.borderUs);
      if (us > stored.prunedUs) await this.#prune(sql, name, history, us, exclusive);
    }
  }

  async #prune(
    sql: Sql,
    name: string,
    history: HistoryParts,
    borderUs: number,
    exclusive: (step: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const { n } = await sql.row<{ n: number }>(
      `SELECT count(*)::DOUBLE AS n FROM db.state."${history.records}"`,
    );
    const parts = BigInt(Math.max(1, Math.ceil(n / recordsAtOnce)));
    await sql.run(`SET VARIABLE weir_border = make_timestamp(${borderUs})`);
    for (let part = 0n; part < parts; part++) {
      const [low, high] = [(hashes * part) / parts, (hashes * (part + 1n)) / parts - 1n];
      await exclusive(async () => {
        await sql.run(
          `BEGIN; SET VARIABLE weir_low = ${low}::UBIGINT; SET VARIABLE weir_high = ${high}::UBIGINT`,
        );
        await runStatements(sql, history.prune);
        await sql.run(countGone(name, history));
        failpoint("engine.retain.history_before_commit");
        await sql.run("COMMIT");
      });
      failpoint("engine.retain.history_pruned");
      await sql.run(history.drop);
    }
    await exclusive(() =>
      sql.run(
        `UPDATE db.weir.history_borders SET pruned = make_timestamp(${borderUs}) WHERE name = ${text(name)}`,
      ),
    );
  }
}

async function storedBorder(sql: Sql, name: string): Promise<{ borderUs: number; prunedUs: number }> {
  const [stored] = await sql.rows<{ border: number; pruned: number }>(
    `SELECT epoch_us(border)::DOUBLE AS border, coalesce(epoch_us(pruned), -1)::DOUBLE AS pruned FROM db.weir.history_borders
     WHERE name = ${text(name)}`,
  );
  return stored === undefined
    ? { borderUs: Number.NEGATIVE_INFINITY, prunedUs: Number.NEGATIVE_INFINITY }
    : { borderUs: stored.border, prunedUs: stored.pruned };
}

const moveBorder = (name: string, us: number): string =>
  `MERGE INTO db.weir.history_borders t USING (SELECT ${text(name)} AS name, make_timestamp(${us}) AS border) s ON t.name = s.name
   WHEN MATCHED THEN UPDATE SET border = greatest(t.border, s.border)
   WHEN NOT MATCHED THEN INSERT VALUES (s.name, s.border, NULL)`;

const countGone = (name: string, { pruned }: HistoryParts): string =>
  `MERGE INTO db.weir.removed t USING (SELECT count(*)::BIGINT AS n FROM ${pruned}) s
     ON t.zone = 'history' AND t.source = '' AND t.contract = ${text(name)}
   WHEN MATCHED THEN UPDATE SET "rows" = t."rows" + s.n
   WHEN NOT MATCHED THEN INSERT VALUES ('history', '', ${text(name)}, s.n)`;

/** Tables that other ones took the place of have records again that had gone. */
export const pruneAgain = (tables: readonly { readonly name: string }[]): string =>
  `UPDATE db.weir.history_borders SET pruned = NULL WHERE name IN (${["''", ...tables.map(({ name }) => text(name))].join(", ")})`;

/** A table that is built anew has its whole history; in the transaction that does so. */
export const forgetBorder = (name: string): string =>
  `DELETE FROM db.weir.history_borders WHERE name = ${text(name)}`;
