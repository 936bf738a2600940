import type { Counts, Status } from "./api.ts";

/** Where every acknowledged record is: received = loaded + duplicate + quarantined + in flight. */
export interface Balance {
  readonly received: number;
  readonly loaded: number;
  readonly duplicate: number;
  readonly quarantined: number;
  readonly inFlight: number;
}

const total = (
  counts: readonly Counts[],
  column: "received" | "loaded" | "duplicate" | "quarantined",
): number => counts.reduce((sum, row) => sum + row[column], 0);

/** @param acknowledged records that Weir acknowledged to clients; what it has not committed of them is in flight */
export function balance({ counts }: Status, acknowledged: number): Balance {
  const committed = total(counts, "received");
  const received = Math.max(acknowledged, committed);
  return {
    received,
    loaded: total(counts, "loaded"),
    duplicate: total(counts, "duplicate"),
    quarantined: total(counts, "quarantined"),
    inFlight: received - committed,
  };
}

/** The counts of all sources together, in the order of their names; what no contract takes comes last. */
export function countsByContract({ counts }: Status): Omit<Counts, "source" | "suppressed">[] {
  const names = [...new Set(counts.map(({ contract }) => contract))].sort((a, b) =>
    a.startsWith("(") === b.startsWith("(") ? a.localeCompare(b) : a.startsWith("(") ? 1 : -1,
  );
  return names.map((contract) => {
    const rows = counts.filter((row) => row.contract === contract);
    return {
      contract,
      received: total(rows, "received"),
      loaded: total(rows, "loaded"),
      duplicate: total(rows, "duplicate"),
      quarantined: total(rows, "quarantined"),
    };
  });
}
