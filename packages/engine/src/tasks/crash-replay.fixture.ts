/** Engines that are killed while they replay everything that was received, and swap it. */
import { EngineCampaign, crashSettings } from "../crash-campaign.fixture.ts";
import type { EngineRun } from "../crash-campaign.fixture.ts";

const settings = { ...crashSettings, batchBytes: 20_000 };
// Receipt runs faster than time there.
const ask = { from: "2000-01-01", to: "2200-01-01", swap: "always", share: 1 } as const;

/** Replays by the project that the ledger knows, whenever the last replay has ended. */
export const replaying: EngineRun = { variant: "reference", settings, ask };

/** A state of which much is in quarantine that the reference project takes, and a log that is in part committed. */
export async function narrowed(seed: number): Promise<EngineCampaign> {
  const campaign = new EngineCampaign(seed);
  await campaign.fill(40);
  await campaign.dieAt("engine.commit.after_commit:6", { variant: "narrow", settings });
  return campaign;
}

/** Undoes the first task. */
export const undoing: EngineRun = { variant: "reference", settings, ask: { undo: 1 } };
