/** An engine that is killed while it rebuilds goes on by itself; its tables are those of the records at every step. */
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { dieInTurn, loaded, rebuilding, undoing } from "./crash-rebuild.fixture.ts";

const seed = seedOfRun();

test(`killed while it rebuilds under load, and while that is undone (SEED=${seed})`, async () => {
  const campaign = await loaded(seed);
  try {
    const steps = ["shadow_step:4", "shadow_followed:1", "shadow_copied:1", "shadow_swapped:1"];
    await dieInTurn(campaign, steps, rebuilding);
    await dieInTurn(campaign, ["undone:1"], undoing);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 300_000);
