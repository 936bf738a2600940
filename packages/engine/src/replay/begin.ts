import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Sql } from "../database.ts";
import { setBarrier } from "../shadow/barriers.ts";
import type { TaskRun } from "../tasks/runner.ts";
import { receivedIn } from "./request.ts";
import type { Span } from "./request.ts";
import { samePlace } from "./workspace.ts";
import type { Workspace } from "./workspace.ts";

/** The interval that a task was asked for. */
export function spanOf({ task }: TaskRun): Span {
  const { from, to, before } = task.arguments;
  const us = (value: unknown): number => Date.parse(String(value)) * 1000;
  return { from: us(from), until: us(to ?? before) };
}

/** Puts the barrier at the last commit, and notes what the lake is as of it and what is to be judged. */
export async function begin(
  { host, task }: TaskRun,
  sql: Sql,
  space: Workspace,
  span: Span,
  /** Undefined where nothing is to be judged. */
  chunkRows: number | undefined,
): Promise<void> {
  let barrier = 0;
  let files: Record<string, string>[] = [];
  let hidden: Record<string, string>[] = [];
  await host.exclusive(async () => {
    ({ barrier } = await sql.row<{ barrier: number }>(
      `SELECT coalesce(max("commit"), 0)::DOUBLE AS barrier FROM db.weir.commits`,
    ));
    files = await sql.rows(
      `SELECT zone, name, path, "commit"::VARCHAR AS "commit", "rows"::VARCHAR AS "rows", min_time::VARCHAR AS low, max_time::VARCHAR AS high FROM db.weir.files`,
    );
    hidden = await sql.rows(
      `SELECT contract, id, source, writer, number::VARCHAR AS number, line::VARCHAR AS line, "commit"::VARCHAR AS "commit" FROM db.weir.superseded`,
    );
    await sql.run(setBarrier(task.id, barrier, true));
  });
  failpoint("engine.task.shadow_barrier");
  const values = (row: Record<string, string>): string => `(${Object.values(row).map(text).join(", ")})`;
  await space.inTransaction(async () => {
    await space.fill("live_files", files.map(values));
    await space.fill("live_hidden", hidden.map(values));
    await space.sql.run(
      `INSERT INTO replay VALUES (${span.from}, ${span.until}, ${barrier}, 'derive', NULL, NULL)`,
    );
    if (chunkRows !== undefined) await planChunks(space, host.lake, span, chunkRows);
  });
}

async function planChunks(
  { sql }: Workspace,
  lake: { path: (file: string) => string },
  span: Span,
  chunkRows: number,
): Promise<void> {
  const files = await sql.rows<{ source: string; path: string }>(
    `SELECT name AS source, path FROM live_files WHERE zone = 'raw' AND low::TIMESTAMP < make_timestamp(${span.until})
       AND high::TIMESTAMP >= make_timestamp(${span.from}) ORDER BY "commit", path`,
  );
  let n = 0;
  for (const { source, path } of files) {
    // By rows of the file, not of the interval: those are next to each other mostly.
    const { first, last } = await sql.row<{ first: number | null; last: number }>(
      `SELECT min(file_row_number)::DOUBLE AS first, max(file_row_number)::DOUBLE AS last
       FROM read_parquet(${text(lake.path(path))}, hive_partitioning = false, file_row_number = true) WHERE ${receivedIn(span)}`,
    );
    if (first === null) continue;
    for (let at = first; at <= last; at += chunkRows) {
      const end = Math.min(last, at + chunkRows - 1);
      await sql.run(
        `INSERT INTO chunks VALUES (${n++}, ${text(source)}, ${text(path)}, ${at}, ${end}, ${end - at + 1}, FALSE)`,
      );
    }
  }
}

/**
 * What is live of the interval must all have been judged again.
 *
 * @throws WeirError `raw_removed` where raw records are gone
 */
export async function checkComplete(space: Workspace): Promise<void> {
  const files = await space.parts("outcomes");
  const judged =
    files === undefined
      ? "FALSE"
      : `EXISTS (SELECT 1 FROM read_parquet(${files}, union_by_name = true, hive_partitioning = false) l WHERE ${samePlace("l", "o")})`;
  for (const table of ["removed", "quarantined"]) {
    if (!(await space.has(`SELECT 1 AS one FROM ${table} o WHERE NOT ${judged}`))) continue;
    throw new WeirError("raw_removed", "Raw records of the interval are not there any more.");
  }
}
