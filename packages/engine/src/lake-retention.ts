import { ident, text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "./database.ts";
import type { ResolvedRetention } from "./keep.ts";
import type { Lake, LakeFile } from "./lake.ts";
import { moveEdge } from "./removed-history.ts";
import type { RemovedHistory } from "./removed-history.ts";
import type { ReplacedFiles } from "./replaced-files.ts";

/** Files that go at a time: their rows are counted first. */
const filesAtOnce = 64;

interface OldFile extends Record<string, string | number> {
  zone: LakeFile["zone"];
  name: string;
  path: string;
  high: string;
}

type Exclusive = (step: () => Promise<void>) => Promise<void>;

/**
 * Removes files of the lake whose newest row is older than its zone keeps: by time of receipt in raw and quarantine, by
 * event time in clean.
 *
 * Invariants: what a zone has and what went from it (`removed`) add up to what conservation says; a clean file goes only
 * when the edge of its contract is past it (see removed-history.ts).
 *
 * Steps, each of which may be the last before a crash:
 *
 * 1. The edge moves, alone. From its commit on nobody takes records back that are in the files. The files still count.
 * 2. Their rows are counted, while commits go on: files do not change, and records in them are not taken back any more.
 * 3. One transaction takes the files off the manifest and adds their rows to `removed`, unless another step replaced one of
 *    them meanwhile: then nothing happens, and the next round begins again.
 * 4. The files are removed once nobody can be reading them. Before that they are left over, which the next start sweeps.
 */
export class LakeRetention {
  readonly #lake: Lake;
  readonly #keep: ResolvedRetention;
  readonly #history: RemovedHistory;
  readonly #replaced: ReplacedFiles;

  constructor(lake: Lake, keep: ResolvedRetention, history: RemovedHistory, replaced: ReplacedFiles) {
    this.#lake = lake;
    this.#keep = keep;
    this.#history = history;
    this.#replaced = replaced;
  }

  /**
   * Removes what is old, some files at a time.
   *
   * @param exclusive runs a step while no commit does
   */
  async run(sql: Sql, nowMs: number, exclusive: Exclusive): Promise<void> {
    const old = await sql.rows<OldFile>(
      `SELECT zone, name, path, max_time::VARCHAR AS high FROM db.weir.files
       WHERE ${this.#condition(nowMs)} ORDER BY zone, name, max_time, path`,
    );
    const groups = new Map<string, OldFile[]>();
    for (const file of old) {
      const key = `${file.zone}/${file.name}`;
      groups.set(key, [...(groups.get(key) ?? []), file]);
    }
    for (const files of groups.values()) {
      for (let at = 0; at < files.length; at += filesAtOnce)
        await this.#remove(sql, files.slice(at, at + filesAtOnce), nowMs, exclusive);
    }
  }

  /** On files of the manifest: whether their newest row is older than is kept. */
  #condition(nowMs: number): string {
    const { rawMs, quarantineMs, cleanMs, cleanOf } = this.#keep;
    const older = (keptMs: number): string =>
      `max_time < make_timestamp(${Math.trunc((nowMs - keptMs) * 1000)})`;
    const named = Object.entries(cleanOf);
    const others =
      named.length === 0 ? "" : ` AND name NOT IN (${named.map(([name]) => text(name)).join(", ")})`;
    const conditions = [
      ...(rawMs === undefined ? [] : [`zone = 'raw' AND ${older(rawMs)}`]),
      ...(quarantineMs === undefined ? [] : [`zone = 'quarantine' AND ${older(quarantineMs)}`]),
      ...(cleanMs === undefined ? [] : [`zone = 'clean'${others} AND ${older(cleanMs)}`]),
      ...named.flatMap(([name, keptMs]) =>
        keptMs === null ? [] : [`zone = 'clean' AND name = ${text(name)} AND ${older(keptMs)}`],
      ),
    ];
    return conditions.length === 0 ? "FALSE" : conditions.map((one) => `(${one})`).join(" OR ");
  }

  async #remove(sql: Sql, files: readonly OldFile[], nowMs: number, exclusive: Exclusive): Promise<void> {
    const [first, last] = [files[0], files.at(-1)];
    if (first === undefined || last === undefined) return;
    const { zone, name } = first;
    if (zone === "clean") {
      await exclusive(async () => {
        await sql.run(moveEdge(name, last.high));
        await this.#history.read(sql);
      });
      failpoint("engine.retain.edge_moved");
    }
    await this.#countRows(sql, files);
    failpoint("engine.retain.counted");
    let isRemoved = false;
    await exclusive(async () => {
      await sql.run("BEGIN");
      const paths = files.map(({ path }) => text(path)).join(", ");
      const { listed } = await sql.row<{ listed: number }>(
        `SELECT count(*)::DOUBLE AS listed FROM db.weir.files WHERE path IN (${paths})`,
      );
      isRemoved = listed === files.length;
      if (isRemoved) {
        await sql.run(`DELETE FROM db.weir.files WHERE path IN (${paths});
          DELETE FROM db.weir.superseded x USING temp.old_superseded o WHERE ${zone === "clean" ? `x.contract = ${text(name)}` : "FALSE"}
            AND x.source = o.source AND x.writer = o.writer AND x.number = o.number AND x.line = o.line;
          MERGE INTO db.weir.removed t USING temp.old_rows s ON t.zone = ${text(zone)} AND t.source = s.source AND t.contract = s.contract
            WHEN MATCHED THEN UPDATE SET "rows" = t."rows" + s."rows"
            WHEN NOT MATCHED THEN INSERT VALUES (${text(zone)}, s.source, s.contract, s."rows")`);
        failpoint("engine.retain.before_commit");
      }
      await sql.run("COMMIT");
    });
    await sql.run("DROP TABLE temp.old_rows; DROP TABLE temp.old_superseded");
    if (!isRemoved) return;
    failpoint("engine.retain.committed");
    this.#replaced.add(
      files.map(({ path }) => path),
      nowMs,
    );
  }

  /** `old_rows`: the files' rows that count, by source and contract; `old_superseded`: the positions of those that do not. */
  async #countRows(sql: Sql, files: readonly OldFile[]): Promise<void> {
    const [{ zone, name } = { zone: "raw", name: "" }] = files;
    const list = files.map(({ path }) => text(this.#lake.path(path))).join(", ");
    const read = `read_parquet([${list}], union_by_name = true, hive_partitioning = false)`;
    const hidden =
      zone === "clean"
        ? `SELECT x.source, x.writer, x.number, x.line FROM db.weir.superseded x
           WHERE x.contract = ${text(name)} AND EXISTS (SELECT 1 FROM ${read} c WHERE x.source = c._source AND x.writer = c._writer AND x.number = c._number AND x.line = c._line)`
        : "SELECT source, writer, number, line FROM db.weir.superseded LIMIT 0";
    const counted = {
      raw: `SELECT ${text(name)} AS source, '' AS contract FROM ${read}`,
      clean: `SELECT c._source AS source, ${text(name)} AS contract FROM ${read} c WHERE NOT EXISTS (
        SELECT 1 FROM temp.old_superseded x WHERE x.source = c._source AND x.writer = c._writer AND x.number = c._number AND x.line = c._line)`,
      quarantine: `SELECT source, coalesce(contract, '(unknown)') AS contract FROM ${read}`,
    }[zone];
    await sql.run(`CREATE OR REPLACE TEMP TABLE old_superseded AS ${hidden};
      CREATE OR REPLACE TEMP TABLE old_rows AS SELECT source, contract, count(*)::BIGINT AS ${ident("rows")} FROM (${counted}) GROUP BY ALL`);
  }
}
