/** Engines that are killed while they build tables anew, swap them, and put the old ones back. */
import { EngineCampaign, crashSettings } from "../crash-campaign.fixture.ts";
import type { EngineRun } from "../crash-campaign.fixture.ts";

const settings = { ...crashSettings, batchBytes: 12_000 };

/** Rebuilds all that has to do with persons, whenever the last rebuild has ended. */
export const rebuilding: EngineRun = { settings, ask: { table: "people", swap: "always", share: 1 } };
export const undoing: EngineRun = { settings, ask: { undo: 1 } };

/** A log of some batches, in part committed. */
export async function loaded(seed: number): Promise<EngineCampaign> {
  const campaign = new EngineCampaign(seed);
  await campaign.fill(16);
  await campaign.dieAt("engine.commit.after_commit:3", { settings });
  return campaign;
}
