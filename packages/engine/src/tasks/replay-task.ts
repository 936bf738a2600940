import type { TableProgram } from "@weir/compile";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { FailedTable } from "../aside.ts";
import type { Committed } from "../commit.ts";
import type { Sql } from "../database.ts";
import type { DecidedRun } from "../ids/id-store.ts";
import { begin, checkComplete, spanOf } from "../replay/begin.ts";
import { advance } from "../replay/candidates.ts";
import { deriveChunk } from "../replay/derive.ts";
import type { Chunk, DeriveContext } from "../replay/derive.ts";
import { filesToRewrite, judgeIds, rewrite } from "../replay/live-rows.ts";
import { beginUndo, keepForUndo } from "../replay/undo.ts";
import { programHash } from "../replay/request.ts";
import { compareRecords, outcomeChanges, shapedManifest, writeResults } from "../replay/results.ts";
import { mostIds, replayedIds } from "../replay/ids.ts";
import { placeFiles, removePlaced, swapReplay } from "../replay/swap.ts";
import type { SwapPlan } from "../replay/swap.ts";
import type { ResultFile } from "../replay/workspace.ts";
import { Workspace } from "../replay/workspace.ts";
import { isSame } from "../shadow/compare.ts";
import type { ViewComparison } from "../shadow/compare.ts";
import { componentOf } from "../shadow/component.ts";
import { readManifest } from "../shadow/manifest.ts";
import type { CleanManifest } from "../shadow/manifest.ts";
import { Shadow } from "../shadow/shadow.ts";
import { copyIn } from "../shadow/swap.ts";
import { emptyCommit } from "../stage.ts";
import type { OutcomeCount, StagedBatch } from "../stage.ts";
import { endTask, resultSql } from "./ledger.ts";
import { areListed } from "./quarantine-files.ts";
import { pauseAfter } from "./runner.ts";
import type { TaskKind, TaskRun } from "./runner.ts";
import {
  buildTables,
  catchUpTables,
  compareBuilt,
  disturbed,
  edgesOf,
  grown,
  moveBarrier,
  saveProgress,
  shareOf,
} from "./shadow-run.ts";
import type { ShadowWork } from "./shadow-run.ts";

/** What a replay found; in the ledger once it is ready. */
export interface ReplayResult {
  /** Tables that were built anew. */
  readonly tables: readonly string[];
  /** The commit at which live and new were compared. */
  readonly commit: number;
  /** Of each contract the records of the interval, by their places in the log; then of each table its rows. */
  readonly comparison: readonly ViewComparison[];
  /** How many records have another outcome, by source and contract: what is added to each count. */
  readonly outcomes: readonly OutcomeCount[];
  /** Ids whose records were looked for outside the interval as well. */
  readonly ids: number;
  /** The commit of the swap; null before it. */
  readonly swapped: number | null;
}

/**
 * Judges every record that was received in an interval again, by today's program, from raw, and lets what comes of it take the place of
 * what came of it before: in the clean zone, the quarantine, the tables, the id index and the counts.
 *
 * Invariants. S is the records of the interval that were received up to the commit at which the task began (its barrier); what comes
 * later is judged by today's program anyway. After the swap each record of S has the outcome that today's program gives it, every other
 * one the outcome that it has, but that of one id the least (time, content) of all that are valid is loaded, and the others are duplicates.
 * A record outside S that was the duplicate of one that is not valid any more is judged by today's program, and loaded if
 * it is the least then; where it is not valid itself, it stays a duplicate. Tables are what the clean zone says.
 *
 * Nothing live is written before the swap, which is one commit. Everything that the task made is in its own directory: files, a workspace with
 * how far it is (replay/workspace.ts), and the tables' file (shadow/shadow.ts); it goes when the task ends. Files that it reads stay as they
 * are behind a frozen barrier, until the swap.
 *
 * 1. Barrier. The raw records of S are judged in chunks, each noted when its files are written.
 * 2. Live files with rows of S are written again without them, one by one.
 * 3. Ids whose winner in the live clean zone is not the very record that wins in S now are `affected`: of these, candidates
 *    outside S are looked for, up to each commit that the tables are brought to (replay/candidates.ts).
 * 4. Tables are built, brought up to date and compared as a rebuild does (tasks/shadow-run.ts), over the manifest as it would be.
 * 5. The swap: what came since is looked at once more, files get their places in the lake, and one commit writes all of it.
 *
 * Crash points: between any two of these, and after each chunk, file and step; files are written again under the same names.
 * Before 5 commits nothing has happened to a reader, after it everything has. Files that 5 left in the lake without a commit
 * are swept at the next start.
 *
 * It ends, and leaves everything as it is, where retention, an erasure, the project or a task of the quarantine changes what it
 * reads.
 */
