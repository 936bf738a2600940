import { WeirError } from "@weir/contract";
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

/**
 * Reads files into a source, and returns when they are loaded. With --plan only says what it would read; with --cancel ends one
 * that runs. With --json: the plan, or the state in the end.
 */
export async function backfill(
  terminal: Terminal,
  source: string | undefined,
  options: BackfillOptions,
): Promise<ExitCode> {
  const dataDir = dataDirOf(options);
  const ask = <T>(work: (backend: Backend) => Promise<T>): Promise<T> =>
    withBackend(dataDir, options.project, work);
  if (options.cancel !== undefined) return await cancel(terminal, dataDir, options.cancel, ask);
  if (source === undefined || options.files === undefined) {
    throw new WeirError("invalid_usage", "A backfill needs a source and files.", {
      remedy: "weir backfill SOURCE --files 'PATTERN'",
    });
  }
  const { project } = await loadCompiled(findProject(options.project));
  const { planBackfill, runBackfill } = await import("../../backfill/run.ts");
  const { share, contract } = options;
  const request = { source, files: options.files, contract, share, workingDir: process.cwd() };
  const plan = await planBackfill(project, dataDir, request);
  const { id, bytes, files, before } = plan;
  if (options.plan === true) {
    const { capture: _, before: known, ...planned } = plan;
    const shown = { ...planned, before: known ?? null };
    result(terminal, shown, () =>
      [
        `${id}: ${files.length} files, ${grouped(bytes)} bytes, as ${plan.contract} of ${source}`,
        before === undefined ? "not begun" : stateText(before),
      ].join("\n"),
    );
    return exitCodes.ok;
  }
  await ask((backend) =>
    backend.recordAction("backfill.start", id, {
      source,
      contract: plan.contract,
      pattern: plan.pattern,
      share,
    }),
  );
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => interrupted.abort());
  let toldMs = 0;
  const state = await runBackfill(plan, {
    dataDir,
    withBackend: ask,
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
  return state.state === "done" && state.filesDamaged === 0 && state.problem === null
    ? exitCodes.ok
    : exitCodes.failed;
}

async function cancel(
  terminal: Terminal,
  dataDir: string,
  id: string,
  ask: <T>(work: (backend: Backend) => Promise<T>) => Promise<T>,
): Promise<ExitCode> {
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
