import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Program } from "@weir/compile";
import type { Committed } from "../commit.ts";
import type { Sql } from "../database.ts";
import { engineError } from "../engine-error.ts";
import type { Suppression } from "../erase/suppression.ts";
import type { IdStore } from "../ids/id-store.ts";
import type { Lake } from "../lake.ts";
import type { LakeUpkeep } from "../lake-upkeep.ts";
import type { RemovedHistory } from "../removed-history.ts";
import type { Vault } from "../privacy/vault.ts";
import type { Serving } from "../serve/serving.ts";
import type { StagedBatch } from "../stage.ts";
import { addTask, beginTask, endTask, readTask, readTasks, readyTask, resumeTask } from "./ledger.ts";
import { sweepShadows } from "./sweep.ts";
import type { NewTask, TaskArguments, TaskInfo } from "./ledger.ts";

/** What a task can have of the engine that runs it. */
export interface TaskHost {
  readonly program: Program;
  readonly lake: Lake;
  /** Written by commits only, once they are committed. */
  readonly ids: Pick<IdStore, "index" | "writeDecided">;
  /** Whom to keep out. */
  readonly suppression: Suppression;
  /** Where the values behind tokens are; undefined where there never was a personal field. */
  readonly vault: Vault | undefined;
  /** A connection of its own, as batches are staged on. */
  connect(): Promise<Sql>;
  /** Runs a step that writes state when no other does. Its failure ends the engine. */
  exclusive(step: () => Promise<void>): Promise<void>;
  /**
   * A commit of the task's own, between those of batches.
   *
   * @param stage runs when it is the commit's turn; what it gives is committed, nothing if it gives nothing. Its failure
   *   ends the engine
   */
  commit(stage: (batch: number) => Promise<StagedBatch | undefined>): Promise<Committed | undefined>;
  /** Keeps files of the lake as they are, and removes those that no manifest lists any more. */
  readonly files: Pick<LakeUpkeep, "keep" | "replaced">;
  /** Tables that are set aside, and why. */
  readonly aside: ReadonlyMap<string, string>;
  readonly history: Pick<RemovedHistory, "wouldLose">;
  /** Where a task has tables of its own. */
  shadowDirectory(task: number): string;
  /** Memory of a task's own database, as DuckDB reads it. */
  readonly memoryLimit: string;
  readonly serving: Pick<Serving, "pause">;
}

/** What tasks are run with. */
export interface TaskParts {
  /** A connection of their own, for the ledger. */
  readonly sql: Sql;
  readonly chunkRows: number;
  readonly memory: string;
}

/** A task in work. */
export interface TaskRun {
  readonly task: TaskInfo;
  readonly host: TaskHost;
  /** Aborts when the task is to stop: it is cancelled, or the engine stops and takes it up again later. */
  readonly signal: AbortSignal;
}

/** One kind of task. */
export interface TaskKind {
  readonly kind: string;
  /**
   * Does what is left to do. It is called again after each restart: all that it needs to know is in the state, and what it
   * did it has committed.
   *
   * @returns `ready` where somebody has to say that it may go on
   */
  run(run: TaskRun): Promise<"done" | "ready">;
}

/**
 * Runs tasks, one after the other.
 *
 * Invariant: a task is in the ledger before anything of it is done, and everything it does is either a commit, which
 * notes the progress with it, or can be done again. So a crash at any step loses nothing and repeats nothing. Crash points: after the
 * row is there (the next start runs it), before and after each commit of it, before and after its end is noted.
 */
export class TaskRunner {
  readonly #kinds: ReadonlyMap<string, TaskKind>;
  readonly #host: TaskHost;
  readonly #sql: Sql;
  #stopping = false;
  /** Whether tasks may have left something. */
  #isDirty = true;
  #current: { readonly task: TaskInfo; readonly stop: AbortController } | undefined;
  #ended: Promise<void> = Promise.resolve();
  #wake: () => void = () => undefined;
  #running: Promise<void> | undefined;

  /** @param sql a connection that nothing else uses, for the ledger */
  constructor(kinds: readonly TaskKind[], host: TaskHost, sql: Sql) {
    this.#kinds = new Map(kinds.map((kind) => [kind.kind, kind]));
    this.#host = host;
    this.#sql = sql;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Lets the task in work come to a halt; the next start goes on with it. Commits must go on until this resolves. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#current?.stop.abort();
    this.#wake();
    await this.#running;
  }

  /**
   * Writes a task down; it runs in its turn.
   *
   * @throws WeirError `task_running` when one of the same kind with the same arguments has not ended
   */
  async add(task: NewTask): Promise<TaskInfo> {
    let added: TaskInfo | undefined;
    let same: TaskInfo | undefined;
    await this.#host.exclusive(async () => {
      const open = await readTasks(this.#sql, "state IN ('waiting', 'running', 'ready')");
      same = open.find((one) => one.kind === task.kind && isSame(one.arguments, task.arguments));
      if (same === undefined) added = await readTask(this.#sql, await addTask(this.#sql, task));
    });
    if (added === undefined) {
      throw new WeirError("task_running", `Task ${same?.id} does this already.`, {
        where: `task ${same?.id}`,
        remedy: `Wait for it (weir task show ${same?.id}), or end it first (weir task cancel ${same?.id}).`,
      });
    }
    failpoint("engine.task.added");
    this.#wake();
    return added;
  }