export class ReplayTask implements TaskKind {
  readonly kind = "replay";
  readonly #chunkRows: number;

  constructor(chunkRows: number) {
    this.#chunkRows = chunkRows;
  }

  async run(run: TaskRun): Promise<"done" | "ready"> {
    const { host, task } = run;
    if (task.arguments["program"] !== programHash(host.program))
      throw disturbed("The project has changed since it was asked for.");
    const aside = host.program.tables.find(({ name }) => host.aside.has(name));
    if (aside !== undefined) throw disturbed(`${aside.name} is set aside.`);
    const sql = await host.connect();
    const release = host.files.replaced.hold();
    const replay: Replay = {
      run,
      sql,
      space: await Workspace.open(host.shadowDirectory(task.id), host.memoryLimit, host.vault),
      chunkRows: this.#chunkRows,
      suppressed: host.suppression.changes,
      progress: task.progress,
    };
    try {
      return await this.#run(replay);
    } catch (error) {
      if (error instanceof FailedTable) throw disturbed(`The SQL of ${error.table} fails: ${error.message}`);
      throw error;
    } finally {
      await replay.space.close();
      release();
      sql.close();
    }
  }

  async #run(replay: Replay): Promise<"done" | "ready"> {
    const { run, sql, space } = replay;
    const { host, task, signal } = run;
    const context: DeriveContext = { host, sql, space, task: task.id };
    const work = workOf(replay, context, []);
    try {
      if (!(await this.#derive(work, context))) return "ready";
      if (!(await this.#collect(work, context))) return "ready";
    } finally {
      await work.saved?.catch(() => undefined);
    }
    replay.progress = work.progress;
    const tables = await tablesOf(context);
    const found = await this.#build(replay, context, tables);
    if (found === undefined) return "ready";
    const outcomes = await outcomeChanges(space);
    const comparison = [...(await compareRecords(context)), ...found.comparison];
    const { swap } = task.arguments;
    const isWanted =
      swap === "always" || (swap === "same" && comparison.every(isSame) && outcomes.length === 0);
    const { ids } = await space.sql.row<{ ids: number }>("SELECT count(*)::DOUBLE AS ids FROM affected");
    const result = {
      tables: tables.map(({ name }) => name),
      commit: found.at,
      comparison,
      outcomes,
      ids,
      swapped: null,
    } satisfies ReplayResult;
    await host.exclusive(() => sql.run(resultSql(task.id, result)));
    failpoint("engine.task.shadow_compared");
    if (!isWanted || signal.aborted) return "ready";
    await this.#swap(replay, context, tables, result);
    return "done";
  }

  /** Judges what is left to judge. Not to the end if it was told to stop. */
  async #derive(work: ShadowWork, context: DeriveContext): Promise<boolean> {
    const { run, sql } = work;
    const { space } = context;
    const { undo } = run.task.arguments;
    const phase = await space.phase();
    if (typeof undo === "number" && (phase ?? "derive") === "derive") await beginUndo(context, run, undo);
    if ((await space.phase()) === undefined) await begin(run, sql, space, spanOf(run), this.#chunkRows);
    const chunks = await space.sql.rows<Chunk>(
      `SELECT n::DOUBLE AS n, source, path, first::DOUBLE AS first, last::DOUBLE AS last, records::DOUBLE AS records
       FROM chunks WHERE NOT done ORDER BY n`,
    );
    for (const chunk of chunks) {
      if (!(await timed(work, chunk.records, () => deriveChunk(context, chunk)))) return false;
    }
    if ((await space.phase()) === "derive") await space.setPhase("live");
    return !run.signal.aborted;
  }

  /** Sets apart what is live of the interval, finds out about ids, and writes the files. */
  async #collect(work: ShadowWork, context: DeriveContext): Promise<boolean> {
    const { space, host } = context;
    const { signal } = work.run;
    if ((await space.phase()) === "live") {
      for (const file of await filesToRewrite(space, host.lake))
        if (!(await timed(work, 0, () => rewrite(context, file)))) return false;
      await checkComplete(space);
      await space.inTransaction(async () => {
        await judgeIds(space, host.program.contracts);
        await space.setPhase("files");
      });
      failpoint("engine.task.replay_judged");
    }
    const { ids } = await space.sql.row<{ ids: number }>("SELECT count(*)::DOUBLE AS ids FROM affected");
    if (ids > mostIds)
      throw new WeirError("replay_too_large", `The records of ${ids} ids change; a replay takes ${mostIds}.`);
    if (signal.aborted) return false;
    if ((await space.phase()) === "files") {
      await timed(work, 0, () => writeResults(context));
      await space.setPhase("tables");
    }
    return !signal.aborted;
  }

  async #build(
    replay: Replay,
    context: DeriveContext,
    tables: readonly TableProgram[],
  ): Promise<{ comparison: ViewComparison[]; at: number } | undefined> {
    const { run } = replay;
    const { host, task, signal } = run;
    const work = workOf(replay, context, tables);
    if (tables.length === 0) {
      const { commit: at } = await moveBarrier(work);
      return signal.aborted ? undefined : { comparison: [], at };
    }
    const directory = host.shadowDirectory(task.id);
    const { lake, program, memoryLimit } = host;
    const shadow = await Shadow.open({ directory, lake, program, tables, memoryLimit });
    try {
      if (!(await buildTables(work, shadow))) return undefined;
      await catchUpTables(work, shadow);
      if (signal.aborted) return undefined;
      const { found, at } = await compareBuilt(work, shadow);
      return { comparison: found, at };
    } finally {
      await shadow.close();
      await work.saved?.catch(() => undefined);
    }
  }

  async #swap(
    replay: Replay,
    context: DeriveContext,
    tables: readonly TableProgram[],
    result: ReplayResult,
  ): Promise<void> {
    const { host, sql, task } = context;
    if (tables.length > 0) await copyIn(sql, task, tables, Shadow.fileOf(host.shadowDirectory(task)));
    failpoint("engine.task.shadow_copied");
    const names = tables.map(({ name }) => name);
    const resume = await host.serving.pause(names);
    const attempt: Attempt = { tables, result, placed: [], replaced: [], run: undefined };
    let committed: Committed | undefined;
    try {
      committed = await host.commit(async (batch) => {
        try {
          return await stageSwap(replay, context, attempt, batch);
        } catch (error) {
          // The task's failure, not the engine's.
          attempt.failed = error;
          return undefined;
        }
      });
    } finally {
      resume();
    }
    if (attempt.failed !== undefined) {
      removePlaced(context, attempt.placed);
      attempt.run?.discard();
      throw attempt.failed;
    }
    if (committed === undefined) throw disturbed("Records of a person were erased meanwhile.");
    host.files.replaced.add(attempt.replaced, Date.now());
    keepForUndo(host.shadowDirectory(task));
    failpoint("engine.task.replay_swapped");
  }
}

