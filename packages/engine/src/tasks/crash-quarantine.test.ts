/** An engine that is killed while it reprocesses goes on by itself, and each record has its one outcome. */
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { narrowed, reprocessing } from "./crash-quarantine.fixture.ts";

const seed = seedOfRun();

test(`killed while it reprocesses under load (SEED=${seed})`, async () => {
  const campaign = await narrowed(seed);
  try {
    await campaign.dieInTurn(["engine.task.staged:1", "engine.task.committed:1"], reprocessing);
    await campaign.dieAt("engine.commit.before_commit:1", reprocessing);
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 300_000);
