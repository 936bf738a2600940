/**
 * A process that runs an engine over a log until it is killed or told to stop; the crash tests run it. It says `open`,
 * `commit` for each commit, `failed` with the error that ended it. Told `stop`, it stops.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { directoryStore } from "@weir/log";
import { crashProgram } from "@weir/testkit";
import type { Variant } from "@weir/testkit";
import { plant } from "./crash-defects.fixture.ts";
import type { Defect } from "./crash-defects.fixture.ts";
import { Engine } from "./engine.ts";
import type { ReplayRequest } from "./replay/request.ts";
import type { RebuildRequest } from "./tasks/rebuild-request.ts";
import type { QuarantineRequest } from "./tasks/tasks.ts";
import type { EngineSettings, ResolvedSettings } from "./settings.ts";

export interface EngineTask {
  readonly dataDir: string;
  readonly variant: Variant;
  readonly settings?: EngineSettings;
  readonly internals?: Partial<ResolvedSettings>;
  readonly defect?: Defect;
  /** Asked for once it is open, unless a task that does the same has not ended. */
  readonly ask?: AskedTask;
}

/** A task of the quarantine, a rebuild, a replay, or that what another did be undone. */
export type AskedTask = QuarantineRequest | RebuildRequest | ReplayRequest | { readonly undo: number };

async function asked(engine: Engine, ask: AskedTask): Promise<void> {
  const { tasks } = engine;
  if ("undo" in ask) await tasks.undo(ask.undo, "test");
  else if ("from" in ask) await tasks.replay(ask, "test");
  else if ("table" in ask) await tasks.rebuild(ask, "test");
  else await tasks.quarantine(ask, "test");
}

const task = JSON.parse(process.argv[2] ?? "") as EngineTask;

function say(kind: string, more: Readonly<Record<string, unknown>> = {}): void {
  writeSync(1, `${JSON.stringify({ kind, ...more })}\n`);
}

function fail(error: unknown): never {
  const { code, where, message } = error as { code?: string; where?: string; message: string };
  say("failed", { code, where, message });
  process.exit(3);
}

const directory = directoryStore(`${task.dataDir}/log`, { minFreeBytes: 0 });
const store = task.defect === undefined ? directory : plant(task.defect, directory);
const { dataDir, settings = {}, internals = {} } = task;
const program = crashProgram(task.variant);
try {
  const engine = await Engine.open(
    {
      dataDir,
      program,
      store,
      settings,
      onEvent: ({ kind, ...event }) =>
        say(kind, kind === "commit" ? { ...event, timings: undefined } : event),
    },
    internals,
  );
  say("open");
  void engine.failed.then(fail);
  engine.start();
  if (task.ask !== undefined) {
    const busy = new Set(["task_running", "task_not_ready"]);
    asked(engine, task.ask).catch((error: unknown) => {
      if (!busy.has((error as { code?: string }).code ?? "")) fail(error);
    });
  }
  createInterface({ input: process.stdin })
    .on("line", (line) => {
      if (line === "stop") void engine.stop().then(() => process.exit(0), fail);
    })
    // Whoever started it is gone.
    .on("close", () => process.kill(process.pid, "SIGKILL"));
} catch (error) {
  fail(error);
}
