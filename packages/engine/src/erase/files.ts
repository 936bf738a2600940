import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { basename, dirname } from "node:path";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { manifestValues } from "../lake.ts";
import type { Lake, LakeFile } from "../lake.ts";
import { keptRows } from "./find.ts";

interface ListedFile extends Record<string, string | number> {
  zone: string;
  name: string;
  path: string;
  rows: number;
  commit: number;
  low: string;
  high: string;
  found: number;
}

/** A file that was written anew; undefined where nothing was left to write. */
interface Rewritten {
  readonly found: number;
  readonly file: LakeFile | undefined;
}

/**
 * Files of the lake without the rows in `erase_found`. They are written beside those that they replace, before the
 * transaction that lists them; a crash leaves them for the next start's sweep.
 */
export class RewrittenFiles {
  readonly #sql: Sql;
  readonly #lake: Lake;
  /** By path of the file that it replaces. */
  readonly #done = new Map<string, Rewritten>();

  constructor(sql: Sql, lake: Lake) {
    this.#sql = sql;
    this.#lake = lake;
  }

  /** Writes what is not written yet, or was with fewer rows found. */
  async write(): Promise<void> {
    const added: LakeFile[] = [];
    for (const listed of await this.#listed()) {
      const before = this.#done.get(listed.path);
      if (before?.found === listed.found) continue;
      if (before?.file !== undefined) this.#remove(before.file);
      const file = await this.#rewrite(listed);
      this.#done.set(listed.path, { found: listed.found, file });
      if (file !== undefined) added.push(file);
    }
    await this.#lake.syncDirectories(added);
    failpoint("engine.erase.files_written");
  }

  /** What was written, and the paths of what it takes the place of. */
  places(): { readonly files: readonly LakeFile[]; readonly replaced: readonly string[] } {
    const files = [...this.#done.values()].flatMap(({ file }) => file ?? []);
    return { files, replaced: [...this.#done.keys()] };
  }

  /** Puts the new files in the place of the old in the manifest, within a transaction. Gives the paths of the old. */
  async list(): Promise<string[]> {
    const replaced: string[] = [];
    for (const { path, commit } of await this.#listed()) {
      const done = this.#done.get(path);
      if (done === undefined) throw new Error(`unreachable: ${path} was not written anew`);
      replaced.push(path);
      await this.#sql.run(`DELETE FROM db.weir.files WHERE path = ${text(path)}`);
      if (done.file !== undefined)
        await this.#sql.run(`INSERT INTO db.weir.files VALUES ${manifestValues(done.file, commit)}`);
    }
    return replaced;
  }

  /** Removes what was written for nothing. */
  discard(): void {
    for (const { file } of this.#done.values()) if (file !== undefined) this.#remove(file);
    this.#done.clear();
  }

  #remove({ path }: LakeFile): void {
    rmSync(this.#lake.path(path), { force: true });
  }

  #listed(): Promise<ListedFile[]> {
    return this.#sql.rows<ListedFile>(
      `SELECT f.zone, f.name, f.path, f."rows"::DOUBLE AS "rows", f."commit"::DOUBLE AS "commit",
         f.min_time::VARCHAR AS low, f.max_time::VARCHAR AS high, e.found
       FROM db.weir.files f JOIN (SELECT path, count(*)::DOUBLE AS found FROM erase_found GROUP BY path) e ON e.path = f.path
       ORDER BY f.path`,
    );
  }

  async #rewrite({ zone, name, path, rows, low, high, found }: ListedFile): Promise<LakeFile | undefined> {
    if (found > rows) throw damaged(path);
    if (found === rows) return undefined;
    const [stem = ""] = basename(path, ".parquet").split("-e");
    const file = await this.#lake.write(this.#sql, keptRows(this.#lake, zone, name, path), {
      zone: zone as LakeFile["zone"],
      name,
      path: `${dirname(path)}/${stem}-e${randomBytes(4).toString("hex")}.parquet`,
      minTime: low,
      maxTime: high,
    });
    if (file.rows !== rows - found) throw damaged(path);
    return file;
  }
}

const damaged = (path: string): WeirError =>
  new WeirError("lake_file_damaged", "A file of the manifest has other rows than it was written with.", {
    where: path,
  });
