import type { Duration } from "@weir/contract";
import { WeirError, durationMs } from "@weir/contract";

/** How long something is kept. */
export type KeepFor = Duration | "forever";

/** What `defineProject({ retention })` takes: how long each zone keeps what it has. */
export interface Retention {
  /** Records as they were received, by time of receipt. What is gone cannot be replayed or traced. Default 180 days; at least as long as ids are remembered. */
  readonly raw?: KeepFor;
  /** Valid records, by event time; for all contracts, or by contract. Default "forever". Tables keep what they have of records that are gone. */
  readonly clean?: KeepFor | Readonly<Record<string, KeepFor>>;
  /** Records that failed, by time of receipt. Default 180 days. */
  readonly quarantine?: KeepFor;
  /** Segments of the log that are loaded; what `engine.logRetention` says otherwise. Default 48 hours. */
  readonly log?: Duration;
  /**
   * Tables that may be built anew from the records that are still there, without what came of those that are gone. Any
   * other table with such records refuses to be built anew.
   */
  readonly rebuildFromKept?: readonly string[];
}

/** Lengths in ms; undefined for what is kept for ever. */
export interface ResolvedRetention {
  readonly rawMs: number | undefined;
  readonly quarantineMs: number | undefined;
  readonly cleanMs: number | undefined;
  /** Contracts that are kept otherwise than `cleanMs` says; null for ever. */
  readonly cleanOf: Readonly<Record<string, number | null>>;
  readonly rebuildFromKept: readonly string[];
}

const zoneDefault = "180d";

/**
 * @param dedupHorizonMs how long ids are remembered
 * @param known the project's contracts and tables
 * @throws WeirError `duration_invalid`, `project_invalid`
 */
export function resolveRetention(
  retention: Retention = {},
  dedupHorizonMs: number,
  known: { readonly contracts: readonly string[]; readonly tables: readonly string[] },
): ResolvedRetention {
  const { raw = zoneDefault, clean = "forever", quarantine = zoneDefault, rebuildFromKept = [] } = retention;
  const rawMs = keptMs(raw);
  if (rawMs !== undefined && rawMs < dedupHorizonMs) {
    throw new WeirError("project_invalid", "Raw records would be removed while their ids are still known.", {
      where: "retention.raw",
      remedy: `Keep them for ${dedupHorizonMs / 86_400_000} days or longer, or make engine.dedupHorizon shorter.`,
    });
  }
  const byContract = typeof clean === "object" ? clean : {};
  refuseUnknown("retention.clean", "contract", Object.keys(byContract), known.contracts);
  refuseUnknown("retention.rebuildFromKept", "table", rebuildFromKept, known.tables);
  return {
    rawMs,
    quarantineMs: keptMs(quarantine),
    cleanMs: typeof clean === "object" ? undefined : keptMs(clean),
    cleanOf: Object.fromEntries(
      Object.entries(byContract).map(([name, keep]) => [name, keptMs(keep) ?? null]),
    ),
    rebuildFromKept,
  };
}

const keptMs = (keep: KeepFor): number | undefined => (keep === "forever" ? undefined : durationMs(keep));

function refuseUnknown(
  where: string,
  what: string,
  names: readonly string[],
  known: readonly string[],
): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new WeirError("project_invalid", `There is no ${what} ${unknown}.`, { where });
}
