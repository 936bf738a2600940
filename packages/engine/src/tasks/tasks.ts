import { WeirError } from "@weir/contract";
import { measuredSpeed } from "./ledger.ts";
import type { TaskArguments, TaskInfo } from "./ledger.ts";
import type { QuarantineSelection } from "./quarantine-files.ts";
import { QuarantineTask, planQuarantine } from "./quarantine-task.ts";
import type { QuarantinePlan } from "./quarantine-task.ts";
import { RebuildTask } from "./rebuild-task.ts";
import { planRebuild, rebuildTask } from "./rebuild-request.ts";
import type { RebuildPlan, RebuildRequest } from "./rebuild-request.ts";
import { ReplayTask } from "./replay-task.ts";
import { planReplay, replayTask } from "../replay/request.ts";
import { undoReplayTask } from "../replay/undo.ts";
import type { ReplayPlan, ReplayRequest } from "../replay/request.ts";
import { UndoTask, undoable } from "./undo-task.ts";
import { TaskRunner } from "./runner.ts";
import type { TaskHost } from "./runner.ts";
import type { Sql } from "../database.ts";

/** A task's plan: what it would do, and how long it may take. */
export interface TaskPlan extends QuarantinePlan {
  /** By the speed of the last tasks of its kind; null where there was none. At the whole capacity, without pauses. */
  readonly estimatedMs: number | null;
}

export interface QuarantineRequest extends QuarantineSelection {
  readonly action: "reprocess" | "discard";
  /** Why records are discarded. */
  readonly why?: string;
  /** The share of the time that it works, of the rest it waits: 0.01 to 1. Default 0.5. */
  readonly share?: number;
}

const mostIds = 10_000;

/** The tasks of an engine: what operators ask for that takes longer than a request. */
export class Tasks {
  readonly #host: TaskHost;
  readonly #runner: TaskRunner;
  readonly #start: () => void;

  /**
   * @param sql a connection that nothing else uses
   * @param start starts the engine, if it does not run yet
   */
  constructor(host: TaskHost, sql: Sql, chunkRows: number, start: () => void) {
    const kinds = [
      new QuarantineTask("reprocess", chunkRows),
      new QuarantineTask("discard", chunkRows),
      new RebuildTask(chunkRows),
      new ReplayTask(chunkRows),
      new UndoTask(),
    ];
    this.#host = host;
    this.#runner = new TaskRunner(kinds, host, sql);
    this.#start = start;
  }

  /** Goes on with what has not ended. */
  start(): void {
    this.#runner.start();
  }

  stop(): Promise<void> {
    return this.#runner.stop();
  }

  /** See {@link TaskRunner.sweepRebuilds}. */
  sweepRebuilds(): Promise<void> {
    return this.#runner.sweepRebuilds();
  }

  /** Newest first. */
  list(limit = 100): Promise<TaskInfo[]> {
    return this.#runner.list(limit);
  }

  /** Those that have not ended, newest first; without what they found, which may hold rows of tables. */
  async open(): Promise<TaskInfo[]> {
    const tasks = await this.list();
    return tasks.filter(({ endedAt }) => endedAt === null).map((task) => ({ ...task, result: null }));
  }

  /** @throws WeirError `not_found` */
  show(id: number): Promise<TaskInfo> {
    return this.#runner.show(id);
  }

  /** Ends a task where it is; what it committed stays. @throws WeirError `not_found`, `task_ended` */
  cancel(id: number): Promise<TaskInfo> {
    return this.#runner.cancel(id);
  }

  /** What a rebuild would do. @throws WeirError `not_found`, `invalid_usage`, `history_removed` */
  planRebuild(request: RebuildRequest): Promise<RebuildPlan> {
    return this.#connected((sql) => planRebuild(sql, this.#host, request));
  }

  /**
   * Builds a table anew beside the live one, and compares them; see {@link RebuildTask}.
   *
   * @param actor who asks
   * @throws WeirError `not_found`, `invalid_usage`, `history_removed`, `task_running`
   */
  async rebuild(request: RebuildRequest, actor: string): Promise<TaskInfo> {
    const task = await this.#connected((sql) => rebuildTask(sql, this.#host, request, actor));
    this.#start();
    return await this.#runner.add(task);
  }

  /** What a replay would do. @throws WeirError `invalid_usage`, `history_removed`, `raw_removed` */
  planReplay(request: ReplayRequest): Promise<ReplayPlan> {
    return this.#connected((sql) => planReplay(sql, this.#host, request));
  }

  /**
   * Judges what was received in an interval again, beside what is live, and compares; see {@link ReplayTask}.
   *
   * @param actor who asks
   * @throws WeirError `invalid_usage`, `history_removed`, `raw_removed`, `task_running`
   */
  async replay(request: ReplayRequest, actor: string): Promise<TaskInfo> {
    const task = await this.#connected((sql) => replayTask(sql, this.#host, request, actor));
    this.#start();
    return await this.#runner.add(task);
  }

