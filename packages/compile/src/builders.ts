import { durationMs } from "@weir/contract";
import type { Contract, Duration } from "@weir/contract";
import type { Measure } from "./measure.ts";
import type { KeyPart, RollupSpec, SessionsSpec } from "./table.ts";

type OneOrMore<T> = T | readonly T[];

const listOf = <T>(value: OneOrMore<T>): readonly T[] => (Array.isArray(value) ? value : [value as T]);

/**
 * Sessions: runs of one key's records in which no two neighbours are more than `gap` apart in event time. A late
 * record may extend a session or join two.
 *
 * @param options.by field or fields that name the actor, where dotted paths reach into nested objects, or `person(...)`
 * @param options.gap longest silence within a session, such as "30m"
 * @throws WeirError `contract_invalid` when the gap is not a duration
 */
export function sessions(options: {
  from: OneOrMore<Contract>;
  by: OneOrMore<KeyPart>;
  gap: Duration;
  measures: Readonly<Record<string, Measure>>;
}): SessionsSpec {
  const { from, by, gap, measures } = options;
  return { kind: "sessions", from: listOf(from), by: listOf(by), gapMs: durationMs(gap), measures };
}

/**
 * Measures by dimensions and event-time window, or running totals by dimensions where there is no window (stock on
 * hand, balances).
 *
 * @param options.window width of the windows, which start at multiples of it since 1970-01-01 UTC
 * @throws WeirError `contract_invalid` when the window is not a duration
 */
export function rollup(options: {
  from: OneOrMore<Contract>;
  by?: OneOrMore<KeyPart>;
  window?: Duration;
  measures: Readonly<Record<string, Measure>>;
}): RollupSpec {
  const { from, by = [], window, measures } = options;
  return {
    kind: "rollup",
    from: listOf(from),
    by: listOf(by),
    measures,
    ...(window === undefined ? {} : { windowMs: durationMs(window) }),
  };
}
