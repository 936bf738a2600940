import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { makeDirectory } from "../durable.ts";
import { keyedContent } from "../privacy/cipher.ts";
import type { Vault } from "../privacy/vault.ts";
import type { ResolvedSettings } from "../settings.ts";
import { IdIndex } from "./id-index.ts";
import type { RunInfo } from "./id-index.ts";
import { writeRun } from "./write-run.ts";

/** A run of what a commit decides about ids, on disk and not listed yet. */
export interface DecidedRun {
  /** Lists it; within the commit's transaction. */
  readonly sql: string;
  /** Asks it before all other runs, once that is committed. */
  listed(): void;
  /** Where nothing was committed. */
  discard(): void;
}

/**
 * Keeps the id index and the state in step. Run files are immutable and count once the state lists them; a file that
 * it does not list is left over from a crash and removed at start.
 */
export class IdStore {
  readonly #directory: string;
  readonly #settings: ResolvedSettings;
  readonly index: IdIndex;
  #sequence: number;
  /** Of all records that were received: ids are forgotten by it, also when the commits since the start had none. */
  #newestReceivedUs: number;
  #merging: Promise<void> | undefined;

  private constructor(
    directory: string,
    settings: ResolvedSettings,
    index: IdIndex,
    last: { seq: number; newest: number },
  ) {
    this.#directory = directory;
    this.#settings = settings;
    this.index = index;
    this.#sequence = last.seq;
    this.#newestReceivedUs = last.newest;
  }

