/** What SIGKILL cannot show: after a kill the power goes too, and with it all that the engine had not synced. */
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { EngineCampaign, crashSettings } from "./crash-campaign.fixture.ts";

const seed = seedOfRun();
/** A few segments a batch, so that there are many. */
const settings = { ...crashSettings, batchBytes: 6000 };

/** Kills, each with a power cut, at steps after which what was written matters; then what is wrong. */
async function runUnderPowerCuts(steps: readonly string[], lying?: RegExp): Promise<string[]> {
  const campaign = new EngineCampaign(seed);
  try {
    await campaign.fill(40);
    const recorded = await campaign.recorded(lying);
    for (const step of steps) {
      await campaign.dieAt(step, { ...recorded, settings });
      campaign.losePower();
    }
    await campaign.fill(5);
    return (await campaign.problems()).slice(0, 10);
  } finally {
    await campaign.close();
  }
}

const cuts = [
  "engine.open.view_created:2",
  "engine.lake.renamed:4",
  "engine.commit.after_commit:3",
  "engine.commit.directories_synced:1",
  "engine.ids.flush_recorded:2",
  "engine.commit.after_commit:1",
];

test(`with the power cut after each kill, every file that counts is whole (SEED=${seed})`, async () => {
  expect(await runUnderPowerCuts(cuts)).toEqual([]);
});

test.each([
  ["files", /\.parquet/],
  ["directories", /\/lake\/[^.]+$/],
])(
  "planted defect: when syncing %s of the lake is a lie, files that count are lost or torn",
  async (_, lying) => {
    const run = runUnderPowerCuts(["engine.commit.after_commit:3"], lying);
    const problems = await run.catch((error: unknown) => [String(error)]);
    expect(problems).not.toEqual([]);
    expect(problems.join("\n")).toMatch(/damaged or missing|clean zone|cannot be opened|Parquet|parquet/);
  },
);
