import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Compaction } from "./compact.ts";
import type { Sql } from "./database.ts";
import { HistoryRetention } from "./history-retention.ts";
import type { Lake } from "./lake.ts";
import { LakeRetention } from "./lake-retention.ts";
import type { RemovedHistory } from "./removed-history.ts";
import type { ReplacedFiles } from "./replaced-files.ts";
import type { ResolvedSettings } from "./settings.ts";

type Exclusive = (step: () => Promise<void>) => Promise<void>;

/**
 * What happens to the lake's files beside commits, one thing at a time: old ones go, small ones are merged, and those that
 * nothing lists any more are removed. Histories of entities are cut off in the same round.
 */
export class LakeUpkeep {
  readonly #lake: Lake;
  readonly #sql: Sql;
  readonly #retention: LakeRetention;
  readonly #histories: HistoryRetention;
  readonly #compaction: Compaction;
  readonly replaced: ReplacedFiles;
  #running: Promise<void> | undefined;

  /** @param sql a connection of its own */
  constructor(parts: {
    readonly lake: Lake;
    readonly sql: Sql;
    readonly settings: Pick<ResolvedSettings, "keep" | "quietMs" | "historyStepMs">;
    readonly history: RemovedHistory;
    readonly replaced: ReplacedFiles;
  }) {
    this.#lake = parts.lake;
    this.#sql = parts.sql;
    this.replaced = parts.replaced;
    this.#retention = new LakeRetention(parts.lake, parts.settings.keep, parts.history, parts.replaced);
    this.#histories = new HistoryRetention(parts.history.program, parts.settings);
    this.#compaction = new Compaction(parts.lake, parts.replaced, parts.settings.quietMs);
  }

  /** From now on files of the zone are not merged, until what it gives is called. */
  keep(zone: string): () => void {
    return this.#compaction.keep(zone);
  }

  /** Removes what no manifest lists: leftovers of a crash. Files of unfinished batches are written again anyway. */
  async sweep(): Promise<void> {
    const rows = await this.#sql.rows<{ path: string }>("SELECT path FROM db.weir.files");
    const listed = new Set(rows.map(({ path }) => path));
    for (const zone of ["raw", "clean", "quarantine"]) {
      if (!existsSync(this.#lake.path(zone))) continue;
      for (const entry of readdirSync(this.#lake.path(zone), { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || entry.name.startsWith("_columns-")) continue;
        const path = join(entry.parentPath, entry.name).slice(this.#lake.root.length + 1);
        if (!listed.has(path)) rmSync(this.#lake.path(path), { force: true });
      }
    }
  }

  /**
   * Starts a round, unless one is under way.
   *
   * @param exclusive runs a step while no commit does
   * @param fail hears of a round that failed
   */
  start(nowMs: number, exclusive: Exclusive, fail: (error: unknown) => void): void {
    this.replaced.remove(nowMs);
    this.#running ??= this.#run(nowMs, exclusive)
      .catch(fail)
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(nowMs: number, exclusive: Exclusive): Promise<void> {
    await this.#retention.run(this.#sql, nowMs, exclusive);
    await this.#histories.run(this.#sql, nowMs, exclusive);
    await this.#compaction.run(this.#sql, nowMs, exclusive);
  }

  /** Ends the round, and removes what waits for its readers to end: there are none any more. */
  async close(): Promise<void> {
    await this.#running;
    this.replaced.close();
  }
}