  /** @param vault gives contents a key; records that were loaded before there was one have theirs without */
  static async open(
    sql: Sql,
    directory: string,
    settings: ResolvedSettings,
    vault?: Pick<Vault, "contentSecret">,
  ): Promise<IdStore> {
    makeDirectory(directory);
    const runs = await sql.rows<{ path: string; ids: number; newest: number; seq: number }>(
      `SELECT path, ids::DOUBLE AS ids, newest_received_us::DOUBLE AS newest, seq::DOUBLE AS seq
       FROM db.weir.id_runs ORDER BY seq DESC`,
    );
    const known = new Set(runs.map(({ path }) => path));
    for (const file of readdirSync(directory)) {
      if (known.has(file)) continue;
      rmSync(join(directory, file));
      failpoint("engine.open.leftover_ids_removed");
    }
    const index = new IdIndex(
      runs.map(({ path, ids, newest }) => ({
        path: join(directory, path),
        count: ids,
        newestReceivedUs: newest,
      })),
      settings.recentIds,
      vault && ((content) => keyedContent(vault.contentSecret, content)),
    );
    const result = await sql.stream(
      `SELECT h0, h1, h2, h3, t, content FROM db.weir.id_recent ORDER BY "commit"`,
    );
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) break;
      const vectors = [0, 1, 2, 3, 4, 5].map((i) => chunk.getColumnVector(i));
      const word = (column: number, row: number): number => vectors[column]?.getItem(row) as number;
      for (let i = 0; i < chunk.rowCount; i++) {
        const time = vectors[4]?.getItem(i) as bigint;
        index.restore(word(0, i), word(1, i), word(2, i), word(3, i), time, vectors[5]?.getItem(i) as bigint);
      }
    }
    // The name of a merged run has a higher number than its place in the order.
    const last = await sql.row<{ seq: number; newest: number }>(
      `SELECT coalesce(max(greatest(seq, split_part(path, '.', 1)::UBIGINT)), 0)::DOUBLE AS seq,
         (SELECT coalesce(max(newest_received_us), 0) FROM db.weir.commits)::DOUBLE AS newest FROM db.weir.id_runs`,
    );
    return new IdStore(directory, settings, index, last);
  }

  /**
   * After a commit: moves recent ids to a run when there are enough, and forgets old runs.
   *
   * @param newestReceivedUs of the commit's records; 0 where it has none that are new
   */
  async maintain(sql: Sql, newestReceivedUs: number): Promise<void> {
    this.#newestReceivedUs = Math.max(this.#newestReceivedUs, newestReceivedUs);
    if (this.index.recentCount >= this.#settings.recentIds) await this.#flush(sql);
    await this.#forget(sql);
  }

  async #flush(sql: Sql): Promise<void> {
    const newestReceivedUs = this.#newestReceivedUs;
    const name = this.#nextName();
    const count = this.index.recentCount;
    await this.index.flush(join(this.#directory, name));
    failpoint("engine.ids.flush_written");
    await sql.run(`BEGIN;
      INSERT INTO db.weir.id_runs VALUES (${text(name)}, ${count}, ${newestReceivedUs}, ${this.#sequence});
      DELETE FROM db.weir.id_recent;
      COMMIT`);
    failpoint("engine.ids.flush_recorded");
    this.index.flushed({ path: join(this.#directory, name), count, newestReceivedUs });
  }

  /**
   * Writes a run of ids that a commit decides anew, whatever was known of them; those that are recent have to be made known as such,
   * too. When it is the commit's turn, so that no other run is newer.
   *
   * @param table `h0` to `h3`, `t`, `content`, each id once
   * @returns undefined where there are none
   */
  async writeDecided(sql: Sql, table: string): Promise<DecidedRun | undefined> {
    const { ids } = await sql.row<{ ids: number }>(`SELECT count(*)::DOUBLE AS ids FROM ${table}`);
    if (ids === 0) return undefined;
    const newest = this.#newestReceivedUs;
    const name = this.#nextName();
    const path = join(this.#directory, name);
    await writeRun(
      path,
      await sql.stream(`SELECT h0, h1, h2, h3, t, content FROM ${table} ORDER BY h0, h1, h2, h3`),
      ids,
    );
    const info = { path, count: ids, newestReceivedUs: newest };
    return {
      sql: `INSERT INTO db.weir.id_runs VALUES (${text(name)}, ${ids}, ${newest}, ${this.#sequence});`,
      listed: () => this.index.listed(info),
      discard: () => rmSync(path, { force: true }),
    };
  }

  /** Merges runs in the background. `exclusive` runs a step while no commit does; `failed` hears why it could not. */
  startMerge(
    sql: Sql,
    exclusive: (step: () => Promise<void>) => Promise<void>,
    failed: (error: unknown) => void,
  ): void {
    if (this.#merging !== undefined) return;
    const group = this.index.mergeable(this.#settings.largestRun);
    if (group === undefined) return;
    this.#merging = this.#merge(sql, group, exclusive)
      .catch(failed)
      .finally(() => {
        this.#merging = undefined;
      });
  }

  async #merge(
    sql: Sql,
    group: readonly RunInfo[],
    exclusive: (step: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const name = this.#nextName();
    const path = join(this.#directory, name);
    const count = await this.index.merge(group, path);
    failpoint("engine.ids.merge_written");
    const newest = Math.max(...group.map((info) => info.newestReceivedUs));
    const old = group.map((info) => text(info.path.slice(this.#directory.length + 1))).join(", ");
    await exclusive(async () => {
      // The merged run takes the place of its newest member, so that order of age stays order of `seq`.
      await sql.run(`BEGIN;
        INSERT INTO db.weir.id_runs SELECT ${text(name)}, ${count}, ${newest}, max(seq) FROM db.weir.id_runs WHERE path IN (${old});
        DELETE FROM db.weir.id_runs WHERE path IN (${old});
        COMMIT`);
      failpoint("engine.ids.merge_recorded");
      this.index.merged(group, { path, count, newestReceivedUs: newest });
    });
    for (const info of group) {
      rmSync(info.path, { force: true });
      failpoint("engine.ids.merge_removed");
    }
  }

  async #forget(sql: Sql): Promise<void> {
    // A merge reads runs that could be forgotten; the next commit after it forgets what they became.
    if (this.#merging !== undefined) return;
    const old = this.index.forgetBefore(this.#newestReceivedUs - this.#settings.dedupHorizonUs);
    for (const { path } of old) {
      await sql.run(
        `DELETE FROM db.weir.id_runs WHERE path = ${text(path.slice(this.#directory.length + 1))}`,
      );
      failpoint("engine.ids.forget_recorded");
      rmSync(path, { force: true });
      failpoint("engine.ids.forget_removed");
    }
  }

  #nextName(): string {
    this.#sequence++;
    return `${String(this.#sequence).padStart(10, "0")}.ids`;
  }

  async close(): Promise<void> {
    await this.#merging;
    this.index.close();
  }
}