  /** Ends a task where it is; what it committed stays. @throws WeirError `not_found`, `task_ended` */
  async cancel(id: number): Promise<TaskInfo> {
    let state = "";
    await this.#host.exclusive(async () => {
      const [task] = await readTasks(this.#sql, `id = ${id}`);
      state = task?.state ?? "";
      if (isOpen(state)) await endTask(this.#sql, id, "cancelled");
    });
    failpoint("engine.task.cancelled");
    if (this.#current?.task.id === id) this.#current.stop.abort();
    const task = await this.show(id);
    this.#isDirty = true;
    this.#wake();
    if (isOpen(state)) return task;
    throw new WeirError("task_ended", `Task ${id} is ${state}.`, { where: `task ${id}` });
  }

  /**
   * Lets a task that is ready go on.
   *
   * @throws WeirError `not_found`, `task_not_ready`
   */
  async resume(id: number, args: TaskArguments): Promise<TaskInfo> {
    let state = "";
    await this.#host.exclusive(async () => {
      const [task] = await readTasks(this.#sql, `id = ${id}`);
      state = task?.state ?? "";
      if (state === "ready") await resumeTask(this.#sql, id, { ...task?.arguments, ...args });
    });
    failpoint("engine.task.added");
    this.#wake();
    const task = await this.show(id);
    if (state === "ready") return task;
    throw new WeirError("task_not_ready", `Task ${id} is ${state}.`, { where: `task ${id}` });
  }

  /** @throws WeirError `not_found` */
  async show(id: number): Promise<TaskInfo> {
    return await this.#read((sql) => readTask(sql, id));
  }

  /** Newest first. */
  async list(limit: number): Promise<TaskInfo[]> {
    return await this.#read((sql) => readTasks(sql, "TRUE", limit));
  }

  async #read<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const sql = await this.#host.connect();
    try {
      return await work(sql);
    } finally {
      sql.close();
    }
  }

  async #run(): Promise<void> {
    // What is broken is told by the engine's loop; here there is nothing more to do.
    await this.#each().catch(() => undefined);
  }

  async #each(): Promise<void> {
    while (!this.#stopping) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      if (this.#isDirty) {
        this.#isDirty = false;
        await this.sweep();
      }
      const task = await this.#next();
      if (task === undefined) await woken;
      else await (this.#ended = this.#runTask(task));
    }
  }

  /** One that a restart interrupted before those that wait. */
  async #next(): Promise<TaskInfo | undefined> {
    const open = await this.#read((sql) => readTasks(sql, "state IN ('waiting', 'running')"));
    return open.at(-1);
  }

  async #runTask(task: TaskInfo): Promise<void> {
    const stop = new AbortController();
    this.#current = { task, stop };
    if (this.#stopping) stop.abort();
    try {
      await this.#host.exclusive(() => this.#unless(task.id, stop, () => beginTask(this.#sql, task.id)));
      const kind = this.#kinds.get(task.kind);
      if (kind === undefined)
        throw new WeirError("task_unknown", `This Weir does not know tasks of kind ${task.kind}.`);
      const state = await kind.run({ task, host: this.#host, signal: stop.signal });
      failpoint("engine.task.before_end");
      await this.#end(task.id, stop, state);
    } catch (error) {
      // Of an engine that broke this rejects, too.
      if (!stop.signal.aborted) await this.#end(task.id, stop, "failed", engineError(error).message);
    } finally {
      this.#current = undefined;
      this.#isDirty = true;
    }
  }

  async #end(
    id: number,
    stop: AbortController,
    state: "done" | "ready" | "failed",
    error?: string,
  ): Promise<void> {
    const end = (): Promise<void> =>
      state === "ready" ? readyTask(this.#sql, id) : endTask(this.#sql, id, state, error);
    await this.#host.exclusive(() => this.#unless(id, stop, end));
    failpoint("engine.task.ended");
  }

  /** After a commit that failed every task with tables beside the live ones: ends the one in work, and removes what all of them had. */
  async sweepRebuilds(): Promise<void> {
    if (this.#current?.task.kind === "rebuild" || this.#current?.task.kind === "replay") {
      this.#current.stop.abort();
      await this.#ended;
    }
    await this.sweep();
  }

  /** Removes what tasks that ended left beside the live tables. */
  async sweep(): Promise<void> {
    await this.#host.exclusive(async () => {
      await sweepShadows(this.#sql, this.#host);
    });
    failpoint("engine.task.swept");
  }

  /** Does a step, unless the task was told to stop meanwhile. */
  async #unless(id: number, stop: AbortController, step: () => Promise<void>): Promise<void> {
    if (!stop.signal.aborted && isOpen((await readTask(this.#sql, id)).state)) await step();
    else stop.abort();
  }
}

const isOpen = (state: string): boolean => state === "waiting" || state === "running" || state === "ready";

/** `before` is the commit at which it was asked for: of two requests for the same, only that differs. */
function isSame(
  { before: _a, edges: _c, ...a }: TaskArguments,
  { before: _b, edges: _d, ...b }: TaskArguments,
): boolean {
  const sorted = (value: TaskArguments): string =>
    JSON.stringify(Object.entries(value).sort(([x], [y]) => (x < y ? -1 : 1)));
  return sorted(a) === sorted(b);
}

/** Waits so long that the work before it takes `share` of the time. */
export async function pauseAfter(workMs: number, share: number, signal: AbortSignal): Promise<void> {
  const ms = Math.min(workMs * (1 / share - 1), 60_000);
  if (ms < 1 || signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
