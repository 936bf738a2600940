import type { Interval, IntervalPart } from "@weir/capture";
import { WeirError } from "@weir/contract";
import { createIntervalCapture } from "../connectors.ts";
import type { Project } from "../project.ts";
import { declaredSource } from "./plan.ts";
import type { BackfillPlan } from "./plan.ts";
import { intervalBackfillId, readBackfill } from "./state.ts";

export interface IntervalPlan extends BackfillPlan {
  readonly from: string;
  readonly to: string;
  /** What there is to read, if it was asked. */
  readonly found: readonly IntervalPart[];
}

export interface IntervalRequest {
  readonly source: string;
  /** RFC 3339, or a day, which begins at midnight UTC. `from` is in the interval, `to` is not. */
  readonly from: string;
  readonly to: string;
  readonly share: number;
  readonly column: string | undefined;
  readonly tables: readonly string[] | undefined;
  /** Whether to ask the source what there is. */
  readonly count: boolean;
}

/**
 * Finds what a source has of a past interval; nothing is changed.
 *
 * @throws WeirError `invalid_usage`, `interval_unavailable`, and what the connector throws when it asks the source
 */
export async function planInterval(
  project: Project,
  dataDir: string,
  { source, share, count, column, tables, ...times }: IntervalRequest,
): Promise<IntervalPlan> {
  declaredSource(project, source);
  const interval: Interval = { fromMs: instant("--from", times.from), toMs: instant("--to", times.to) };
  if (interval.fromMs >= interval.toMs)
    throw new WeirError("invalid_usage", "The interval must begin before it ends.");
  const capture = await createIntervalCapture(project, interval, { source, share, dataDir, column, tables });
  const latestMs = Date.now() - capture.settleMs;
  if (interval.toMs > latestMs) {
    const latest = new Date(Math.floor(latestMs / 1000) * 1000).toISOString();
    throw new WeirError("invalid_usage", "The interval is not over, or only just.", {
      remedy: `It may end at ${latest} at the latest: what is younger comes live.`,
    });
  }
  const [from, to] = [new Date(interval.fromMs).toISOString(), new Date(interval.toMs).toISOString()];
  const id = intervalBackfillId(source, capture.unit, from, to, column, tables);
  const found = count ? await capture.parts() : [];
  return {
    id,
    source,
    // Changes of a captured source are under one contract, which has its name.
    contract: source,
    unit: capture.unit,
    pattern: null,
    from,
    to,
    column: column ?? null,
    share,
    found,
    parts: found.filter(({ leftOut }) => leftOut === undefined).length,
    bytes: null,
    before: readBackfill(dataDir, id),
    capture,
  };
}

const form = /^(\d{4}-\d\d-\d\d)(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/i;

/** Milliseconds since the epoch. Without a zone a time would be another one on another machine. */
function instant(name: string, text: string): number {
  const [, day = ""] = form.exec(text) ?? [];
  const dayMs = Date.parse(`${day}T00:00:00Z`);
  const ms = Date.parse(text);
  // 31 February is parsed as a day in March.
  const isDay = !Number.isNaN(dayMs) && new Date(dayMs).toISOString().startsWith(day);
  if (day !== "" && isDay && !Number.isNaN(ms)) return ms;
  throw new WeirError("invalid_usage", `${name} must be a day, or a time with its zone.`, {
    where: text.slice(0, 100),
    remedy: "Write it as 2026-01-31 or 2026-01-31T12:00:00Z.",
  });
}
