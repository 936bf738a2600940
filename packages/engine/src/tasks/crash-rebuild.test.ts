/** An engine that is killed while it rebuilds goes on by itself; its tables are those of the records at every step. */
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { loaded, rebuilding, undoing } from "./crash-rebuild.fixture.ts";

const seed = seedOfRun();

test(`killed while it rebuilds under load, and while that is undone (SEED=${seed})`, async () => {
  const campaign = await loaded(seed);
  try {
    const steps = ["step:4", "followed:1", "copied:1", "swapped:1"];
    await campaign.dieInTurn(
      steps.map((step) => `engine.task.shadow_${step}`),
      rebuilding,
    );
    await campaign.dieInTurn(["engine.task.undone:1"], undoing);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 300_000);
