import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { dieInTurn, loaded, rebuilding, undoing } from "./crash-rebuild.fixture.ts";

const seed = seedOfRun();

test(`killed at every step of a rebuild under load, and of undoing it (SEED=${seed})`, async () => {
  const campaign = await loaded(seed);
  try {
    const building = ["added:1", "shadow_barrier:1", "shadow_step:1", "shadow_step:3"];
    await dieInTurn(campaign, building, rebuilding);
    const swapping = ["shadow_barrier:1", "shadow_followed:1", "shadow_compared:1", "shadow_copied:1"];
    await dieInTurn(campaign, swapping, rebuilding);
    // With no records to load, the first commit is the swap's.
    for (const step of ["tables_merged", "before_commit", "after_commit"])
      await campaign.dieAt(`engine.commit.${step}:1`, rebuilding);
    await dieInTurn(campaign, ["shadow_swapped:1"], rebuilding);
    await campaign.dieAt("engine.commit.before_commit:1", undoing);
    await dieInTurn(campaign, ["undone:1", "swept:1"], undoing);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 600_000);
