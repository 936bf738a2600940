import type { TableProgram } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { FailedTable } from "../aside.ts";
import type { Committed } from "../commit.ts";
import type { Sql } from "../database.ts";
import { contractsOf } from "../merge.ts";
import { setBarrier } from "../shadow/barriers.ts";
import { compareTables, isSame } from "../shadow/compare.ts";
import type { ViewComparison } from "../shadow/compare.ts";
import { componentOf, hashesOf } from "../shadow/component.ts";
import { readManifest } from "../shadow/manifest.ts";
import type { CleanManifest } from "../shadow/manifest.ts";
import { Shadow } from "../shadow/shadow.ts";
import { copyIn, shadowCatalog, swapIn, withShadow } from "../shadow/swap.ts";
import { emptyCommit } from "../stage.ts";
import { endTask, progressSql, resultSql } from "./ledger.ts";
import type { TaskProgress } from "./ledger.ts";
import { pauseAfter } from "./runner.ts";
import type { TaskKind, TaskRun } from "./runner.ts";

/** When the built tables take the place of the live ones: when somebody says so, if they are the same, or in any case. */
export type SwapWhen = "asked" | "same" | "always";

/** Rounds of catching up before the swap, at most; each is as long as what came in during the one before. */
const mostRounds = 20;
/** A round that is not shorter by this than the one before is the last. */
const closing = 0.7;

/** What a rebuild found; in the ledger once its tables are built. */
export interface RebuildResult {
  readonly tables: readonly string[];
  /** The commit at which live and new tables were compared. */
  readonly commit: number;
  readonly comparison: readonly ViewComparison[];
  /** The commit of the swap; null before it. */
  readonly swapped: number | null;
  /** Up to where contracts had lost records at the swap; for undoing it. */
  readonly edges: string;
}

/**
 * Builds a table anew beside the live one, from the clean zone, with the tables that it reads and those that read it.
 *
 * Invariants. The live tables are read by nothing here but the comparison, and written by nothing but the swap, which is one commit. The new tables are in a
 * file of their own until they are compared; a crash at any step leaves them where the last step left them (see shadow/shadow.ts). Files that the task
 * reads stay as they are behind a barrier, which moves, in the chain of steps that write state, before the task reads what is up to it.
 *
 * 1. Barrier at the last commit; all files up to there are fed, some at a time, with pauses by the share.
 * 2. Barrier at a later commit; what came since is fed, and taken back; again, until little is left.
 * 3. Compared at the commit that the new tables are of, over one snapshot of the live ones. Then it waits, unless the swap was asked for.
 * 4. The new tables are copied into the live file, under names that nobody reads.
 * 5. One commit renames both, and feeds what came since the copy. The tables before are kept, to be put back.
 *
 * Crash points: between any two of these; before 5 commits nothing has happened to a reader, after it everything has.
 */
export class RebuildTask implements TaskKind {
  readonly kind = "rebuild";
  readonly #chunkRows: number;

  constructor(chunkRows: number) {
    this.#chunkRows = chunkRows;
  }

