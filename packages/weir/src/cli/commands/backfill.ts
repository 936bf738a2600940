import { WeirError } from "@weir/contract";
import type { BackfillPlan } from "../../backfill/plan.ts";
import { askToCancel, readBackfill } from "../../backfill/state.ts";
import { withBackend } from "../../client/open.ts";
import type { Backend } from "../../client/backend.ts";
import { loadCompiled } from "../../compiled.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { findProject } from "../../load.ts";
import { stateText } from "../backfill-text.ts";
import { dataDirOf } from "../place.ts";
import type { BackfillOptions } from "../program.ts";
import { grouped } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

type Ask = <T>(work: (backend: Backend) => Promise<T>) => Promise<T>;

/**
 * Reads files, or a past interval of the source, into it, and returns when they are loaded. With --plan only says what it would
 * read; with --cancel ends one that runs. With --json: the plan, or the state in the end.
 */
export async function backfill(
  terminal: Terminal,
  source: string | undefined,
  options: BackfillOptions,
): Promise<ExitCode> {
  const dataDir = dataDirOf(options);
  const ask: Ask = (work) => withEngine(terminal, options, work);
  if (options.cancel !== undefined) return await cancel(terminal, dataDir, options.cancel, ask);
  const plan = await planned(dataDir, source, options);
  if (options.plan === true) {
    const { capture: _, before, ...rest } = plan.plan;
    result(terminal, { ...rest, before: before ?? null }, () =>
      [...plan.text, before === undefined ? "not begun" : stateText(before)].join("\n"),
    );
    return exitCodes.ok;
  }
  // While it reads it waits for the engine itself, for as long as that takes.
  const inWork: Ask = (work) => withBackend(dataDir, options.project, work);
  return await run(terminal, plan.plan, dataDir, { ask, inWork });
}

/** What the arguments ask for, and how to show it. */
async function planned(
  dataDir: string,
  source: string | undefined,
  options: BackfillOptions,
): Promise<{ plan: BackfillPlan; text: string[] }> {
  const { files, from, to, column, tables, contract, share, plan: count = false, project: file } = options;
  const isInterval = [from, to, column, tables].some((given) => given !== undefined);
  if (source === undefined || (files === undefined && !isInterval)) {
    throw new WeirError("invalid_usage", "A backfill needs a source, and files or an interval.", {
      remedy: "weir backfill SOURCE --files 'PATTERN', or weir backfill SOURCE --from TIME --to TIME",
    });
  }
  if (isInterval && (files !== undefined || contract !== undefined)) {
    throw new WeirError("invalid_usage", "An interval asks the source itself, not files.", {
      remedy: "Leave out --files and --contract, or --from and --to.",
    });
  }
  const { project } = await loadCompiled(findProject(file));
  if (files !== undefined) {
    const { planFiles } = await import("../../backfill/plan.ts");
    const request = { source, files, contract, share, workingDir: process.cwd() };
    const plan = await planFiles(project, dataDir, request);
    const { id, files: found, bytes } = plan;
    const head = `${id}: ${found.length} files, ${grouped(bytes)} bytes, as ${plan.contract} of ${source}`;
    return { plan, text: [head] };
  }
  if (from === undefined || to === undefined) {
    throw new WeirError("invalid_usage", "An interval needs both --from and --to.", {
      remedy: "weir backfill SOURCE --from TIME --to TIME",
    });
  }
  const { planInterval } = await import("../../backfill/plan-interval.ts");
  const plan = await planInterval(project, dataDir, { source, from, to, share, count, column, tables });
  const lines = plan.found.map(({ name, rows, leftOut }) => {
    const what =
      leftOut === undefined ? (rows === null ? "" : `: ${grouped(rows)} rows`) : `: not read, ${leftOut}`;
    return `  ${name}${what}`;
  });
  const head = `${plan.id}: ${plan.parts} ${plan.unit} of ${source}, ${plan.from} to ${plan.to}`;
  return { plan, text: [head, ...lines] };
}

async function run(
  terminal: Terminal,
  plan: BackfillPlan,
  dataDir: string,
  { ask, inWork }: { readonly ask: Ask; readonly inWork: Ask },
): Promise<ExitCode> {
  const { id, source, contract, pattern, from, to, column, share } = plan;
  const interval = { from: from ?? "", to: to ?? "", ...(column === null ? {} : { column }) };
  const scope = pattern === null ? interval : { pattern };
  await ask((backend) => backend.recordAction("backfill.start", id, { source, contract, ...scope, share }));
  const { runBackfill } = await import("../../backfill/run.ts");
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  let toldMs = 0;
  const state = await runBackfill(plan, {
    dataDir,
    withBackend: inWork,
    log: (level, message) => {
      if (level !== "info" && !terminal.json) terminal.note(`${level}: ${message}`);
    },
    onProgress: (progress) => {
      if (terminal.json || performance.now() - toldMs < 5_000) return;
      toldMs = performance.now();
      terminal.note(stateText(progress));
    },
    signal: interrupted.signal,
  });
  result(terminal, state, () => stateText(state));
  return state.state === "done" && state.partsFailed === 0 && state.problem === null
    ? exitCodes.ok
    : exitCodes.failed;
}

async function cancel(terminal: Terminal, dataDir: string, id: string, ask: Ask): Promise<ExitCode> {
  const state = /^[0-9a-f]{8}$/.test(id) ? readBackfill(dataDir, id) : undefined;
  if (state === undefined) {
    throw new WeirError("not_found", `There is no backfill ${id.slice(0, 100)}.`, {
      remedy: "`weir status` lists them.",
    });
  }
  await ask((backend) => backend.recordAction("backfill.cancel", id, {}));
  if (state.state === "running") askToCancel(dataDir, id);
  result(terminal, { id, was: state.state }, () =>
    state.state === "running" ? `${id} is asked to end.` : `${id} does not run: ${state.state}.`,
  );
  return exitCodes.ok;
}
