/** For tests. */
import type { Harness } from "../harness.fixture.ts";
import type { TaskInfo } from "./ledger.ts";

/** Waits until a task has ended. */
export async function taskEnd(harness: Harness, id: number): Promise<TaskInfo> {
  for (;;) {
    const task = await harness.engine.tasks.show(id);
    if (task.endedAt !== null) return task;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
