import { setTimeout as delay } from "node:timers/promises";
import type { StatusReport } from "../../client/backend.ts";
import { withBackend } from "../../client/open.ts";
import { exitCodeFor, exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { isWeirError } from "../../processes/messages.ts";
import type { InstanceFile } from "../../processes/run-files.ts";
import { stateText } from "../backfill-text.ts";
import { dataDirOf } from "../place.ts";
import type { CommonOptions } from "../program.ts";
import { printError } from "../report.ts";
import { grouped, renderTable, spanText } from "../table.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { tasksTable } from "./task.ts";

const watchEveryMs = 1_000;

/**
 * Prints the status once, or every second with --watch until a signal. With --json: the answer of `GET /api/status`, one
 * line each time. When an instance runs and its engine does not answer, prints what the supervisor knows, then the
 * error.
 */
export async function status(
  terminal: Terminal,
  options: CommonOptions & { watch?: boolean },
): Promise<ExitCode> {
  if (options.watch !== true) return await printStatus(terminal, options);
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  while (!interrupted.signal.aborted) {
    await printStatus(terminal, options, true);
    await delay(watchEveryMs, undefined, { signal: interrupted.signal }).catch(() => {});
  }
  return exitCodes.ok;
}

async function printStatus(terminal: Terminal, options: CommonOptions, clear = false): Promise<ExitCode> {
  let instance: InstanceFile | undefined;
  try {
    const report = await withBackend(dataDirOf(options), options.project, async (backend) => {
      instance = backend.instance;
      return await backend.status();
    });
    // Home and clear to the end: a full clear would flicker.
    const home = clear && terminal.colour ? "\u001b[H\u001b[J" : "";
    result(terminal, report, () => home + statusText(terminal, report));
    return exitCodes.ok;
  } catch (error) {
    if (instance === undefined || !isWeirError(error)) throw error;
    if (terminal.json) terminal.out(JSON.stringify({ instance, error: error.toJSON() }));
    else {
      terminal.out(instanceText(terminal, instance));
      printError(terminal, error.toJSON());
    }
    return exitCodeFor(error.code);
  }
}

function statusText(terminal: Terminal, report: StatusReport): string {
  const { project, commit, committedAt, lag, recordsPerSecond } = report;
  const ago =
    committedAt === null ? "" : `, ${spanText(Math.max(0, Date.now() - Date.parse(committedAt)))} ago`;
  const waiting =
    lag.records === 0 ? "none waits" : `${grouped(lag.records)} wait, the oldest ${spanText(lag.oldestMs)}`;
  const head = [
    `${paint(terminal, "bold", project)}  commit ${commit}${ago}; records: ${waiting}, ${grouped(Math.round(recordsPerSecond))}/s`,
    report.instance === null ? "no instance runs" : instanceText(terminal, report.instance),
  ].join("\n");
  const counts = renderTable(
    terminal,
    ["SOURCE", "CONTRACT", "RECEIVED", "LOADED", "DUPLICATE", "QUARANTINED", "SUPPRESSED"],
    report.counts.map((row) => [
      row.source,
      row.contract,
      row.received,
      row.loaded,
      row.duplicate,
      row.quarantined,
      row.suppressed,
    ]),
  );
  const tables = renderTable(
    terminal,
    ["TABLE", "KIND", "ROWS"],
    report.tables.map(({ name, kind, rows }) => [name, kind, rows]),
  );
  const concerns = report.tables.flatMap((table) =>
    table.concerns.map((concern) => `${paint(terminal, "yellow", table.name)}: ${concern}`),
  );
  return [
    head,
    counts,
    ...(report.tables.length === 0 ? [] : [tables]),
    ...(report.tasks.length === 0 ? [] : [tasksTable(terminal, report.tasks)]),
    ...(concerns.length === 0 ? [] : [concerns.join("\n")]),
    ...(report.backfills.length === 0 ? [] : [report.backfills.map(stateText).join("\n")]),
    ...erasureLines(terminal, report),
  ].join("\n\n");
}

function erasureLines(
  terminal: Terminal,
  { erasures: { open, late, nextDeadline } }: StatusReport,
): string[] {
  if (open === 0) return [];
  const left = `erasures: ${open} not complete, the next due at ${nextDeadline}`;
  return [late === 0 ? left : `${left}; ${paint(terminal, "yellow", `${late} past their deadline`)}`];
}

function instanceText(terminal: Terminal, instance: InstanceFile): string {
  const lines = [
    `instance ${instance.url ?? instance.socket ?? ""} (pid ${instance.pid}, since ${instance.startedAt})`,
  ];
  for (const { name, role, state, pid, restarts, lastError, status: of } of instance.processes) {
    const shade = state === "ready" ? "green" : "yellow";
    const place = pid === undefined ? "" : ` pid ${pid}`;
    const again = restarts === 0 ? "" : `, started again ${restarts} times`;
    const why =
      lastError === undefined || state === "ready" ? "" : `, last ${lastError.code} at ${lastError.at}`;
    lines.push(`  ${paint(terminal, shade, state)} ${role} ${name}${place}${again}${why}`);
    const facts = Object.entries(of ?? {}).map(([fact, value]) => `${fact} ${value}`);
    if (facts.length > 0) lines.push(`      ${facts.join(", ")}`);
  }
  return lines.join("\n");
}
