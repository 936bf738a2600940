import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "./database.ts";
import { manifestValues } from "./lake.ts";
import type { Lake, LakeFile } from "./lake.ts";
import { readBarriers, sideOf } from "./shadow/barriers.ts";
import type { Barrier } from "./shadow/barriers.ts";
import type { ReplacedFiles } from "./replaced-files.ts";

const mb = 1_048_576;
/** A file of this size is done. Merged ones are smaller than twice that. */
const doneBytes = 128 * mb;
/**
 * Files of a directory are merged with others of their tier only, so that each byte is written again at most once a tier: a
 * merged file would else be rewritten with every few files that come after it. A tier is 32 times the one below it.
 *
 * Writing a record again takes 4 us of CPU, a fifth of what loading it takes. At 30,000 events a second a commit's file has 6 MB, and
 * is merged once; with tiers of eight, and eight files at a time, it was twice, in a directory of half as many files.
 */
const tierBytes = [128 * 1024, 4 * mb, doneBytes] as const;
/** So many of one tier are merged. */
const enough = 32;
const filesAtOnce = 256;

export interface SmallFile extends Record<string, string | number> {
  zone: string;
  name: string;
  path: string;
  rows: number;
  bytes: number;
  commit: number;
  /** Of its commit, ms since the epoch. */
  atMs: number;
}

/**
 * Which files of a directory to merge now, if any.
 *
 * @param files smaller than `doneBytes`, by commit
 * @param quietMs a directory that got none for this long is merged whole
 */
export function mergeable(
  files: readonly SmallFile[],
  nowMs: number,
  quietMs: number,
): readonly SmallFile[] | undefined {
  if (files.length < 2) return undefined;
  const newest = Math.max(...files.map(({ atMs }) => atMs));
  if (nowMs - newest >= quietMs) return fitting(files);
  for (const [tier, below] of tierBytes.entries()) {
    const from = tierBytes[tier - 1] ?? 0;
    const peers = files.filter(({ bytes }) => bytes >= from && bytes < below);
    if (peers.length >= enough) return fitting(peers);
  }
  return undefined;
}

/** The first of them that make no more than twice a file that is done. */
function fitting(files: readonly SmallFile[]): readonly SmallFile[] {
  let total = 0;
  const taken = files.slice(0, filesAtOnce).filter(({ bytes }) => {
    total += bytes;
    return total < 2 * doneBytes;
  });
  return taken;
}

/**
 * Merges the files that commits leave behind, up to 128-256 MB, so that a query opens tens of files and not thousands.
 *
 * The merged file takes the place of its parts in one transaction on the manifest. Before it the merged file does not
 * count, after it the parts do not; either is left over after a crash and swept at the next start. Where a part was
 * replaced meanwhile by another step, nothing happens.
 *
 * Rows of the clean zone that another record took the place of are left out, and their entries in `superseded` go in the same
 * transaction: what they hid is not there any more. Entries that come while the file is written stay, as their rows do.
 */
export class Compaction {
  readonly #lake: Lake;
  readonly #quietMs: number;
  readonly #replaced: ReplacedFiles;
  /** How many asked that files of a zone be left as they are, by zone. */
  readonly #kept = new Map<string, number>();

  constructor(lake: Lake, replaced: ReplacedFiles, quietMs: number) {
    this.#lake = lake;
    this.#quietMs = quietMs;
    this.#replaced = replaced;
  }

  /** Merges no files of the zone until what it gives is called. */
  keep(zone: string): () => void {
    this.#kept.set(zone, (this.#kept.get(zone) ?? 0) + 1);
    return () => void this.#kept.set(zone, (this.#kept.get(zone) ?? 1) - 1);
  }