/** What a run has at hand. */
interface Replay {
  readonly run: TaskRun;
  readonly sql: Sql;
  readonly space: Workspace;
  readonly chunkRows: number;
  /** What had been erased when it began. */
  readonly suppressed: number;
  progress: ShadowWork["progress"];
}

/** A swap in work. */
interface Attempt {
  readonly tables: readonly TableProgram[];
  readonly result: ReplayResult;
  placed: readonly ResultFile[];
  replaced: readonly string[];
  run: DecidedRun | undefined;
  failed?: unknown;
}

/** The commit of a swap, when it is its turn; undefined where the task was forgotten meanwhile. @throws WeirError `task_disturbed` */
async function stageSwap(
  { run, space, suppressed, chunkRows }: Replay,
  context: DeriveContext,
  attempt: Attempt,
  batch: number,
): Promise<StagedBatch | undefined> {
  const { host, sql, task } = context;
  const { tables, result } = attempt;
  if (host.suppression.changes !== suppressed || run.signal.aborted) return undefined;
  const contracts = host.program.contracts.map(({ contract }) => contract.name);
  if ((await edgesOf(sql, contracts)) !== run.task.arguments["edges"]) throw gone();
  const live = await readManifest(sql, contracts);
  await checkListed(context);
  return await space.inTrial(async () => {
    await advance({ ...context, chunkRows }, { ...live, commit: batch });
    const rewritten = await space.sql.rows<{ path: string }>("SELECT path FROM rewritten ORDER BY path");
    attempt.replaced = rewritten.map(({ path }) => path);
    attempt.placed = await space.results();
    await placeFiles(context, attempt.placed);
    failpoint("engine.task.replay_placed");
    let plan: SwapPlan | undefined;
    const alongside = async (commitSql: Sql): Promise<void> => {
      if (attempt.failed !== undefined || plan === undefined) return;
      try {
        await swapReplay(commitSql, host, plan, batch);
      } catch (error) {
        if (error instanceof FailedTable) attempt.failed = error;
        throw error;
      }
      await commitSql.run(resultSql(task, { ...result, swapped: batch } satisfies ReplayResult));
      // A crash after this commit must not find a task that goes on.
      await endTask(commitSql, task, "done");
      const { undo } = run.task.arguments;
      if (typeof undo === "number") await endTask(commitSql, undo, "undone");
    };
    const committed = (): void => {
      if (attempt.failed !== undefined) return;
      attempt.run?.listed();
      plan?.ids.apply(host.ids.index);
    };
    const names = tables.map(({ name }) => name);
    const staged = await emptyCommit(sql, `t${task}`, batch, { alongside, committed, tables: names });
    const ids = await replayedIds(context, staged.schema);
    attempt.run = ids.run;
    plan = {
      task,
      tables,
      after: result.commit,
      contracts,
      results: attempt.placed,
      replaced: attempt.replaced,
      hidden: await hiddenValues(space),
      counts: await outcomeChanges(space),
      ids,
    };
    return staged;
  });
}

