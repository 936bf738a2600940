import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { loaded, rebuilding, undoing } from "./crash-rebuild.fixture.ts";

const seed = seedOfRun();
const tasks = (...steps: string[]): string[] => steps.map((step) => `engine.task.${step}`);
const commits = (...steps: string[]): string[] => steps.map((step) => `engine.commit.${step}:1`);

test(`killed at every step of a rebuild under load, and of undoing it (SEED=${seed})`, async () => {
  const campaign = await loaded(seed);
  try {
    const building = tasks(
      "added:1",
      "shadow_barrier:1",
      "shadow_step:1",
      "shadow_step:3",
      "shadow_barrier:1",
    );
    await campaign.dieInTurn(building, rebuilding);
    const swapping = tasks("shadow_followed:1", "shadow_compared:1", "shadow_copied:1");
    await campaign.dieInTurn(swapping, rebuilding);
    // With no records to load, the first commit is the swap's.
    for (const step of commits("tables_merged", "before_commit", "after_commit"))
      await campaign.dieAt(step, rebuilding);
    await campaign.dieInTurn(tasks("shadow_swapped:1"), rebuilding);
    for (const step of commits("before_commit")) await campaign.dieAt(step, undoing);
    await campaign.dieInTurn(tasks("undone:1", "swept:1"), undoing);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 600_000);
