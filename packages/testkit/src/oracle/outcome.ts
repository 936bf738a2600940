import { validator } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { instantUs } from "./instants.ts";

/** A record as it was received: readable under a name, or unreadable with the error that says why. */
export type Received =
  | { readonly source: string; readonly sent: string; readonly text: string }
  | { readonly source: string; readonly error: string; readonly bytes: Buffer };

export interface CleanRecord {
  readonly contract: Contract;
  /** The id as text. */
  readonly id: string;
  readonly timeUs: bigint;
  readonly text: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export interface Quarantined {
  readonly source: string;
  readonly contract: string | null;
  readonly reason: string;
  /** The record's text, or its bytes in base64. */
  readonly body: string;
}

export interface Outcome {
  /** For each id the records that may count: one, or several texts of one id and one time. */
  readonly candidates: ReadonlyMap<string, readonly CleanRecord[]>;
  readonly quarantined: readonly Quarantined[];
  /** `source/contract`: records received and quarantined, which do not depend on order. */
  readonly bySource: ReadonlyMap<string, { received: number; quarantined: number }>;
  /** By contract: which of two sources a duplicate is counted for depends on what came first, the sum does not. */
  readonly byContract: ReadonlyMap<string, { loaded: number; duplicate: number }>;
}

/** Contracts by source, as a project declares them. */
export type Sources = Readonly<Record<string, { readonly contracts: readonly Contract[] }>>;

/** What becomes of a set of records, in whatever order they come. */
export function outcomeOf(sources: Sources, records: readonly Received[]): Outcome {
  const candidates = new Map<string, CleanRecord[]>();
  const quarantined: Quarantined[] = [];
  const bySource = new Map<string, { received: number; quarantined: number }>();
  const byContract = new Map<string, { loaded: number; duplicate: number }>();
  for (const record of records) {
    const { contract, reason } = judge(sources, record);
    const key = `${record.source}/${contract?.name ?? "(unknown)"}`;
    const count = bySource.get(key) ?? { received: 0, quarantined: 0 };
    bySource.set(key, count);
    count.received++;
    if (contract !== undefined && reason === undefined && "text" in record) {
      const outcome = byContract.get(contract.name) ?? { loaded: 0, duplicate: 0 };
      byContract.set(contract.name, outcome);
      const isNew = add(candidates, cleanRecord(contract, record.text));
      outcome[isNew ? "loaded" : "duplicate"]++;
    } else {
      count.quarantined++;
      const body = "text" in record ? record.text : record.bytes.toString("base64");
      quarantined.push({
        source: record.source,
        contract: contract?.name ?? null,
        reason: reason ?? "",
        body,
      });
    }
  }
  return { candidates, quarantined, bySource, byContract };
}

/** The contract a record is for, and why it is refused if it is. */
function judge(sources: Sources, record: Received): { contract?: Contract; reason?: string } {
  if ("error" in record) return { reason: record.error.split(":")[0] ?? "" };
  const [name, version] = record.sent.split("@");
  const contract = sources[record.source]?.contracts.find(
    (one) => one.name === name || one.aliases.includes(name ?? ""),
  );
  if (contract === undefined) return { reason: "unknown_contract" };
  const major = (text: string): string | undefined => /^(\d+)\.\d+\.\d+(?:[-+].*)?$/.exec(text)?.[1];
  if (version !== undefined && major(version) !== major(contract.version))
    return { reason: "unknown_version" };
  const violations = validator(contract)(JSON.parse(record.text));
  return violations.length === 0 ? { contract } : { contract, reason: "contract_violation" };
}

function cleanRecord(contract: Contract, text: string): CleanRecord {
  const value = JSON.parse(text) as Record<string, unknown>;
  const timeUs = instantUs(String(value[contract.time]));
  return { contract, id: String(value[contract.id]), timeUs, text, value };
}

/** Of the records of one id those of the least time stay, each text once. Says whether the id is new. */
function add(candidates: Map<string, CleanRecord[]>, record: CleanRecord): boolean {
  const key = `${record.contract.name}/${record.id}`;
  const known = candidates.get(key);
  const [rival] = known ?? [];
  if (known === undefined || rival === undefined || record.timeUs < rival.timeUs)
    candidates.set(key, [record]);
  else if (record.timeUs === rival.timeUs && known.every(({ text }) => text !== record.text))
    known.push(record);
  return known === undefined;
}
