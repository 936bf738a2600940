import type { Json } from "@weir/contract";
import { isJsonObject } from "@weir/contract";
import { Refusal } from "./client.ts";
import type { Shared } from "./object-capture.ts";
import { instant } from "./row.ts";

/** Salesforce tells of deletions for 15 days; the hour is for the time that asking takes. */
const keptMs = 15 * 86_400_000 - 3_600_000;
const minuteMs = 60_000;

/** A row's deletion, and when it happened. */
export interface Told {
  readonly id: string;
  readonly at: string;
}

export interface Deletions {
  readonly told: readonly Told[];
  /** Deletions are known up to here. */
  readonly through: string;
  /** Between `from` and what Salesforce still knows, deletions may be missing. */
  readonly hasGap: boolean;
}

/**
 * Rows deleted between `from` and `upTo` (`getDeleted`), those purged from the recycle bin included. Up to `upTo` all rows must have been
 * read; so a row that is told of here and was not read as deleted had been purged by then.
 *
 * @throws what the client throws
 */
export async function readDeleted(
  { client, context }: Pick<Shared, "client" | "context">,
  object: string,
  from: string,
  upTo: string,
): Promise<Deletions> {
  const nowMs = client.serverNow();
  const first = Math.max(Date.parse(from), nowMs - keptMs);
  let hasGap = first > Date.parse(from);
  const told: Told[] = [];
  // Seconds do not count, and a span must have a minute at least.
  let startMs = Math.floor(first / minuteMs) * minuteMs;
  const lastMs = Math.floor(Date.parse(upTo) / minuteMs) * minuteMs;
  let endMs = lastMs;
  while (startMs < lastMs && !context.signal.aborted) {
    const span = new URLSearchParams({ start: zulu(startMs), end: zulu(endMs) });
    let reply: Json;
    try {
      reply = await client.json(`/sobjects/${object}/deleted/?${span.toString()}`, context.signal);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.reason === "EXCEEDED_ID_LIMIT" && endMs - startMs > minuteMs) {
        endMs = startMs + Math.max(minuteMs, Math.floor((endMs - startMs) / 2 / minuteMs) * minuteMs);
        continue;
      }
      if (error.reason !== "INVALID_REPLICATION_DATE" && error.reason !== "EXCEEDED_ID_LIMIT") throw error;
      hasGap = true;
      startMs = endMs;
      endMs = lastMs;
      continue;
    }
    const { deletedRecords, earliestDateAvailable, latestDateCovered } = isJsonObject(reply) ? reply : {};
    for (const record of Array.isArray(deletedRecords) ? deletedRecords.filter(isJsonObject) : []) {
      const { id, deletedDate } = record;
      if (typeof id !== "string" || typeof deletedDate !== "string") continue;
      told.push({ id, at: instant(deletedDate) });
    }
    if (typeof earliestDateAvailable === "string" && Date.parse(earliestDateAvailable) > startMs)
      hasGap = true;
    const covered = typeof latestDateCovered === "string" ? Date.parse(latestDateCovered) : endMs;
    // What is not covered yet is asked for next time.
    if (endMs === lastMs) {
      startMs = Math.max(startMs, Math.min(covered, endMs));
      break;
    }
    startMs = endMs;
    endMs = lastMs;
  }
  return { told, through: new Date(startMs).toISOString(), hasGap };
}

/** Without milliseconds, which this resource does not take. */
const zulu = (ms: number): string => new Date(ms).toISOString().replace(".000Z", "Z");