  async run(run: TaskRun): Promise<"done" | "ready"> {
    const { host, task, signal } = run;
    const { tables, swap } = this.#given(run);
    const sql = await host.connect();
    const release = host.files.replaced.hold();
    const options = {
      directory: host.shadowDirectory(task.id),
      lake: host.lake,
      program: host.program,
      tables,
      memoryLimit: host.memoryLimit,
    };
    let shadow: Shadow | undefined;
    const work: Work = { run, sql, tables, progress: task.progress, suppressed: host.suppression.changes };
    try {
      shadow = await Shadow.open(options);
      if (!(await this.#build(work, shadow))) return "ready";
      await this.#catchUp(work, shadow);
      if (signal.aborted) return "ready";
      const { found, at } = await this.#compare(work, shadow);
      shadow = undefined;
      const isWanted = swap === "always" || (swap === "same" && found.every(isSame));
      const result = {
        tables: tables.map(({ name }) => name),
        commit: at,
        comparison: found,
        swapped: null,
        edges: work.edges ?? "",
      } satisfies RebuildResult;
      await host.exclusive(() =>
        sql.run(`BEGIN; ${resultSql(task.id, result)}; ${setBarrier(task.id, at, isWanted)}; COMMIT`),
      );
      failpoint("engine.task.shadow_compared");
      if (!isWanted || signal.aborted) return "ready";
      await this.#swap(work, result);
      return "done";
    } catch (error) {
      if (error instanceof FailedTable) throw disturbed(`The SQL of ${error.table} fails: ${error.message}`);
      throw error;
    } finally {
      await shadow?.close();
      await work.saved?.catch(() => undefined);
      release();
      sql.close();
    }
  }

  #given({ task, host }: TaskRun): { tables: readonly TableProgram[]; swap: SwapWhen } {
    const { table, hashes, swap } = task.arguments;
    const tables = componentOf(host.program, typeof table === "string" ? table : "");
    if (tables.length === 0 || JSON.stringify(hashesOf(tables)) !== JSON.stringify(hashes)) {
      throw disturbed("The project has changed since it was asked for.");
    }
    const aside = tables.find(({ name }) => host.aside.has(name));
    if (aside !== undefined) throw disturbed(`${aside.name} is set aside.`);
    return { tables, swap: swap as SwapWhen };
  }

  /** Whether the tables are built; not if it was told to stop. */
  async #build(work: Work, shadow: Shadow): Promise<boolean> {
    const { run } = work;
    const { signal } = run;
    if ((await shadow.position()) === undefined) await shadow.begin(await this.#barrier(work));
    const { steps, rows: total } = await shadow.work();
    for (;;) {
      const position = await shadow.position();
      if (position === undefined || position.built) return true;
      if (signal.aborted) return false;
      const from = performance.now();
      await shadow.build(steps, position.step);
      const manifest = await shadow.manifest();
      const paths = steps[position.step]?.paths ?? [];
      const rows = manifest.files.reduce((sum, file) => sum + (paths.includes(file.path) ? file.rows : 0), 0);
      work.progress = grown(work.progress, rows, total, performance.now() - from);
      this.#save(work);
      await pauseAfter(performance.now() - from, shareOf(run), signal);
    }
  }

  /** Notes the progress when nothing else writes state, without waiting for that. */
  #save(work: Work): void {
    if (work.isSaving === true) return;
    work.isSaving = true;
    const { run, sql } = work;
    const saved = run.host.exclusive(async () => {
      work.isSaving = false;
      await sql.run(progressSql(run.task.id, work.progress));
    });
    // The engine says why it broke.
    saved.catch(() => undefined);
    work.saved = saved;
  }

