import type { Sql } from "../database.ts";

/**
 * Commits at which files of the lake must stay apart: tables that a task keeps beside the live ones have exactly the
 * records up to there, and will be given those that came after. A replay reads raw and quarantine as well.
 *
 * Files up to a barrier and files after it are not merged with each other; where it is `frozen`, those up to it are left as
 * they are, as the task reads them by their names. A record of a file up to a barrier that another one took the place of after it stays in
 * its file: it will have to be taken back from those tables.
 */
export const barriersSchema =
  'CREATE TABLE IF NOT EXISTS db.weir.barriers (task UBIGINT, "commit" UBIGINT, frozen BOOLEAN)';

export interface Barrier extends Record<string, number | boolean> {
  commit: number;
  frozen: boolean;
}

export const readBarriers = (sql: Sql): Promise<Barrier[]> =>
  sql.rows<Barrier>(
    'SELECT DISTINCT "commit"::DOUBLE AS "commit", frozen FROM db.weir.barriers ORDER BY ALL',
  );

/** Puts a task's barrier at a commit, in place of the one that it has. */
export const setBarrier = (task: number, commit: number, frozen: boolean): string =>
  `MERGE INTO db.weir.barriers t USING (SELECT ${task} AS task) s ON t.task = s.task
     WHEN MATCHED THEN UPDATE SET "commit" = ${commit}, frozen = ${frozen}
     WHEN NOT MATCHED THEN INSERT VALUES (${task}, ${commit}, ${frozen})`;

export const dropBarrier = (task: number): string => `DELETE FROM db.weir.barriers WHERE task = ${task}`;

/** Which files may be merged with each other: those with the same answer; undefined for one that is left as it is. */
export function sideOf(barriers: readonly Barrier[], commit: number): number | undefined {
  if (barriers.some((barrier) => barrier.frozen && commit <= barrier.commit)) return undefined;
  return barriers.filter((barrier) => barrier.commit < commit).length;
}
