import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { manifestValues } from "../lake.ts";
import type { Lake, LakeFile } from "../lake.ts";
import { quarantineColumns, quarantineEmptyPath, quarantineId } from "../views.ts";
import type { TaskHost } from "./runner.ts";

/** Which records of the quarantine are meant: all that it names. */
export interface QuarantineSelection {
  readonly source?: string;
  /** That rejected it, or under whose name it was sent. */
  readonly contract?: string;
  readonly reason?: string;
  readonly ids?: readonly string[];
}

/** The selection as a condition on rows of the quarantine. */
export function selectionSql({ source, contract, reason, ids }: QuarantineSelection): string {
  const conditions = [
    ...(source === undefined ? [] : [`source = ${text(source)}`]),
    ...(contract === undefined ? [] : [`(contract = ${text(contract)} OR sent = ${text(contract)})`]),
    ...(reason === undefined ? [] : [`reason = ${text(reason)}`]),
    ...(ids === undefined ? [] : [`${quarantineId} IN (${ids.map(text).join(", ") || "NULL"})`]),
  ];
  return conditions.length === 0 ? "TRUE" : conditions.map((condition) => `(${condition})`).join(" AND ");
}

/** Rows of quarantine files in the layout of today, with their `filename`. */
export function quarantineRows(lake: Lake, paths: readonly string[]): string {
  const list = [quarantineEmptyPath, ...paths].map((path) => text(lake.path(path))).join(", ");
  const columns = quarantineColumns.map(([name, type]) => `${name}::${type} AS ${name}`).join(", ");
  return `SELECT ${columns}, filename FROM read_parquet([${list}], union_by_name = true, hive_partitioning = false, filename = true)`;
}

/** A file of the quarantine, and how many of its rows a task still has to do with. */
export interface QuarantineFile extends Record<string, string | number> {
  path: string;
  rows: number;
  bytes: number;
  commit: number;
  eligible: number;
}

/** Files with rows that a condition holds of, oldest first. */
export async function filesWith(sql: Sql, lake: Lake, condition: string): Promise<QuarantineFile[]> {
  const listed = await sql.rows<{ path: string }>("SELECT path FROM db.weir.files WHERE zone = 'quarantine'");
  if (listed.length === 0) return [];
  return await sql.rows<QuarantineFile>(
    `SELECT f.path, f."rows"::DOUBLE AS "rows", f.bytes::DOUBLE AS bytes, f."commit"::DOUBLE AS "commit", e.n::DOUBLE AS eligible
     FROM (SELECT filename, count(*) AS n FROM (${quarantineRows(
       lake,
       listed.map(({ path }) => path),
     )}) WHERE ${condition} GROUP BY filename) e
     JOIN db.weir.files f ON f.zone = 'quarantine' AND e.filename = ${text(`${lake.root}/`)} || f.path
     ORDER BY f."commit", f.path`,
  );
}

/** Whether the manifest still has all of the files. Within a step that nothing else writes state beside. */
export async function areListed(sql: Sql, paths: readonly string[]): Promise<boolean> {
  const { n } = await sql.row<{ n: number }>(
    `SELECT count(*)::DOUBLE AS n FROM db.weir.files WHERE path IN (${paths.map(text).join(", ")})`,
  );
  return n === paths.length;
}

/**
 * Puts files of at most `most` rows in the place of a large one, so that no step has to write more than that. Nothing that
 * users see changes.
 */
export async function splitFile(sql: Sql, host: TaskHost, file: QuarantineFile, most: number): Promise<void> {
  const pieces: LakeFile[] = [];
  for (let at = 0; at < file.rows; at += most) {
    const query = `SELECT * EXCLUDE (file_row_number, filename) FROM (
      SELECT q.*, row_number() OVER () - 1 AS file_row_number FROM (${quarantineRows(host.lake, [file.path])}) q)
      WHERE file_row_number BETWEEN ${at} AND ${at + most - 1}`;
    const { low, high } = await sql.row<{ low: string; high: string }>(
      `SELECT min(received_at)::VARCHAR AS low, max(received_at)::VARCHAR AS high FROM (${query})`,
    );
    const path = `${file.path.replace(/\.parquet$/, "")}-${pieces.length}.parquet`;
    pieces.push(
      await host.lake.write(sql, query, { zone: "quarantine", name: "", path, minTime: low, maxTime: high }),
    );
  }
  await host.lake.syncDirectories(pieces);
  failpoint("engine.task.split_written");
  await host.exclusive(async () => {
    if (!(await areListed(sql, [file.path]))) return;
    await sql.run(`BEGIN;
      DELETE FROM db.weir.files WHERE path = ${text(file.path)};
      INSERT INTO db.weir.files VALUES ${pieces.map((piece) => manifestValues(piece, file.commit)).join(", ")};
      COMMIT`);
    host.files.replaced.add([file.path], Date.now());
  });
  failpoint("engine.task.split_recorded");
}