  /**
   * Merges files of one directory, if one has enough.
   *
   * @param exclusive runs a step while no commit does
   */
  async run(sql: Sql, nowMs: number, exclusive: (step: () => Promise<void>) => Promise<void>): Promise<void> {
    const small = await sql.rows<SmallFile>(
      `SELECT f.zone, f.name, f.path, f."rows"::DOUBLE AS "rows", f.bytes::DOUBLE AS bytes, f."commit"::DOUBLE AS "commit", coalesce(epoch_ms(c.committed_at), 0)::DOUBLE AS "atMs"
       FROM db.weir.files f LEFT JOIN db.weir.commits c USING ("commit") WHERE f.bytes < ${doneBytes} ORDER BY f."commit", f.path`,
    );
    const barriers = await readBarriers(sql);
    const groups = new Map<string, SmallFile[]>();
    for (const file of small) {
      if ((this.#kept.get(file.zone) ?? 0) > 0) continue;
      const side = sideOf(barriers, file.commit);
      if (side === undefined) continue;
      const key = `${dirname(file.path)} ${side}`;
      const files = groups.get(key);
      if (files === undefined) groups.set(key, [file]);
      else files.push(file);
    }
    for (const files of groups.values()) {
      const parts = mergeable(files, nowMs, this.#quietMs);
      if (parts !== undefined && parts.length > 1)
        return await this.#merge(sql, parts, barriers, nowMs, exclusive);
    }
  }

  async #merge(
    sql: Sql,
    parts: readonly SmallFile[],
    barriers: readonly Barrier[],
    nowMs: number,
    exclusive: (step: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const [first, last] = [parts[0], parts.at(-1)];
    if (first === undefined || last === undefined) return;
    const { zone, name } = first;
    const directory = dirname(first.path);
    const paths = parts.map(({ path }) => text(path)).join(", ");
    const list = parts.map(({ path }) => text(this.#lake.path(path))).join(", ");
    const read = `read_parquet([${list}], union_by_name = true, hive_partitioning = false)`;
    const hidden = await this.#hidden(sql, first, read, upTo(barriers, last.commit));
    const { low, high } = await sql.row<{ low: string; high: string }>(
      `SELECT min(min_time)::VARCHAR AS low, max(max_time)::VARCHAR AS high FROM db.weir.files WHERE path IN (${paths})`,
    );
    const file = `m${String(first.commit).padStart(12, "0")}-${String(last.commit).padStart(12, "0")}-${randomBytes(4).toString("hex")}.parquet`;
    const merged = await this.#lake.write(sql, `FROM ${read} c ${hidden === 0 ? "" : `WHERE ${notHidden}`}`, {
      zone: zone as LakeFile["zone"],
      name,
      path: `${directory}/${file}`,
      minTime: low,
      maxTime: high,
    });
    const rows = parts.reduce((sum, part) => sum + part.rows, 0) - hidden;
    if (merged.rows !== rows)
      throw new Error(`${directory}: ${rows} rows were to be merged, ${merged.rows} were written`);
    await this.#lake.syncDirectories([merged]);
    failpoint("engine.compact.written");
    let isReplaced = false;
    await exclusive(async () => {
      await sql.run("BEGIN");
      const { listed } = await sql.row<{ listed: number }>(
        `SELECT count(*)::DOUBLE AS listed FROM db.weir.files WHERE path IN (${paths})`,
      );
      // A barrier that came meanwhile may stand between the parts.
      isReplaced =
        listed === parts.length && JSON.stringify(await readBarriers(sql)) === JSON.stringify(barriers);
      if (isReplaced) {
        await sql.run(`DELETE FROM db.weir.files WHERE path IN (${paths});
          DELETE FROM db.weir.superseded x USING temp.merged_hidden h WHERE x.contract = ${text(name)}
            AND x.source = h.source AND x.writer = h.writer AND x.number = h.number AND x.line = h.line`);
        if (merged.rows > 0)
          await sql.run(`INSERT INTO db.weir.files VALUES ${manifestValues(merged, last.commit)}`);
        failpoint("engine.compact.before_commit");
      }
      await sql.run("COMMIT");
    });
    failpoint("engine.compact.committed");
    const gone = isReplaced ? parts.map(({ path }) => path) : [merged.path];
    this.#replaced.add(merged.rows > 0 || !isReplaced ? gone : [...gone, merged.path], nowMs);
  }

  /**
   * `merged_hidden`: positions of the parts' rows that another record took the place of, up to a commit. Gives their number.
   */
  async #hidden(sql: Sql, { zone, name }: SmallFile, read: string, commit: number): Promise<number> {
    const positions =
      zone === "clean"
        ? `SELECT x.source, x.writer, x.number, x.line FROM db.weir.superseded x
           WHERE x.contract = ${text(name)} AND x."commit" <= ${commit} AND EXISTS (SELECT 1 FROM ${read} c WHERE x.source = c._source AND x.writer = c._writer AND x.number = c._number AND x.line = c._line)`
        : "SELECT source, writer, number, line FROM db.weir.superseded LIMIT 0";
    await sql.run(`CREATE OR REPLACE TEMP TABLE merged_hidden AS ${positions}`);
    const { n } = await sql.row<{ n: number }>("SELECT count(*)::DOUBLE AS n FROM temp.merged_hidden");
    return n;
  }
}

/** Up to where records of files were taken back from every table that has them: the first barrier behind the files. */
const upTo = (barriers: readonly Barrier[], commit: number): number =>
  Math.min(Number.MAX_SAFE_INTEGER, ...barriers.map((one) => one.commit).filter((at) => at >= commit));

const notHidden = `NOT EXISTS (SELECT 1 FROM temp.merged_hidden x
  WHERE x.source = c._source AND x.writer = c._writer AND x.number = c._number AND x.line = c._line)`;
