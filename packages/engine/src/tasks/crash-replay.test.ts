/** An engine that is killed while it replays goes on by itself; zones, tables, ids and counts are those of the records. */
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { narrowed, replaying } from "./crash-replay.fixture.ts";

const seed = seedOfRun();

test(`killed while it replays under load (SEED=${seed})`, async () => {
  const campaign = await narrowed(seed);
  try {
    const steps = ["derived:2", "rewritten:1", "advanced:1", "placed:1", "swapped:1"];
    await campaign.dieInTurn(
      steps.map((step) => `engine.task.replay_${step}`),
      replaying,
    );
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 300_000);
