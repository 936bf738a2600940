import { durationMs } from "@weir/contract";
import type { Contract, Duration } from "@weir/contract";
import type { EnrichSpec } from "./table.ts";

/**
 * The records of a contract, each with columns of the entity that it names. A row is computed anew when its parent comes late
 * or changes; a record whose parent is unknown is there all the same, with `_matched` false.
 *
 * @param options.to an entity table
 * @param options.on fields of the record, and the entity's key columns that they equal: all of the key
 * @param options.take columns of the entity
 * @param options.keep fields of the record beside its id, its time and those of `on`; dotted paths reach into nested objects
 * @param options.prefix of the names of what is taken
 * @param options.asOf whether the parent is taken as it was at the record's event time, or as it is now
 * @param options.grace how long a record without a parent is held back, by times of receipt: it is to be seen once it has
 *   a parent, or once anything was received this much later
 * @throws WeirError `duration_invalid` when the grace is not a duration
 */
export function enrich(options: {
  from: Contract;
  to: string;
  on: Readonly<Record<string, string>>;
  take: string | readonly string[];
  keep?: string | readonly string[];
  prefix?: string;
  asOf?: boolean;
  grace?: Duration;
}): EnrichSpec {
  const { from, to, on, take, keep = [], prefix = "", asOf = false, grace } = options;
  return {
    kind: "enrich",
    from,
    to,
    on,
    take: [take].flat(),
    keep: [keep].flat(),
    prefix,
    asOf,
    ...(grace === undefined ? {} : { graceMs: durationMs(grace) }),
  };
}
