import { clients } from "../shop/message.ts";
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

/** The sources that clients with SDKs send to, whose acknowledgements the demo counts. */
const ofClients = ({ counts }: Status): Counts[] =>
  counts.filter(({ source }) => clients.some((client) => client === source));

/** Records of the clients that Weir has committed, each time it received them. */
export const committedOfClients = (status: Status): number => total(ofClients(status), "received");

/** Of those, the ones that were there before. */
export const duplicatesOfClients = (status: Status): number => total(ofClients(status), "duplicate");

/**
 * Of all sources together.
 *
 * @param acknowledged records that Weir acknowledged to clients; what it has not committed of them is in flight
 */
export function balance(status: Status, acknowledged: number): Balance {
  const { counts } = status;
  const inFlight = Math.max(0, acknowledged - committedOfClients(status));
  return {
    received: total(counts, "received") + inFlight,
    loaded: total(counts, "loaded"),
    duplicate: total(counts, "duplicate"),
    quarantined: total(counts, "quarantined"),
    inFlight,
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
