import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { narrowed, reprocessing } from "./crash-quarantine.fixture.ts";

const seed = seedOfRun();
const tasks = (...steps: string[]): string[] => steps.map((step) => `engine.task.${step}`);

test(`killed at every step of a task under load (SEED=${seed})`, async () => {
  const campaign = await narrowed(seed);
  try {
    const steps = tasks(
      "added:1",
      "split_written:1",
      "split_recorded:1",
      "staged:1",
      "staged:2",
      "committed:1",
    );
    await campaign.dieInTurn(steps, reprocessing);
    await campaign.dieAt("engine.task.staged:1", reprocessing);
    // With no records to load, these commits are the task's.
    for (const step of ["deduplicated", "clean_written", "tables_merged", "before_commit", "after_commit"])
      await campaign.dieAt(`engine.commit.${step}:1`, reprocessing);
    await campaign.dieAt("engine.task.before_end:1", reprocessing);
    const other = { action: "reprocess", share: 1, source: "web" } as const;
    await campaign.dieAt("engine.task.ended:1", { ...reprocessing, ask: other });
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
  } finally {
    await campaign.close();
  }
}, 600_000);

test(`planted defect: without a transaction a record is in two places, or in none (SEED=${seed})`, async () => {
  const campaign = await narrowed(seed);
  try {
    await campaign.dieAt("engine.task.committed:1", reprocessing);
    await campaign.dieAt("engine.commit.tables_merged:2", { ...reprocessing, defect: "no_transaction" });
    const problems = await campaign.problems().catch((error: unknown) => [String(error)]);
    expect(problems).not.toEqual([]);
  } finally {
    await campaign.close();
  }
}, 300_000);
