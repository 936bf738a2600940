import { existsSync, readdirSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Sql } from "../database.ts";
import { dropLeft } from "../shadow/swap.ts";
import { readTasks } from "./ledger.ts";
import type { RebuildResult } from "./rebuild-task.ts";
import type { TaskHost } from "./runner.ts";

/** How long the tables before a swap are kept, to be put back. */
const keptDays = 7;

/**
 * Removes files, tables and barriers of tasks that have ended: a task that was killed while it ended leaves them. Keeps, for
 * seven days, what undoing a swap takes.
 */
export async function sweepShadows(sql: Sql, host: TaskHost): Promise<void> {
  const open = await readTasks(sql, "state IN ('waiting', 'running', 'ready')");
  const swapped = await readTasks(
    sql,
    `kind = 'rebuild' AND state = 'done' AND ended_at > now()::TIMESTAMP - INTERVAL ${keptDays} DAY`,
  );
  const copies = new Set(open.map(({ id }) => id));
  const replayed = await readTasks(
    sql,
    `kind = 'replay' AND state = 'done' AND result IS NOT NULL AND ended_at > now()::TIMESTAMP - INTERVAL ${keptDays} DAY`,
  );
  const directories = new Set([
    ...copies,
    ...replayed.filter((task) => task.arguments["undo"] === undefined).map(({ id }) => id),
  ]);
  const kept = new Set([
    ...copies,
    ...swapped.filter(({ result }) => (result as RebuildResult | null)?.swapped !== null).map(({ id }) => id),
  ]);
  await dropLeft(sql, copies, kept);
  await sql.run(`DELETE FROM db.weir.barriers WHERE task NOT IN (${[...kept].join(", ") || "0"})`);
  const shadows = dirname(host.shadowDirectory(0));
  if (!existsSync(shadows)) return;
  for (const name of readdirSync(shadows))
    if (!directories.has(Number(basename(name))))
      rmSync(join(shadows, name), { recursive: true, force: true });
}
