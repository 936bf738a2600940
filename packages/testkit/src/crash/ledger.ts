import type { Observed } from "./observed.ts";
import { expectedTables } from "./expected-tables.ts";
import type { WorkRecord } from "./workload.ts";

interface Obligation {
  readonly record: WorkRecord;
  attempts: number;
  acknowledged: number;
}

/**
 * What a system owes for the records it was sent. It is kept by the test's process, which nobody kills.
 *
 * A record is owed as often as it was acknowledged, and may be there as often as it was sent: an attempt that was
 * cut off may have been stored. Beyond that nothing may be lost, and nothing made up.
 */
export class ObligationLedger {
  readonly #obligations = new Map<number, Obligation>();

  /** To be called before each attempt to send the record. */
  sending(record: WorkRecord): void {
    const known = this.#obligations.get(record.mark);
    if (known === undefined) this.#obligations.set(record.mark, { record, attempts: 1, acknowledged: 0 });
    else known.attempts++;
  }

  /** To be called when an attempt was acknowledged. */
  acknowledged(record: WorkRecord): void {
    const known = this.#obligations.get(record.mark);
    if (known === undefined) throw new RangeError(`record ${record.mark} was never sent`);
    known.acknowledged++;
  }

  /** Different records that were acknowledged. */
  get size(): number {
    return [...this.#obligations.values()].filter(({ acknowledged }) => acknowledged > 0).length;
  }

  /** Attempts that were acknowledged. */
  get acknowledgements(): number {
    return [...this.#obligations.values()].reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  }

  /** What is wrong with the state of a system that has drained; nothing if every obligation is discharged once. */
  problems(seen: Observed): string[] {
    const stored = [...this.#obligations.values()].filter(
      ({ record }) => (seen.raw.get(record.mark) ?? 0) > 0,
    );
    const winners = winnersOf(stored.map(({ record }) => record));
    return [
      ...this.#receipts(seen),
      ...strangers("raw", seen.raw, this.#obligations),
      ...strangers("quarantine", seen.quarantined, this.#obligations),
      ...fates(stored, seen),
      ...cleanRows(winners, seen),
      ...conservation(stored, winners, seen),
      ...tables(winners, seen),
    ];
  }

  #receipts({ raw }: Observed): string[] {
    const problems: string[] = [];
    for (const { record, attempts, acknowledged } of this.#obligations.values()) {
      const times = raw.get(record.mark) ?? 0;
      if (times < acknowledged)
        problems.push(
          `record ${record.mark} was acknowledged ${acknowledged} times and is in raw ${times} times`,
        );
      if (times > attempts)
        problems.push(`record ${record.mark} was sent ${attempts} times and is in raw ${times} times`);
    }
    return problems;
  }
}

/** By contract and id, the record that counts: the one with the earliest event time. */
function winnersOf(records: readonly WorkRecord[]): Map<string, WorkRecord> {
  const winners = new Map<string, WorkRecord>();
  for (const record of records) {
    if (record.value === undefined) continue;
    const key = keyOf(record);
    const rival = winners.get(key)?.value;
    if (rival === undefined || record.value.atUs < rival.atUs) winners.set(key, record);
  }
  return winners;
}

const keyOf = ({ value }: WorkRecord): string => `${value?.kind} ${value?.id}`;

function strangers(
  where: string,
  found: ReadonlyMap<number, number>,
  known: ReadonlyMap<number, unknown>,
): string[] {
  return [...found.keys()]
    .filter((mark) => !known.has(mark))
    .map((mark) => `record ${mark}, in ${where}, was never sent`);
}

/** A bad record is in quarantine as often as it was received, a good one never. */
function fates(stored: readonly Obligation[], { raw, quarantined }: Observed): string[] {
  const problems: string[] = [];
  for (const { record } of stored) {
    const owed = record.fate === "quarantined" ? (raw.get(record.mark) ?? 0) : 0;
    const found = quarantined.get(record.mark) ?? 0;
    if (found !== owed) problems.push(`record ${record.mark} is in quarantine ${found} times, not ${owed}`);
  }
  return problems;
}

/** Each id once, with the record that counts. */
function cleanRows(winners: ReadonlyMap<string, WorkRecord>, { clean }: Observed): string[] {
  const problems: string[] = [];
  const owed = new Map<number, WorkRecord>();
  for (const winner of winners.values()) owed.set(winner.mark, winner);
  for (const [mark, rows] of clean) {
    const value = owed.get(mark)?.value;
    if (value === undefined) problems.push(`record ${mark} is in the clean zone and should not be`);
    else if (rows.length !== 1) problems.push(`record ${mark} is in the clean zone ${rows.length} times`);
    else if (rows[0]?.id !== value.id || rows[0]?.atUs !== value.atUs)
      problems.push(`record ${mark} is in the clean zone as ${JSON.stringify(rows[0])}`);
  }
  for (const mark of owed.keys())
    if (!clean.has(mark)) problems.push(`record ${mark} is not in the clean zone`);
  return problems;
}

function conservation(
  stored: readonly Obligation[],
  winners: ReadonlyMap<string, WorkRecord>,
  { raw, counts }: Observed,
): string[] {
  const received = stored.reduce((sum, { record }) => sum + (raw.get(record.mark) ?? 0), 0);
  const quarantined = stored
    .filter(({ record }) => record.fate === "quarantined")
    .reduce((sum, { record }) => sum + (raw.get(record.mark) ?? 0), 0);
  const loaded = winners.size;
  const owed = { received, loaded, duplicate: received - quarantined - loaded, quarantined };
  const names = ["received", "loaded", "duplicate", "quarantined"] as const;
  return names
    .filter((name) => counts[name] !== owed[name])
    .map((name) => `${counts[name]} are counted as ${name}, not ${owed[name]}`);
}

function tables(winners: ReadonlyMap<string, WorkRecord>, seen: Observed): string[] {
  const values = [...winners.values()].flatMap(({ value }) => (value === undefined ? [] : [value]));
  const expected = expectedTables(values);
  const problems: string[] = [];
  for (const [table, owed] of Object.entries(expected)) {
    const found = seen.tables[table] ?? [];
    const [missing, surplus] = [without(owed, found), without(found, owed)];
    for (const row of missing) problems.push(`${table} lacks ${row}`);
    for (const row of surplus) problems.push(`${table} has ${row} and should not`);
  }
  return problems;
}

/** Rows of `a` that `b` does not have as often. */
function without(a: readonly string[], b: readonly string[]): string[] {
  const left = new Map<string, number>();
  for (const row of b) left.set(row, (left.get(row) ?? 0) + 1);
  return a.filter((row) => {
    const n = left.get(row) ?? 0;
    left.set(row, n - 1);
    return n <= 0;
  });
}
