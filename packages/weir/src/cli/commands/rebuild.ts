import type { RebuildPlan, RebuildRequest, TaskInfo } from "@weir/engine";
import type { Backend } from "../../client/backend.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { RebuildOptions, WaitOptions } from "../program.ts";
import { grouped, renderTable } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";
import { estimateText, printEnded, untilEnded } from "./task.ts";

/**
 * Builds a table anew beside the live one. With --json: the task as `weir task show --json` prints it; with --plan: `{tables, partitions:
 * [{contract, files, rows, bytes}], rows, bytes, estimatedMs}`.
 */
export async function rebuild(terminal: Terminal, table: string, options: RebuildOptions): Promise<ExitCode> {
  const { share, swap, auto } = options;
  const request: RebuildRequest = {
    table,
    share,
    swap: swap === true ? "always" : auto === true ? "same" : "asked",
  };
  return await withEngine(terminal, options, async (backend) => {
    if (options.plan !== true)
      return await waited(terminal, backend, options, await backend.askRebuild(request));
    const plan = await backend.planRebuild(request);
    result(terminal, plan, () => planText(terminal, plan));
    return exitCodes.ok;
  });
}

/** Lets what a rebuild or a replay made take the place of what is live. With --json: the task. */
export const taskSwap = (terminal: Terminal, id: number, options: WaitOptions): Promise<ExitCode> =>
  withEngine(terminal, options, async (backend) =>
    waited(terminal, backend, options, await backend.swapTask(id)),
  );

/** Puts the tables before a rebuild back. With --json: the task that does so. */
export const taskUndo = (terminal: Terminal, id: number, options: WaitOptions): Promise<ExitCode> =>
  withEngine(terminal, options, async (backend) =>
    waited(terminal, backend, options, await backend.undoTask(id)),
  );

export const waited = async (
  terminal: Terminal,
  backend: Backend,
  { wait }: WaitOptions,
  task: TaskInfo,
): Promise<ExitCode> => printEnded(terminal, wait ? await untilEnded(backend, task.id) : task);

function planText(terminal: Terminal, plan: RebuildPlan): string {
  const { tables, partitions, rows, bytes, estimatedMs } = plan;
  const table = renderTable(
    terminal,
    ["CONTRACT", "FILES", "ROWS", "BYTES"],
    partitions.map((one) => [one.contract, ...[one.files, one.rows, one.bytes].map(grouped)]),
  );
  return [
    `tables: ${tables.join(", ")}`,
    table,
    "",
    `${grouped(rows)} rows to read, of ${grouped(bytes)} bytes`,
    `time: ${estimateText(estimatedMs)}`,
  ].join("\n");
}