async function hiddenValues({ sql }: Workspace): Promise<string[]> {
  const rows = await sql.rows<Record<string, string>>(
    `SELECT contract, id, source, writer, number::VARCHAR AS number, line::VARCHAR AS line, "commit"::VARCHAR AS "commit" FROM temp.hidden_new`,
  );
  return rows.map((row) => `(${Object.values(row).map(text).join(", ")})`);
}

const gone = (): WeirError =>
  disturbed("Retention removed records that the tables were built from since it was asked for.");

/** The live files whose place the replay's take must be there still. @throws WeirError `task_disturbed` */
async function checkListed({ sql, space }: DeriveContext): Promise<void> {
  const rows = await space.sql.rows<{ path: string }>("SELECT path FROM rewritten");
  if (
    rows.length === 0 ||
    (await areListed(
      sql,
      rows.map(({ path }) => path),
    ))
  )
    return;
  throw disturbed("Records of the interval went, or left the quarantine, since it was asked for.");
}

/** With the manifest as it would be in place of the live one. */
function workOf(replay: Replay, context: DeriveContext, tables: readonly TableProgram[]): ShadowWork {
  const { run, sql, space, chunkRows, suppressed, progress } = replay;
  const shaped = async (live: CleanManifest): Promise<CleanManifest> => {
    await checkListed(context);
    await space.inTransaction(() => advance({ ...context, chunkRows }, live));
    failpoint("engine.task.replay_advanced");
    return await shapedManifest(context, live);
  };
  const contracts = run.host.program.contracts.map(({ contract }) => contract.name);
  return { run, sql, tables, contracts, chunkRows, suppressed, shaped, progress };
}

/** The tables that records of the interval may be in, with those that they are built together with. */
async function tablesOf({ host, space }: DeriveContext): Promise<TableProgram[]> {
  const rows = await space.sql.rows<{ contract: string }>(
    "SELECT contract FROM winners UNION SELECT contract FROM removed",
  );
  const touched = new Set(rows.map(({ contract }) => contract));
  const { tables } = host.program;
  const fed = tables.filter(({ from }) => from.some((name) => touched.has(name)));
  const names = new Set(fed.flatMap(({ name }) => componentOf(host.program, name)).map(({ name }) => name));
  return tables.filter(({ name }) => names.has(name));
}

/** Does a step, notes its time and rows, and pauses by the share. Not if it was told to stop. */
async function timed(work: ShadowWork, rows: number, step: () => Promise<void>): Promise<boolean> {
  const { run } = work;
  if (run.signal.aborted) return false;
  const from = performance.now();
  await step();
  const ms = performance.now() - from;
  work.progress = grown(work.progress, rows, work.progress.total, ms);
  saveProgress(work);
  await pauseAfter(ms, shareOf(run), run.signal);
  return true;
}
