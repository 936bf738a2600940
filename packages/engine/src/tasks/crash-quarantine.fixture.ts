/** States with much in quarantine, for engines that are killed while they put it through a mended program. */
import { EngineCampaign, crashSettings } from "../crash-campaign.fixture.ts";
import type { EngineRun } from "../crash-campaign.fixture.ts";

const ask = { action: "reprocess", share: 1 } as const;
const settings = { ...crashSettings, batchBytes: 20_000 };

/** How an engine is to run that reprocesses: it goes on by itself, and whoever asks for the same hears so. */
export const reprocessing: EngineRun = { variant: "reference", settings, ask };

/** A state whose quarantine holds much that the reference project takes. */
export async function narrowed(seed: number): Promise<EngineCampaign> {
  const campaign = new EngineCampaign(seed);
  await campaign.fill(40);
  await campaign.dieAt("engine.commit.after_commit:6", { variant: "narrow", settings });
  return campaign;
}
