import type { QuarantineRequest, TaskPlan } from "@weir/engine";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { DiscardOptions, QuarantineTaskOptions } from "../program.ts";
import { grouped, renderTable } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";
import { estimateText, printEnded, untilEnded } from "./task.ts";

/**
 * Puts the quarantine through today's project. With --json: the task as `weir task show --json` prints it; with --plan as well:
 * `{records, groups: [{source, contract, reason, records}], unreadable, files, bytes, estimatedMs}`.
 */
export const quarantineReprocess = (terminal: Terminal, options: QuarantineTaskOptions): Promise<ExitCode> =>
  ask(terminal, options, { action: "reprocess" });

/** Takes records out of the quarantine for good. With --json: as `quarantineReprocess`. */
export const quarantineDiscard = (terminal: Terminal, options: DiscardOptions): Promise<ExitCode> =>
  ask(terminal, options, { action: "discard", why: options.reasonText });

async function ask(
  terminal: Terminal,
  options: QuarantineTaskOptions,
  what: Pick<QuarantineRequest, "action" | "why">,
): Promise<ExitCode> {
  const { source, contract, reason, id: ids, share } = options;
  const request: QuarantineRequest = {
    ...what,
    ...(source === undefined ? {} : { source }),
    ...(contract === undefined ? {} : { contract }),
    ...(reason === undefined ? {} : { reason }),
    ...(ids === undefined ? {} : { ids }),
    share,
  };
  return await withEngine(terminal, options, async (backend) => {
    if (options.plan === true) {
      const plan = await backend.planQuarantine(request);
      result(terminal, plan, () => planText(terminal, plan));
      return exitCodes.ok;
    }
    const asked = await backend.askQuarantine(request);
    return printEnded(terminal, options.wait ? await untilEnded(backend, asked.id) : asked);
  });
}

function planText(terminal: Terminal, plan: TaskPlan): string {
  const { records, groups, unreadable, files, bytes, estimatedMs } = plan;
  const rows = groups.map((group) => [group.source, group.contract, group.reason, grouped(group.records)]);
  return [
    ...(rows.length === 0
      ? []
      : [renderTable(terminal, ["SOURCE", "CONTRACT", "REASON", "RECORDS"], rows), ""]),
    `${grouped(records)} records in ${grouped(files)} files of ${grouped(bytes)} bytes`,
    ...(unreadable === 0 ? [] : [`${grouped(unreadable)} more cannot be read and stay where they are`]),
    `time: ${estimateText(estimatedMs)}`,
  ].join("\n");
}
