/**
 * Engines that are killed while somebody is erased and a replay is under way, whichever came first: both end, nothing of the person
 * comes back by the swap or by undoing it, and everybody else's rows are what the records say.
 */
import { seedOfRun } from "@weir/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Erasing } from "./crash-replay-erase.fixture.ts";

const seed = seedOfRun();
const replaySteps = [
  "added",
  "shadow_barrier",
  "replay_derived",
  "replay_rewritten",
  "replay_judged",
  "replay_written",
  "shadow_step",
  "replay_advanced",
  "shadow_compared",
  "shadow_copied",
  "replay_placed",
  "replay_ids_written",
  "replay_swapped",
  "swept",
].map((step) => `engine.task.${step}:1`);
const eraseSteps = [
  "erase.requested",
  "erase.files_written",
  "erase.files_listed",
  "erase.tables_recomputed",
  "erase.before_commit",
  "erase.after_commit",
  "open.state_rewritten",
].map((step) => `engine.${step}:1`);

let erasing: Erasing;
beforeEach(async () => {
  erasing = new Erasing(seed);
  await erasing.begin();
});
afterEach(() => erasing.end());

/** In turn, so that each replay has something to change. */
const projectOf = (i: number): "before" | "after" => (i % 2 === 0 ? "after" : "before");

test(`erased while a replay is under way, killed at each step of both (SEED=${seed})`, async () => {
  for (const [i, step] of replaySteps.entries()) {
    const project = projectOf(i);
    const who = erasing.someone();
    expect(await erasing.run(step, { project, replay: true })).toBe("killed");
    await erasing.run(eraseSteps[i % eraseSteps.length] ?? "", { project, erase: who });
    await erasing.check(project, who);
  }
});

test(`replayed while an erasure is under way, killed at each step of both (SEED=${seed})`, async () => {
  for (const [i, step] of replaySteps.entries()) {
    const project = projectOf(i);
    const who = erasing.someone();
    // The start after an erasure has a step too.
    const erased = eraseSteps[i % (eraseSteps.length - 1)] ?? "";
    expect(await erasing.run(erased, { project, erase: who })).toBe("killed");
    // The erasure ends a replay that began before its commit: it may not come so far.
    await erasing.run(step, { project, replay: true });
    await erasing.check(project, who);
  }
});

test(`erased while a replay is undone, killed at each step of both (SEED=${seed})`, async () => {
  let last = await erasing.check(projectOf(0), erasing.someone());
  const steps = [
    "added",
    "shadow_barrier",
    "replay_judged",
    "shadow_step",
    "replay_placed",
    "replay_ids_written",
    "replay_swapped",
  ];
  for (const [i, step] of steps.map((name) => `engine.task.${name}:1`).entries()) {
    const project = projectOf(i);
    const who = erasing.someone();
    expect(await erasing.run(step, { project, undo: last })).toBe("killed");
    await erasing.run(eraseSteps[i % eraseSteps.length] ?? "", { project, erase: who });
    last = await erasing.check(project, who, projectOf(i + 1));
  }
});
