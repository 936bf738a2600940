import { existsSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "./database.ts";
import { manifestValues } from "./lake.ts";
import type { Lake, LakeFile } from "./lake.ts";

/** Files smaller than this are worth merging; at full load every commit writes larger ones. */
const smallBytes = 16 * 1_048_576;
/** A directory is compacted when it has this many small files. */
const enoughFiles = 32;
const filesAtOnce = 256;
/** Merged files stay for queries that began before they were replaced; longer than a query may run. */
const graceMs = 120_000;

interface SmallFile extends Record<string, string | number> {
  zone: string;
  name: string;
  path: string;
  rows: number;
  bytes: number;
  low: string;
  high: string;
  commit: number;
}

/**
 * Merges the small files that commits a second apart leave behind, so that a query opens tens of files and not
 * thousands.
 *
 * The merged file takes the place of its parts in one transaction on the manifest. Before it the merged file does not
 * count, after it the parts do not; either is left over after a crash and swept at the next start.
 */
export class Compaction {
  readonly #lake: Lake;
  #running: Promise<void> | undefined;
  #replaced: { path: string; at: number }[] = [];

  constructor(lake: Lake) {
    this.#lake = lake;
  }

  /** Removes what no manifest lists: leftovers of a crash. Files of unfinished batches are written again anyway. */
  async sweep(sql: Sql): Promise<void> {
    const rows = await sql.rows<{ path: string }>("SELECT path FROM db.weir.files");
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
   * Starts merging one directory's small files if there are enough and nothing is merging yet.
   *
   * @param exclusive runs a step while no commit does
   * @param fail hears of a merge that failed
   */
  start(
    sql: Sql,
    nowMs: number,
    exclusive: (step: () => Promise<void>) => Promise<void>,
    fail: (error: unknown) => void,
  ): void {
    this.#removeReplaced(nowMs);
    this.#running ??= this.#run(sql, exclusive)
      .catch(fail)
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #run(sql: Sql, exclusive: (step: () => Promise<void>) => Promise<void>): Promise<void> {
    const small = await sql.rows<SmallFile>(
      `SELECT zone, name, path, "rows"::DOUBLE AS "rows", bytes::DOUBLE AS bytes, min_time::VARCHAR AS low,
         max_time::VARCHAR AS high, "commit"::DOUBLE AS "commit"
       FROM db.weir.files WHERE bytes < ${smallBytes} ORDER BY "commit", path`,
    );
    const directories = new Map<string, SmallFile[]>();
    for (const file of small) {
      const directory = dirname(file.path);
      directories.set(directory, [...(directories.get(directory) ?? []), file]);
    }
    const [directory, files] = [...directories].find(([, parts]) => parts.length >= enoughFiles) ?? [];
    if (directory === undefined || files === undefined) return;
    await this.#merge(sql, directory, files.slice(0, filesAtOnce), exclusive);
  }

  async #merge(
    sql: Sql,
    directory: string,
    parts: readonly SmallFile[],
    exclusive: (step: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const [first, last] = [parts[0], parts.at(-1)];
    if (first === undefined || last === undefined) return;
    const list = parts.map(({ path }) => text(this.#lake.path(path))).join(", ");
    const name = `m${String(first.commit).padStart(12, "0")}-${String(last.commit).padStart(12, "0")}.parquet`;
    const merged = await this.#lake.write(
      sql,
      `FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false)`,
      {
        zone: first.zone as LakeFile["zone"],
        name: first.name,
        path: `${directory}/${name}`,
        minTime: parts.reduce((low, part) => (part.low < low ? part.low : low), first.low),
        maxTime: parts.reduce((high, part) => (part.high > high ? part.high : high), first.high),
      },
    );
    const rows = parts.reduce((sum, part) => sum + part.rows, 0);
    if (merged.rows !== rows)
      throw new Error(`${directory}: ${rows} rows were to be merged, ${merged.rows} were written`);
    await this.#lake.syncDirectories([merged]);
    failpoint("engine.compact.written");
    await exclusive(async () => {
      await sql.run(`BEGIN;
        DELETE FROM db.weir.files WHERE path IN (${parts.map(({ path }) => text(path)).join(", ")});
        INSERT INTO db.weir.files VALUES ${manifestValues(merged, last.commit)};
        COMMIT`);
    });
    failpoint("engine.compact.committed");
    const now = Date.now();
    this.#replaced.push(...parts.map(({ path }) => ({ path, at: now })));
  }

  #removeReplaced(nowMs: number): void {
    const due = this.#replaced.filter(({ at }) => nowMs - at >= graceMs);
    for (const { path } of due) rmSync(this.#lake.path(path), { force: true });
    this.#replaced = this.#replaced.filter(({ at }) => nowMs - at < graceMs);
  }

  async close(): Promise<void> {
    await this.#running;
    for (const { path } of this.#replaced.splice(0)) rmSync(this.#lake.path(path), { force: true });
  }
}
