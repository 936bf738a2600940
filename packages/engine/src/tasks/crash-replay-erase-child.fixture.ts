/** A process that replays everything, or undoes a replay, and erases somebody meanwhile, until it is killed or all of it has ended. */
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { Engine } from "../engine.ts";
import { erasingInternals, everything, projects } from "./erasing-task.fixture.ts";
import type { ErasingTask } from "./erasing-task.fixture.ts";

const { dataDir, project, replay, undo, erase } = JSON.parse(process.argv[2] ?? "") as ErasingTask;
const store = directoryStore(`${dataDir}/log`, { minFreeBytes: 0 });
const engine = await Engine.open(
  {
    dataDir,
    program: projects[project],
    store,
    settings: { memoryLimit: "512MB", lanes: 1, commitAge: "20ms" },
  },
  erasingInternals,
);
engine.start();
/** Another task may be at work yet, and what is to be undone may be gone with the person. */
const mayBeRefused = async (asked: Promise<unknown>): Promise<void> => {
  await asked.catch((error: unknown) => {
    const code = error instanceof WeirError ? error.code : "";
    if (!["task_running", "task_not_ready", "task_disturbed"].includes(code)) throw error;
  });
};
const { tasks, erasures } = engine;
await Promise.all([
  replay === undefined ? undefined : mayBeRefused(tasks.replay(everything, "test")),
  undo === undefined ? undefined : mayBeRefused(tasks.undo(undo, "test")),
  erase === undefined ? undefined : erasures.erase({ identifiers: [{ value: erase }], allowMany: "a test" }),
]);
while ((await tasks.list()).some(({ state }) => state === "waiting" || state === "running")) await delay(5);
await engine.stop();
