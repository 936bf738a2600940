import { setTimeout as delay } from "node:timers/promises";
import type { RebuildResult, ReplayResult, TaskInfo } from "@weir/engine";
import type { Backend } from "../../client/backend.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { CommonOptions, TasksOptions } from "../program.ts";
import { grouped, renderTable, spanText, visible } from "../table.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

const pollMs = 100;

/** Lists tasks, newest first. With --json: `{tasks: [...]}`, each as `taskShow` prints it. */
export async function tasks(terminal: Terminal, options: TasksOptions): Promise<ExitCode> {
  const found = await withEngine(terminal, options, (backend) => backend.tasks(options.limit));
  result(terminal, { tasks: found }, () => (found.length === 0 ? "No tasks." : tasksTable(terminal, found)));
  return exitCodes.ok;
}

export const tasksTable = (terminal: Terminal, found: readonly TaskInfo[]): string =>
  renderTable(
    terminal,
    ["TASK", "KIND", "STATE", "DONE", "OF", "WHAT"],
    found.map(({ id, kind, state, progress, target }) => [
      String(id),
      kind,
      state,
      grouped(progress.done),
      `${grouped(progress.total)} ${progress.unit}`,
      target,
    ]),
  );

/**
 * Prints one task. With --json: `{id, kind, target, arguments, actor, state, progress: {done, total, unit, busyMs, counts}, createdAt, startedAt,
 * endedAt, error, result}`.
 */
export async function taskShow(terminal: Terminal, id: number, options: CommonOptions): Promise<ExitCode> {
  const task = await withEngine(terminal, options, (backend) => backend.task(id));
  result(terminal, task, () => taskText(terminal, task));
  return exitCodes.ok;
}

/** Ends a task where it is. With --json: the task, as `taskShow` prints it. */
export async function taskCancel(terminal: Terminal, id: number, options: CommonOptions): Promise<ExitCode> {
  const task = await withEngine(terminal, options, (backend) => backend.cancelTask(id));
  result(terminal, task, () => taskText(terminal, task));
  return exitCodes.ok;
}

export function taskText(terminal: Terminal, task: TaskInfo): string {
  const { id, kind, target, actor, state, progress, createdAt, startedAt, endedAt, error } = task;
  const { done, total, unit, busyMs, counts } = progress;
  const speed = busyMs === 0 ? "" : `, ${grouped(Math.round((done * 1000) / busyMs))} a second of work`;
  const outcomes = Object.entries(counts).filter(([name]) => name !== "steps");
  const facts: [string, string | null][] = [
    ["task", `${id} ${kind}`],
    ["what", target],
    ["asked by", actor],
    ["state", state],
    ["done", `${grouped(done)} of ${grouped(total)} ${unit}${speed}`],
    ["of these", outcomes.map(([name, n]) => `${grouped(n)} ${name}`).join(", ") || null],
    ["asked", createdAt],
    ["started", startedAt],
    ["ended", endedAt],
    ["error", error],
  ];
  const lines = facts.flatMap(([name, value]) =>
    value === null ? [] : [`${paint(terminal, "dim", name.padEnd(8))} ${visible(value)}`],
  );
  return [...lines, ...comparisonLines(terminal, task)].join("\n");
}

/** What a rebuild or a replay found, and what to do next. */
function comparisonLines(terminal: Terminal, task: TaskInfo): string[] {
  const { kind, result: found } = task;
  const isReplay = kind === "replay";
  if (!(isReplay || kind === "rebuild") || found === null) return [];
  const { comparison, commit, swapped } = found as RebuildResult | ReplayResult;
  const table = renderTable(
    terminal,
    ["VIEW", "LIVE ROWS", "NEW ROWS", "ONLY LIVE", "ONLY NEW", "DIFFERENT"],
    comparison.map(({ view, liveRows, newRows, onlyLive, onlyNew, different }) => [
      view,
      ...[liveRows, newRows, onlyLive, onlyNew, different].map(grouped),
    ]),
  );
  const samples = comparison.flatMap(({ view, samples: pairs }) =>
    pairs.map(
      (pair) =>
        `${view}: live ${visible(pair.live ?? "none")}\n${" ".repeat(view.length)}   new ${visible(pair.new ?? "none")}`,
    ),
  );
  const next = nextStep(task, swapped);
  const outcomes = isReplay ? outcomeLines(terminal, found as ReplayResult) : [];
  return [
    "",
    `As of commit ${commit}:`,
    table,
    ...samples,
    ...outcomes,
    ...(next === undefined ? [] : ["", next]),
  ];
}

/** What can be done with what a rebuild or a replay made. */
function nextStep(
  { id, kind, state, arguments: args }: TaskInfo,
  swapped: number | null,
): string | undefined {
  const isReplay = kind === "replay";
  if (state === "ready")
    return `weir task swap ${id} lets the new ${isReplay ? "records and tables" : "tables"} take the place of the live ones; weir task cancel ${id} gives them up.`;
  if (state !== "done" || swapped === null) return undefined;
  if (args["undo"] !== undefined)
    return `Swapped with commit ${swapped}. To have what was undone again, ask for that replay again.`;
  return `Swapped with commit ${swapped}. weir task undo ${id} puts ${isReplay ? "what was before" : "the tables before"} back.`;
}

/** How many records have another outcome. */
function outcomeLines(terminal: Terminal, { outcomes }: ReplayResult): string[] {
  if (outcomes.length === 0) return ["", "Every record has the outcome that it had."];
  const change = (n: number): string => (n > 0 ? `+${grouped(n)}` : n < 0 ? `-${grouped(-n)}` : "0");
  const table = renderTable(
    terminal,
    ["SOURCE", "CONTRACT", "LOADED", "DUPLICATE", "QUARANTINED", "SUPPRESSED"],
    outcomes.map(({ source, contract, loaded, duplicate, quarantined, suppressed }) => [
      source,
      contract,
      ...[loaded, duplicate, quarantined, suppressed].map(change),
    ]),
  );
  return ["", "Records whose outcome changes:", table];
}

/** Waits until a task has ended, or waits for somebody. */
export async function untilEnded(backend: Backend, id: number): Promise<TaskInfo> {
  for (;;) {
    const task = await backend.task(id);
    if (task.endedAt !== null || task.state === "ready") return task;
    await delay(pollMs);
  }
}

/** The exit code of a task that was waited for, and what to print of it. */
export function printEnded(terminal: Terminal, task: TaskInfo): ExitCode {
  result(terminal, task, () => taskText(terminal, task));
  return task.state === "done" || task.endedAt === null ? exitCodes.ok : exitCodes.failed;
}

/** About how long a plan says that a task takes. */
export const estimateText = (estimatedMs: number | null): string =>
  estimatedMs === null ? "not known yet, as no such task has run" : `about ${spanText(estimatedMs)} of work`;
