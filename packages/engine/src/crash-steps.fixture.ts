/** How an engine gets to each of its steps, so that it can be killed there. */
import type { EngineCampaign } from "./crash-campaign.fixture.ts";
import { engineFailpoints } from "./failpoints.ts";

/** Steps of the log that the engine's process passes. */
export const removalSteps = [
  "log.remove.before_floor",
  "log.remove.after_floor",
  "log.remove.after_unlink",
] as const;

interface Way {
  /** The latest pass that is sure to come; any later one with enough batches where this is not given. */
  readonly passes?: number;
  /** Tables of the stored state must differ from the program's. */
  readonly rebuild?: true;
  /** There must be no state yet. */
  readonly fresh?: true;
  /** Only where something is old enough to go, or nobody waits to read; its tests are in lake-crash.test.ts. */
  readonly retention?: true;
  /** Only where histories of entities are kept for a time; its tests are in history-crash.long.test.ts. */
  readonly history?: true;
  /** The step to be killed at before. */
  readonly after?: string;
}

const ways: Readonly<Record<string, Way>> = {
  "engine.open.state_created": { passes: 1, fresh: true },
  "engine.open.state_linked": { passes: 1, fresh: true },
  "engine.open.locked": { passes: 1 },
  "engine.open.schema_statement": { passes: 13 },
  "engine.open.schema": { passes: 1 },
  "engine.open.table_dropped": { passes: 1, rebuild: true },
  "engine.open.table_part_fed": { passes: 1, rebuild: true },
  "engine.open.table_built": { passes: 1, rebuild: true },
  "engine.open.tables_committed": { passes: 1, rebuild: true },
  "engine.open.view_dropped": { passes: 6 },
  "engine.open.view_created": { passes: 4 },
  "engine.open.leftover_ids_removed": { passes: 1, after: "engine.ids.flush_written" },
  "engine.open.ready": { passes: 1 },
  // Each takes many commits.
  "engine.ids.merge_written": { passes: 2 },
  "engine.ids.merge_recorded": { passes: 2 },
  "engine.ids.forget_recorded": { passes: 2 },
  "engine.ids.forget_removed": { passes: 2 },
  "engine.compact.written": { passes: 2 },
  "engine.compact.before_commit": { passes: 2 },
  "engine.compact.committed": { passes: 2 },
  "engine.retain.edge_moved": { retention: true },
  "engine.retain.counted": { retention: true },
  "engine.retain.before_commit": { retention: true },
  "engine.retain.committed": { retention: true },
  "engine.retain.border_moved": { history: true },
  "engine.retain.history_before_commit": { history: true },
  "engine.retain.history_pruned": { history: true },
  "engine.lake.file_removed": { retention: true },
};

/** Steps of the first start only, and all others but those of tasks, which somebody has to ask for. */
export const firstSteps: readonly string[] = engineFailpoints.filter((step) => ways[step]?.fresh === true);
export const steps: readonly string[] = [...engineFailpoints, ...removalSteps].filter(
  (step) =>
    !firstSteps.includes(step) &&
    ways[step]?.retention !== true &&
    ways[step]?.history !== true &&
    !step.startsWith("engine.task."),
);
/** Steps of cutting off histories. */
export const historySteps: readonly string[] = engineFailpoints.filter(
  (step) => ways[step]?.history === true,
);
/** Steps of retention. */
export const retentionSteps: readonly string[] = engineFailpoints.filter(
  (step) => ways[step]?.retention === true,
);

/**
 * Kills an engine at a step: at its first pass, or at a later one.
 *
 * @returns the failpoint
 */
export async function killAt(campaign: EngineCampaign, step: string, later: boolean): Promise<string> {
  const { passes = 6, rebuild = false, after } = ways[step] ?? {};
  if (after !== undefined) await campaign.dieAt(`${after}:1`);
  const pass = later && passes > 1 ? 2 + campaign.chances.below(passes - 1) : 1;
  const failpoint = `${step}:${pass}`;
  const variant = rebuild ? campaign.otherVariant : campaign.storedVariant;
  await campaign.dieAt(failpoint, { variant });
  const built = rebuild && step !== "engine.open.tables_committed" ? campaign.storedVariant : variant;
  campaign.storedVariant = built;
  return failpoint;
}