  /** Lets what a rebuild or replay that is ready built take the place of what is live. @throws WeirError `not_found`, `task_not_ready` */
  async swap(id: number): Promise<TaskInfo> {
    this.#start();
    return await this.#runner.resume(id, { swap: "always" });
  }

  /**
   * Puts back what a rebuild or a replay replaced, with what came since. Gives the task that does so.
   *
   * @throws WeirError `not_found`, `task_not_ready`, `task_running`
   */
  async undo(id: number, actor: string): Promise<TaskInfo> {
    const undone = await this.show(id);
    if (undone.kind === "replay") {
      const task = await this.#connected((sql) => undoReplayTask(sql, this.#host, undone, actor));
      this.#start();
      return await this.#runner.add(task);
    }
    await this.#connected((sql) => undoable(sql, this.#host, undone));
    this.#start();
    return await this.#runner.add({
      kind: "undo",
      target: `task ${id} (${undone.target})`,
      arguments: { task: id },
      actor,
      progress: { done: 0, total: 0, unit: "rows", busyMs: 0, counts: {} },
    });
  }

  async #connected<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = await this.#host.connect();
    try {
      return await work(sql);
    } finally {
      sql.close();
    }
  }

  /** What a request would do. @throws WeirError `invalid_usage` */
  async planQuarantine(request: QuarantineRequest): Promise<TaskPlan> {
    const { action, ...args } = checked(request);
    return await this.#connected(async (sql) => {
      const before = await lastCommit(sql);
      const plan = await planQuarantine(sql, this.#host, action, { ...argumentsOf(args), before });
      const speed = await measuredSpeed(sql, `quarantine.${action}`);
      return { ...plan, estimatedMs: speed === null ? null : Math.round((plan.records * 1000) / speed) };
    });
  }

  /**
   * Puts records of the quarantine through today's program, or takes them out of it for good: those that are there now.
   *
   * @param actor who asks
   * @throws WeirError `invalid_usage`, `task_running`
   */
  async quarantine(request: QuarantineRequest, actor: string): Promise<TaskInfo> {
    const { action, ...rest } = checked(request);
    const task = await this.#connected(async (sql) => {
      const args = { ...argumentsOf(rest), before: await lastCommit(sql) };
      const { records } = await planQuarantine(sql, this.#host, action, args);
      return {
        kind: `quarantine.${action}`,
        target: targetOf(rest),
        arguments: args,
        actor,
        progress: { done: 0, total: records, unit: "records" as const, busyMs: 0, counts: {} },
      };
    });
    this.#start();
    return await this.#runner.add(task);
  }
}

async function lastCommit(sql: Sql): Promise<number> {
  const { commit } = await sql.row<{ commit: number }>(
    `SELECT coalesce(max("commit"), 0)::DOUBLE AS "commit" FROM db.weir.commits`,
  );
  return commit;
}

function checked(request: QuarantineRequest): QuarantineRequest {
  const { action, ids = [], why, share = 0.5, ...texts } = request;
  const wrong = (message: string): WeirError => new WeirError("invalid_usage", message);
  for (const [name, value] of [...Object.entries({ ...texts, why }), ...ids.map((id) => ["id", id] as const)])
    if (value?.includes("\0") === true) throw wrong(`${name} has a NUL character.`);
  if (ids.length > mostIds) throw wrong(`At most ${mostIds} records can be named; use a filter.`);
  if (!(share >= 0.01 && share <= 1)) throw wrong("The share must be a number from 0.01 to 1.");
  if (action === "discard" && (why === undefined || why.trim() === ""))
    throw wrong("Say why the records are discarded.");
  return request;
}

function argumentsOf(request: Omit<QuarantineRequest, "action">): TaskArguments {
  const { source, contract, reason, ids, why, share = 0.5 } = request;
  return {
    ...(source === undefined ? {} : { source }),
    ...(contract === undefined ? {} : { contract }),
    ...(reason === undefined ? {} : { reason }),
    ...(ids === undefined ? {} : { ids: [...ids] }),
    ...(why === undefined ? {} : { why }),
    share,
  };
}

function targetOf({ source, contract, reason, ids, why }: Omit<QuarantineRequest, "action">): string {
  const parts = [
    ...(source === undefined ? [] : [`source ${source}`]),
    ...(contract === undefined ? [] : [`contract ${contract}`]),
    ...(reason === undefined ? [] : [`reason ${reason}`]),
    ...(ids === undefined ? [] : [ids.length === 1 ? (ids[0] ?? "") : `${ids.length} records`]),
  ];
  return (parts.join(", ") || "everything in quarantine") + (why === undefined ? "" : ` (${why})`);
}