  /** Moves the barrier to the last commit and gives the clean zone as of there. @throws WeirError `task_disturbed` */
  async #barrier(work: Work): Promise<CleanManifest> {
    const { run, sql, tables } = work;
    const names = contractsOf(run.host.program, tables).map(({ contract }) => contract.name);
    let manifest: CleanManifest | undefined;
    let edges = "";
    await run.host.exclusive(async () => {
      manifest = await readManifest(sql, names);
      edges = await edgesOf(sql, names);
      await sql.run(setBarrier(run.task.id, manifest.commit, true));
    });
    failpoint("engine.task.shadow_barrier");
    const before = work.edges ?? run.task.arguments["edges"];
    if (manifest === undefined || edges !== before)
      throw disturbed("Retention removed records that the tables were built from since it was asked for.");
    work.edges = edges;
    return manifest;
  }

  /** Brings the tables close to the last commit. */
  async #catchUp(work: Work, shadow: Shadow): Promise<void> {
    const { run } = work;
    let before = Infinity;
    for (let round = 0; round < mostRounds && !run.signal.aborted; round++) {
      const { target } = (await shadow.position()) ?? {};
      if (target === null) await shadow.aim(await this.#barrier(work));
      const rows = await this.#follow(work, shadow);
      // What came in during the last part is as much as came in during the one before: it gets no closer.
      if (rows < this.#chunkRows || rows > before * closing) return;
      before = rows;
    }
  }

  async #follow({ run }: Work, shadow: Shadow): Promise<number> {
    let rows = 0;
    while (!run.signal.aborted) {
      const from = performance.now();
      const read = await shadow.follow();
      if (read === undefined) break;
      rows += read;
      await pauseAfter(performance.now() - from, shareOf(run), run.signal);
    }
    return rows;
  }

  /** Compares at the last commit, over a snapshot that begins with it. Closes the shadow. */
  async #compare(work: Work, shadow: Shadow): Promise<{ found: ViewComparison[]; at: number }> {
    const { run, sql, tables } = work;
    const pinned = await run.host.connect();
    try {
      let begun = false;
      const begin = async (): Promise<void> => {
        await pinned.run("BEGIN TRANSACTION READ ONLY");
        await pinned.rows(`SELECT max("commit")::DOUBLE AS last FROM db.weir.commits`);
        begun = true;
      };
      const names = contractsOf(run.host.program, tables).map(({ contract }) => contract.name);
      let manifest: CleanManifest | undefined;
      await run.host.exclusive(async () => {
        manifest = await readManifest(sql, names);
        await sql.run(setBarrier(run.task.id, manifest.commit, true));
        await begin();
      });
      if (manifest === undefined || !begun) throw disturbed("The engine stops.");
      const { commit: at } = manifest;
      await shadow.aim(manifest);
      while ((await shadow.follow()) !== undefined);
      await shadow.close();
      const file = Shadow.fileOf(run.host.shadowDirectory(run.task.id));
      const found = await withShadow(sql, file, () => compareTables(pinned, tables, shadowCatalog));
      return { found, at };
    } finally {
      await pinned.run("ROLLBACK").catch(() => undefined);
      pinned.close();
    }
  }

  async #swap(work: Work, result: RebuildResult): Promise<void> {
    const { run, sql, tables } = work;
    const { host, task } = run;
    await copyIn(sql, task.id, tables, Shadow.fileOf(host.shadowDirectory(task.id)));
    failpoint("engine.task.shadow_copied");
    const names = tables.map(({ name }) => name);
    const resume = await host.serving.pause(names);
    let failed: FailedTable | undefined;
    let committed: Committed | undefined;
    try {
      committed = await host.commit(async (batch) => {
        // An erasure forgot the copies, and the task with them.
        if (host.suppression.changes !== work.suppressed) return undefined;
        const alongside = async (commitSql: Sql): Promise<void> => {
          if (failed !== undefined) return;
          try {
            const context = { program: host.program, lake: host.lake, tables };
            await swapIn(commitSql, context, task.id, result.commit, batch);
          } catch (error) {
            if (error instanceof FailedTable) failed = error;
            throw error;
          }
          const swapped = { ...result, swapped: batch } satisfies RebuildResult;
          await commitSql.run(resultSql(task.id, swapped));
          // A crash after this commit must not find a task that goes on.
          await endTask(commitSql, task.id, "done");
        };
        return await emptyCommit(sql, `t${task.id}`, batch, { alongside, tables: names });
      });
    } finally {
      resume();
    }
    if (failed !== undefined) throw failed;
    if (committed === undefined) throw disturbed("Records of a person were erased meanwhile.");
    failpoint("engine.task.shadow_swapped");
  }
}

/** What a run has at hand. */
interface Work {
  readonly run: TaskRun;
  readonly sql: Sql;
  readonly tables: readonly TableProgram[];
  /** What had been erased when it began. */
  readonly suppressed: number;
  progress: TaskProgress;
  isSaving?: boolean;
  saved?: Promise<void>;
  edges?: string;
}

const disturbed = (why: string): WeirError => new WeirError("task_disturbed", why);

const shareOf = ({ task }: TaskRun): number => Number(task.arguments["share"]);

function grown(
  { done, busyMs, counts }: TaskProgress,
  rows: number,
  total: number,
  ms: number,
): TaskProgress {
  return {
    done: done + rows,
    total: Math.max(total, done + rows),
    unit: "rows",
    busyMs: Math.round(busyMs + ms),
    counts,
  };
}

/** Up to where contracts have lost records, as one text. */
export async function edgesOf(sql: Sql, contracts: readonly string[]): Promise<string> {
  const rows = await sql.rows<{ contract: string; edge: string }>(
    "SELECT contract, edge_us::VARCHAR AS edge FROM db.weir.clean_edges ORDER BY contract",
  );
  return JSON.stringify(rows.filter(({ contract }) => contracts.includes(contract)));
}
