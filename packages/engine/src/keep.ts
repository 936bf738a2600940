import type { Program } from "@weir/compile";
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
  /**
   * States that entities had, by when they ended; for all entities, or by entity. Default "forever". What is in force at the border of
   * that time stays, and so does every entity as it is now.
   */
  readonly history?: KeepFor | Readonly<Record<string, KeepFor>>;
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
  readonly historyMs: number | undefined;
  /** Entities whose history is kept otherwise than `historyMs` says; null for ever. */
  readonly historyOf: Readonly<Record<string, number | null>>;
  readonly rebuildFromKept: readonly string[];
}

/** What lengths may be stated of. */
export interface Known {
  readonly contracts: readonly string[];
  readonly tables: readonly string[];
  readonly entities: readonly string[];
}

/** The names of a program that lengths may be stated of. */
export const knownOf = ({ contracts, tables }: Program): Known => ({
  contracts: contracts.map(({ contract }) => contract.name),
  tables: tables.map(({ name }) => name),
  entities: tables.flatMap(({ name, history }) => (history === undefined ? [] : [name])),
});

const zoneDefault = "180d";

/**
 * @param dedupHorizonMs how long ids are remembered
 * @param known the project's contracts and tables, and which of these are entities
 * @throws WeirError `duration_invalid`, `project_invalid`
 */
export function resolveRetention(
  retention: Retention = {},
  dedupHorizonMs: number,
  known: Known,
): ResolvedRetention {
  const { raw = zoneDefault, quarantine = zoneDefault, rebuildFromKept = [] } = retention;
  const rawMs = keptMs(raw);
  if (rawMs !== undefined && rawMs < dedupHorizonMs) {
    throw new WeirError("project_invalid", "Raw records would be removed while their ids are still known.", {
      where: "retention.raw",
      remedy: `Keep them for ${dedupHorizonMs / 86_400_000} days or longer, or make engine.dedupHorizon shorter.`,
    });
  }
  const clean = byName(retention.clean);
  const history = byName(retention.history);
  refuseUnknown("retention.clean", "contract", Object.keys(clean.named), known.contracts);
  refuseUnknown("retention.history", "entity", Object.keys(history.named), known.entities);
  refuseUnknown("retention.rebuildFromKept", "table", rebuildFromKept, known.tables);
  return {
    rawMs,
    quarantineMs: keptMs(quarantine),
    cleanMs: clean.others,
    cleanOf: clean.named,
    historyMs: history.others,
    historyOf: history.named,
    rebuildFromKept,
  };
}

const keptMs = (keep: KeepFor): number | undefined => (keep === "forever" ? undefined : durationMs(keep));

/** One length for all, or one for each of some; the others are kept for ever. */
function byName(keep: KeepFor | Readonly<Record<string, KeepFor>> = "forever"): {
  readonly others: number | undefined;
  readonly named: Readonly<Record<string, number | null>>;
} {
  if (typeof keep !== "object") return { others: keptMs(keep), named: {} };
  const named = Object.entries(keep).map(([name, of]) => [name, keptMs(of) ?? null] as const);
  return { others: undefined, named: Object.fromEntries(named) };
}

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
