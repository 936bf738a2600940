import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { narrowed, replaying, undoing } from "./crash-replay.fixture.ts";

const seed = seedOfRun();
const tasks = (...steps: string[]): string[] => steps.map((step) => `engine.task.${step}`);

test(`killed at every step of a replay under load (SEED=${seed})`, async () => {
  const campaign = await narrowed(seed);
  try {
    const judging = tasks(
      "added:1",
      "shadow_barrier:1",
      "replay_derived:1",
      "replay_derived:3",
      "replay_rewritten:1",
      "replay_rewritten:2",
      "replay_judged:1",
      "replay_written:1",
    );
    await campaign.dieInTurn(judging, replaying);
    const building = tasks("replay_advanced:1", "shadow_step:1", "shadow_followed:1", "shadow_compared:1");
    await campaign.dieInTurn(building, replaying);
    await campaign.dieInTurn(tasks("shadow_copied:1", "replay_placed:1", "replay_ids_written:1"), replaying);
    // With no records to load, the first commit is the swap's.
    for (const step of ["tables_merged", "before_commit", "after_commit"])
      await campaign.dieAt(`engine.commit.${step}:1`, replaying);
    await campaign.dieInTurn(tasks("shadow_copied:1", "replay_swapped:1", "swept:1"), replaying);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 900_000);

test(`killed at every step of undoing a replay under load (SEED=${seed})`, async () => {
  const campaign = await narrowed(seed);
  try {
    await campaign.dieInTurn(tasks("replay_swapped:1"), replaying);
    const building = tasks("added:1", "shadow_barrier:1", "replay_rewritten:1", "replay_judged:1");
    await campaign.dieInTurn(
      [
        ...building,
        ...tasks("replay_duplicates:1", "replay_advanced:1", "replay_placed:1", "replay_ids_written:1"),
      ],
      undoing,
    );
    await campaign.dieInTurn(tasks("replay_swapped:1"), undoing);
    // The ledger knows what today's project makes of the records.
    await campaign.dieInTurn(tasks("replay_swapped:1"), replaying);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 600_000);
