/** A replay that is undone: the state is that of an engine that never replayed. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { after, at, before, internals, records, replay, settled, state } from "./replay.fixture.ts";

let harness: Harness;
let fresh: Harness;
beforeEach(async () => {
  // So few that the replay meets recent ids and ones in runs.
  harness = new Harness({ internals: { ...internals, recentIds: 20 } });
  fresh = new Harness({ internals });
  await harness.open(before);
});
afterEach(async () => {
  await harness.end();
  await fresh.end();
});

test.each([29])("undone, all is as if it had never been, with what came since (seed %i)", async (seed) => {
  let n = 0;
  const all = records(240, seed, () => (n++ * 5) % 9);
  await fresh.open(before);
  const both = async (some: readonly LogRecord[]): Promise<void> => {
    await harness.load(some);
    await fresh.load(some);
  };
  for (let i = 0; i < 2; i++) await both(all.slice(i * 60, (i + 1) * 60));
  await harness.open(after);
  await fresh.open(after);
  await both(all.slice(120, 150));
  const { id } = await replay(harness, { from: at(3), to: at(6) });
  await both(all.slice(150, 180));
  expect(await settled(harness, (await harness.engine.tasks.swap(id)).id)).toMatchObject({
    state: "done",
    error: null,
  });
  expect(await state(harness)).not.toEqual(await state(fresh));
  await both(all.slice(180, 210));
  const undoing = await harness.engine.tasks.undo(id, "tester");
  await both(all.slice(210, 240));
  expect(await settled(harness, undoing.id)).toMatchObject({ kind: "replay", state: "done", error: null });
  expect(await harness.engine.tasks.show(id)).toMatchObject({ state: "undone" });
  expect(await state(harness)).toEqual(await state(fresh));
  await both(records(60, seed + 1, () => 7));
  expect(await state(harness)).toEqual(await state(fresh));
  await expect(harness.engine.tasks.undo(undoing.id, "tester")).rejects.toMatchObject({
    code: "task_not_ready",
  });
});
