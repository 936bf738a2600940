import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { exitCodes } from "../exit-code.ts";
import type { ExitCode } from "../exit-code.ts";
import { createProgram } from "./program.ts";
import type { Handlers } from "./program.ts";
import { processTerminal } from "./terminal.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Runs the command line.
 *
 * @param args without node and the script
 * @returns the exit code; every error has been printed
 */
export async function main(args: readonly string[]): Promise<ExitCode> {
  const terminal = processTerminal(args.includes("--json"));
  // A reader that has seen enough (weir query ... | head) is not an error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(exitCodes.ok);
    throw error;
  });
  // Logs that nobody reads any more must not end an instance.
  process.stderr.on("error", () => {});
  let code: ExitCode = exitCodes.ok;
  const program = createProgram(lazyHandlers(terminal), packageVersion(), (finished) => {
    code = finished;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return code;
  } catch (error) {
    // --help and --version arrive as errors of code 0. What prints errors loads @weir/contract, so not for these.
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok;
    return (await import("./report.ts")).reportError(terminal, error);
  }
}

/** Loads what a command needs when it runs: `weir --help` must not wait for DuckDB. */
function lazyHandlers(terminal: Terminal): Handlers {
  return {
    init: async (folder) => (await import("./commands/init.ts")).init(terminal, folder),
    up: async (options) => (await import("./commands/up.ts")).up(terminal, options),
    dev: async (options) => (await import("./commands/dev.ts")).dev(terminal, options),
    check: async (options) => (await import("./commands/check.ts")).check(terminal, options),
    contractDiff: async (name, options) =>
      (await import("./commands/contract.ts")).contractDiff(terminal, name, options),
    plan: async (options) => (await import("./commands/plan.ts")).plan(terminal, options),
    status: async (options) => (await import("./commands/status.ts")).status(terminal, options),
    query: async (sql, options) => (await import("./commands/query.ts")).query(terminal, sql, options),
    drain: async (options) => (await import("./commands/drain.ts")).drain(terminal, options),
    verify: async (options) => (await import("./commands/verify.ts")).verify(terminal, options),
    quarantineList: async (options) =>
      (await import("./commands/quarantine.ts")).quarantineList(terminal, options),
    quarantineShow: async (id, options) =>
      (await import("./commands/quarantine.ts")).quarantineShow(terminal, id, options),
    quarantineReprocess: async (options) =>
      (await import("./commands/quarantine-task.ts")).quarantineReprocess(terminal, options),
    quarantineDiscard: async (options) =>
      (await import("./commands/quarantine-task.ts")).quarantineDiscard(terminal, options),
    tasks: async (options) => (await import("./commands/task.ts")).tasks(terminal, options),
    taskShow: async (id, options) => (await import("./commands/task.ts")).taskShow(terminal, id, options),
    rebuild: async (table, options) =>
      (await import("./commands/rebuild.ts")).rebuild(terminal, table, options),
    replay: async (options) => (await import("./commands/replay.ts")).replay(terminal, options),
    taskSwap: async (id, options) => (await import("./commands/rebuild.ts")).taskSwap(terminal, id, options),
    taskUndo: async (id, options) => (await import("./commands/rebuild.ts")).taskUndo(terminal, id, options),
    taskCancel: async (id, options) => (await import("./commands/task.ts")).taskCancel(terminal, id, options),
    backfill: async (source, options) =>
      (await import("./commands/backfill.ts")).backfill(terminal, source, options),
    trace: async (id, options) => (await import("./commands/trace.ts")).trace(terminal, id, options),
    tokenCreate: async (name, options) =>
      (await import("./commands/token.ts")).tokenCreate(terminal, name, options),
    tokenList: async (options) => (await import("./commands/token.ts")).tokenList(terminal, options),
    tokenRevoke: async (name, options) =>
      (await import("./commands/token.ts")).tokenRevoke(terminal, name, options),
    vaultReveal: async (tokens, options) =>
      (await import("./commands/vault.ts")).vaultReveal(terminal, tokens, options),
    auditList: async (options) => (await import("./commands/audit.ts")).auditList(terminal, options),
    erase: async (options) => (await import("./commands/erase.ts")).erase(terminal, options),
    eraseList: async (options) => (await import("./commands/erase.ts")).eraseList(terminal, options),
    eraseShow: async (id, options) => (await import("./commands/erase.ts")).eraseShow(terminal, id, options),
    eraseLift: async (id, options) => (await import("./commands/erase.ts")).eraseLift(terminal, id, options),
    eraseCertificate: async (id, options) =>
      (await import("./commands/erase.ts")).eraseCertificate(terminal, id, options),
    eraseVerify: async (file, options) =>
      (await import("./commands/erase.ts")).eraseVerify(terminal, file, options),
    auditVerify: async (options) => (await import("./commands/audit.ts")).auditVerify(terminal, options),
  };
}

function packageVersion(): string {
  const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}
