import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { JsonValue, Sql } from "../database.ts";

/**
 * The ledger of tasks: what was asked for, by whom, how far it is, and how it ended. A row changes only in the chain of
 * steps that write state, and where a task commits something, in that commit: what it says of progress is what happened.
 *
 *   waiting     asked for; tasks run one after the other, in the order of their numbers
 *   running     in work; after a crash or a restart the engine takes it up again by itself
 *   ready       it did what it can by itself, and waits for somebody to say that it may go on
 *   done, failed, cancelled   ended
 *   undone      ended, and what it did was undone by another task
 */
export const tasksSchema = `CREATE TABLE IF NOT EXISTS db.weir.tasks (id UBIGINT, kind VARCHAR, target VARCHAR,
  arguments VARCHAR, actor VARCHAR, state VARCHAR, progress VARCHAR, created_at TIMESTAMP, started_at TIMESTAMP,
  ended_at TIMESTAMP, error VARCHAR, result VARCHAR)`;

export type TaskState = "waiting" | "running" | "ready" | "done" | "failed" | "cancelled" | "undone";

export type TaskArguments = Readonly<Record<string, JsonValue>>;

/** How far a task is, in what it counts by. */
export interface TaskProgress {
  readonly done: number;
  readonly total: number;
  readonly unit: "records" | "rows" | "files";
  /** Time that it worked, pauses left out, in ms. */
  readonly busyMs: number;
  /** What else there is to say, by name. */
  readonly counts: Readonly<Record<string, number>>;
}

export interface TaskInfo {
  readonly id: number;
  readonly kind: string;
  /** What it is about, in one line. */
  readonly target: string;
  readonly arguments: TaskArguments;
  /** Who asked for it. */
  readonly actor: string;
  readonly state: TaskState;
  readonly progress: TaskProgress;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Why it failed. */
  readonly error: string | null;
  /** What it found, in the form of its kind. */
  readonly result: unknown;
}

/** A task before it has a number. */
export type NewTask = Pick<TaskInfo, "kind" | "target" | "arguments" | "actor" | "progress">;

interface TaskRow extends Record<string, string | number | null> {
  id: number;
  kind: string;
  target: string;
  arguments: string;
  actor: string;
  state: string;
  progress: string;
  createdAt: string;
  startedAt: string | null;
  endedAt: string | null;
  error: string | null;
  result: string | null;
}

const iso = (column: string): string => `strftime(${column}, '%Y-%m-%dT%H:%M:%S.%gZ')`;

/** @param where a condition on the columns of the ledger. Newest first. */
export async function readTasks(sql: Sql, where = "TRUE", limit = 1000): Promise<TaskInfo[]> {
  const rows = await sql.rows<TaskRow>(
    `SELECT id::DOUBLE AS id, kind, target, arguments, actor, state, progress, ${iso("created_at")} AS "createdAt",
       ${iso("started_at")} AS "startedAt", ${iso("ended_at")} AS "endedAt", error, result
     FROM db.weir.tasks WHERE ${where} ORDER BY id DESC LIMIT ${limit}`,
  );
  return rows.map((row) => ({
    ...row,
    state: row.state as TaskState,
    arguments: JSON.parse(row.arguments) as TaskArguments,
    progress: JSON.parse(row.progress) as TaskProgress,
    result: row.result === null ? null : (JSON.parse(row.result) as unknown),
  }));
}

/** @throws WeirError `not_found` */
export async function readTask(sql: Sql, id: number): Promise<TaskInfo> {
  const [task] = await readTasks(sql, `id = ${id}`);
  if (task !== undefined) return task;
  throw new WeirError("not_found", `There is no task ${id}.`, { remedy: "weir tasks lists them." });
}

/** Adds a task that waits. Gives its number. */
export async function addTask(sql: Sql, task: NewTask): Promise<number> {
  const { id } = await sql.row<{ id: number }>(
    "SELECT (coalesce(max(id), 0) + 1)::DOUBLE AS id FROM db.weir.tasks",
  );
  await sql.run(`INSERT INTO db.weir.tasks VALUES (${id}, ${text(task.kind)}, ${text(task.target)},
    ${text(JSON.stringify(task.arguments))}, ${text(task.actor)}, 'waiting', ${text(JSON.stringify(task.progress))},
    now()::TIMESTAMP, NULL, NULL, NULL, NULL)`);
  return id;
}

/** The statement that notes how far a task is. */
export const progressSql = (id: number, progress: TaskProgress): string =>
  `UPDATE db.weir.tasks SET progress = ${text(JSON.stringify(progress))} WHERE id = ${id}`;

/** The statement that notes what a task found. */
export const resultSql = (id: number, result: object): string =>
  `UPDATE db.weir.tasks SET result = ${text(JSON.stringify(result))} WHERE id = ${id}`;

/** Notes that a task waits to be told to go on. */
export const readyTask = (sql: Sql, id: number): Promise<void> =>
  sql.run(`UPDATE db.weir.tasks SET state = 'ready' WHERE id = ${id}`);

/** Lets a task that waits go on, with other arguments. */
export const resumeTask = (sql: Sql, id: number, args: TaskArguments): Promise<void> =>
  sql.run(
    `UPDATE db.weir.tasks SET state = 'waiting', arguments = ${text(JSON.stringify(args))} WHERE id = ${id}`,
  );

/** Notes that a task begins, or goes on after a restart. */
export const beginTask = (sql: Sql, id: number): Promise<void> =>
  sql.run(
    `UPDATE db.weir.tasks SET state = 'running', started_at = coalesce(started_at, now()::TIMESTAMP) WHERE id = ${id}`,
  );

export const endTask = (
  sql: Sql,
  id: number,
  state: "done" | "failed" | "cancelled" | "undone",
  error?: string,
): Promise<void> =>
  sql.run(
    `UPDATE db.weir.tasks SET state = '${state}', ended_at = now()::TIMESTAMP,
       error = ${error === undefined ? "NULL" : text(error.slice(0, 4000))} WHERE id = ${id}`,
  );

/** What is measured of ended tasks of a kind: units a second of work; null where there was none yet. */
export async function measuredSpeed(sql: Sql, kind: string): Promise<number | null> {
  const tasks = await readTasks(sql, `kind = ${text(kind)} AND state IN ('ready', 'done', 'undone')`, 5);
  const done = tasks.reduce((sum, { progress }) => sum + progress.done, 0);
  const busyMs = tasks.reduce((sum, { progress }) => sum + progress.busyMs, 0);
  return done === 0 || busyMs === 0 ? null : (done * 1000) / busyMs;
}
