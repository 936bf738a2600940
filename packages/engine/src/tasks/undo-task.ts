import type { TableProgram } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import { FailedTable } from "../aside.ts";
import type { Sql } from "../database.ts";
import { contractsOf } from "../merge.ts";
import { componentOf, hashesOf } from "../shadow/component.ts";
import { isKept, swapBack } from "../shadow/swap.ts";
import { emptyCommit } from "../stage.ts";
import { endTask, readTask } from "./ledger.ts";
import type { TaskInfo } from "./ledger.ts";
import { edgesOf } from "./shadow-run.ts";
import type { RebuildResult } from "./rebuild-task.ts";
import type { TaskHost, TaskKind, TaskRun } from "./runner.ts";

/**
 * Puts the tables back that a task replaced, with what came since: one commit, so that a crash leaves either the one or the other. The task that is undone
 * says so from that commit on.
 */
export class UndoTask implements TaskKind {
  readonly kind = "undo";

  async run({ host, task }: TaskRun): Promise<"done"> {
    const sql = await host.connect();
    let resume = (): void => undefined;
    try {
      const undone = await readTask(sql, Number(task.arguments["task"]));
      // A crash came after its commit.
      if (undone.state === "undone") return "done";
      const { tables, swapped } = await undoable(sql, host, undone);
      const names = tables.map(({ name }) => name);
      resume = await host.serving.pause(names);
      let failed: FailedTable | undefined;
      await host.commit(async (batch) => {
        const alongside = async (commitSql: Sql): Promise<void> => {
          if (failed !== undefined) return;
          try {
            const context = { program: host.program, lake: host.lake, tables };
            await swapBack(commitSql, context, undone.id, swapped, batch);
          } catch (error) {
            if (error instanceof FailedTable) failed = error;
            throw error;
          }
          await endTask(commitSql, undone.id, "undone");
        };
        return await emptyCommit(sql, `t${task.id}`, batch, { alongside, tables: names });
      });
      if (failed !== undefined)
        throw new WeirError("task_disturbed", `The SQL of a table fails: ${failed.message}`);
      failpoint("engine.task.undone");
      return "done";
    } finally {
      resume();
      sql.close();
    }
  }
}

/** The tables to put back, and the commit that they are of. @throws WeirError `task_not_ready` */
export async function undoable(
  sql: Sql,
  host: Pick<TaskHost, "program">,
  task: TaskInfo,
): Promise<{ tables: readonly TableProgram[]; swapped: number }> {
  const no = (why: string): WeirError =>
    new WeirError("task_not_ready", `Task ${task.id} cannot be undone: ${why}`, { where: `task ${task.id}` });
  const result = task.result as RebuildResult | null;
  if (task.kind !== "rebuild" || task.state !== "done")
    throw no(`it is a ${task.kind} that is ${task.state}.`);
  if (result === null)
    throw no("a person was erased or a replay was swapped since, and the tables before it were forgotten.");
  if (result.swapped === null) throw no("its tables did not take the place of the live ones.");
  const { table } = task.arguments;
  const tables = componentOf(host.program, typeof table === "string" ? table : "");
  if (JSON.stringify(hashesOf(tables)) !== JSON.stringify(task.arguments["hashes"]))
    throw no("the project has changed since.");
  if (!(await isKept(sql, task.id, tables))) throw no("the tables before it are not kept any more.");
  const contracts = contractsOf(host.program, tables).map(({ contract }) => contract.name);
  // A record that was taken back since, and then removed, could not be taken from the tables before.
  if ((await edgesOf(sql, contracts)) !== result.edges)
    throw no("retention removed records of theirs since.");
  return { tables, swapped: result.swapped };
}
