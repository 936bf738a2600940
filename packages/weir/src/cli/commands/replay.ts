import type { ReplayPlan, ReplayRequest } from "@weir/engine";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { ReplayOptions } from "../program.ts";
import { grouped, renderTable } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";
import { waited } from "./rebuild.ts";
import { estimateText } from "./task.ts";

/**
 * Judges what was received in an interval again. With --json: the task as `weir task show --json` prints it; with --plan: `{from, to,
 * partitions: [{source, files, rows, bytes}], rows, bytes, tables, tableRows, estimatedMs}`.
 */
export async function replay(terminal: Terminal, options: ReplayOptions): Promise<ExitCode> {
  const { from, to, share, swap, auto } = options;
  const request: ReplayRequest = {
    from,
    ...(to === undefined ? {} : { to }),
    share,
    swap: swap === true ? "always" : auto === true ? "same" : "asked",
  };
  return await withEngine(terminal, options, async (backend) => {
    if (options.plan !== true)
      return await waited(terminal, backend, options, await backend.askReplay(request));
    const plan = await backend.planReplay(request);
    result(terminal, plan, () => planText(terminal, plan));
    return exitCodes.ok;
  });
}

function planText(terminal: Terminal, plan: ReplayPlan): string {
  const { from, to, partitions, rows, tables, tableRows, estimatedMs } = plan;
  const table = renderTable(
    terminal,
    ["SOURCE", "FILES", "ROWS", "BYTES"],
    partitions.map((one) => [one.source, ...[one.files, one.rows, one.bytes].map(grouped)]),
  );
  return [
    `received: ${from} to ${to}`,
    table,
    "",
    `tables: ${tables.join(", ") || "none"}`,
    `${grouped(rows)} records to judge, ${grouped(tableRows)} rows to build tables from`,
    `time: ${estimateText(estimatedMs)}`,
  ].join("\n");
}
