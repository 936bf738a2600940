import type { TableProgram } from "@weir/compile";
import { failpoint } from "@weir/log";
import { FailedTable } from "../aside.ts";
import type { Committed } from "../commit.ts";
import type { Sql } from "../database.ts";
import { contractsOf } from "../merge.ts";
import { setBarrier } from "../shadow/barriers.ts";
import { isSame } from "../shadow/compare.ts";
import type { ViewComparison } from "../shadow/compare.ts";
import { componentOf, hashesOf } from "../shadow/component.ts";
import { Shadow } from "../shadow/shadow.ts";
import { copyIn, swapIn } from "../shadow/swap.ts";
import { emptyCommit } from "../stage.ts";
import { endTask, resultSql } from "./ledger.ts";
import type { TaskKind, TaskRun } from "./runner.ts";
import { buildTables, catchUpTables, compareBuilt, disturbed } from "./shadow-run.ts";
import type { ShadowWork, SwapWhen } from "./shadow-run.ts";

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
    const work: ShadowWork = {
      run,
      sql,
      tables,
      contracts: contractsOf(host.program, tables).map(({ contract }) => contract.name),
      chunkRows: this.#chunkRows,
      progress: task.progress,
      suppressed: host.suppression.changes,
    };
    try {
      shadow = await Shadow.open(options);
      if (!(await buildTables(work, shadow))) return "ready";
      await catchUpTables(work, shadow);
      if (signal.aborted) return "ready";
      const { found, at } = await compareBuilt(work, shadow);
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

  async #swap(work: ShadowWork, result: RebuildResult): Promise<void> {
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
