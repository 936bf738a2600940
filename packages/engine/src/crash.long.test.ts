/**
 * The long campaign: an engine is killed at every named step, at its first pass and at a later one, and at random
 * moments, under load; in every second campaign the power goes with it. Whole deployments are killed in the package of
 * the `weir` command, log writers in that of the log.
 */
import { seedOfRun, seeded } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { EngineCampaign, crashSettings } from "./crash-campaign.fixture.ts";
import { firstSteps, killAt, steps } from "./crash-steps.fixture.ts";

const seed = seedOfRun();
const killsACampaign = 20;

interface Kill {
  /** A named step; undefined for some moment. */
  readonly step: string | undefined;
  readonly later: boolean;
}

/** Every step at its first pass and at a later one, and as many random moments as half of that, in random order. */
function kills(): Kill[] {
  const chances = seeded(seed);
  const named = steps.flatMap((step) => [false, true].map((later) => ({ step, later })));
  const random = Array.from({ length: steps.length }, () => ({ step: undefined, later: false }));
  const all: { at: number; kill: Kill }[] = [...named, ...random].map((kill) => ({
    at: chances.below(1e9),
    kill,
  }));
  return all.sort((a, b) => a.at - b.at).map(({ kill }) => kill);
}

function campaigns(): Kill[][] {
  const all = kills();
  return Array.from({ length: Math.ceil(all.length / killsACampaign) }, (_, i) =>
    all.slice(i * killsACampaign, (i + 1) * killsACampaign),
  );
}

test.each(campaigns().map((kills, number) => [number, kills] as const))(
  `campaign %i: whatever an engine is killed at, each record has its one outcome (SEED=${seed})`,
  async (number, kills) => {
    const campaign = new EngineCampaign(seed + number);
    const powerFails = number % 2 === 1;
    try {
      if (powerFails) campaign.environment = await campaign.recorded();
      for (const step of firstSteps) await campaign.dieAt(`${step}:1`);
      await campaign.feed();
      await campaign.dieAt("engine.commit.after_commit:2");
      for (const { step, later } of kills) {
        if (step === undefined) await campaign.dieSomewhen();
        else await killAt(campaign, step, later);
        if (powerFails) campaign.losePower();
      }
      expect((await campaign.problems()).slice(0, 20)).toEqual([]);
      console.log(
        `${kills.length + firstSteps.length + 1} kills, ${campaign.ledger.acknowledgements} records acknowledged`,
      );
    } finally {
      await campaign.close();
    }
  },
);

test(`ids that were merged are known after a restart, and after the runs that follow it (SEED=${seed})`, async () => {
  const campaign = new EngineCampaign(seed);
  onTestFinished(() => campaign.close());
  const settings = { ...crashSettings, batchBytes: 9000, dedupHorizon: "100d" as const };
  await campaign.fill(90);
  await campaign.dieAt("engine.ids.merge_removed:8", { settings });
  await campaign.fill(20);
  await campaign.dieAt("engine.ids.flush_recorded:2", { settings });
  await campaign.resend();
  expect((await campaign.problems()).slice(0, 10)).toEqual([]);
});
