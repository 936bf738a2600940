import * as fc from "fast-check";
import { expect, test } from "vitest";
import { expectedTables } from "./expected-tables.ts";
import { ObligationLedger } from "./ledger.ts";
import type { CleanRow, Observed } from "./observed.ts";
import { seeded } from "./seeded.ts";
import { Workload } from "./workload.ts";
import type { WorkRecord } from "./workload.ts";

/** A system that was sent a workload and is right about it; each acknowledged record once for each time it was sent. */
function rightSystem(seed: number): { ledger: ObligationLedger; seen: Writable; sent: WorkRecord[] } {
  const workload = new Workload(seeded(seed));
  const ledger = new ObligationLedger();
  const sent = Array.from({ length: 30 }, () => workload.batch(20)).flat();
  const raw = new Map<number, number>();
  const quarantined = new Map<number, number>();
  const winners = new Map<string, WorkRecord>();
  for (const record of sent) {
    ledger.sending(record);
    ledger.acknowledged(record);
    raw.set(record.mark, (raw.get(record.mark) ?? 0) + 1);
    if (record.value === undefined) {
      quarantined.set(record.mark, (quarantined.get(record.mark) ?? 0) + 1);
      continue;
    }
    const id = record.value.id;
    const rival = winners.get(id)?.value;
    if (rival === undefined || rival.atUs > record.value.atUs) winners.set(id, record);
  }
  const clean = new Map<number, CleanRow[]>();
  for (const { mark, value } of winners.values())
    if (value !== undefined) clean.set(mark, [{ id: value.id, atUs: value.atUs }]);
  const bad = [...quarantined.values()].reduce((sum, n) => sum + n, 0);
  const counts = {
    received: sent.length,
    loaded: winners.size,
    duplicate: sent.length - bad - winners.size,
    quarantined: bad,
  };
  const tables = expectedTables([...winners.values()].flatMap(({ value }) => value ?? []));
  return { ledger, seen: { raw, clean, quarantined, counts, tables }, sent };
}

type Writable = {
  raw: Map<number, number>;
  clean: Map<number, CleanRow[]>;
  quarantined: Map<number, number>;
  counts: { -readonly [K in keyof Observed["counts"]]: number };
  tables: Record<string, string[]>;
};

const first = <K, V>(map: Map<K, V>): K => {
  const [key] = map.keys();
  if (key === undefined) throw new Error("the workload lacks such a record");
  return key;
};

/** What may go wrong, each in a system that is right otherwise. */
const faults: Record<string, (seen: Writable, sent: WorkRecord[]) => void> = {
  "an acknowledged record is lost": ({ raw }) => raw.delete(first(raw)),
  "a record is stored more often than it was sent": ({ raw }) => raw.set(first(raw), 99),
  "a record that nobody sent": ({ raw }) => raw.set(1_000_000, 1),
  "a loaded record is missing": ({ clean }) => clean.delete(first(clean)),
  "a loaded record is there twice": ({ clean }) => {
    const [mark, rows] = [...clean][0] ?? [0, []];
    clean.set(mark, [...rows, ...rows]);
  },
  "the loser of two records with one id": ({ clean }, sent) => {
    const loser = sent.find(({ mark, value }) => value !== undefined && !clean.has(mark));
    if (loser?.value === undefined) throw new Error("the workload has no conflict");
    const winner = [...clean].find(([, [row]]) => row?.id === loser.value?.id);
    clean.delete(winner?.[0] ?? 0);
    clean.set(loser.mark, [{ id: loser.value.id, atUs: loser.value.atUs }]);
  },
  "a row with another record's time": ({ clean }) => {
    const [mark, [row]] = [...clean][0] ?? [0, []];
    clean.set(mark, [{ id: row?.id ?? "", atUs: (row?.atUs ?? 0) + 1 }]);
  },
  "a bad record is not in quarantine": ({ quarantined }) => quarantined.delete(first(quarantined)),
  "a bad record is in quarantine too often": ({ quarantined }) => quarantined.set(first(quarantined), 99),
  "a good record is in quarantine": ({ quarantined, clean }) => quarantined.set(first(clean), 1),
  "a wrong count": ({ counts }) => counts.duplicate++,
  "a session that is missing": ({ tables }) => tables["visits"]?.pop(),
  "a session too many": ({ tables }) => tables["visits"]?.push(tables["visits"][0] ?? ""),
  "a person that is called otherwise": ({ tables }) => tables["people"]?.splice(0, 1, "visitor|v1|x"),
  "a group that did not move": ({ tables }) => tables["persons"]?.push(tables["persons"][0] ?? ""),
  "a view with an order that was not yet": ({ tables }) => tables["views_then"]?.push("e1|o1"),
  "an article with one view too few": ({ tables }) => tables["demand"]?.pop(),
  "an article that is gone": ({ tables }) => tables["articles"]?.push(tables["articles_history"]?.[0] ?? ""),
  "a state that an article never had": ({ tables }) => tables["articles_history"]?.push("1|x"),
  "a wrong total": ({ tables }) => (tables["stock"] = (tables["stock"] ?? []).map((row) => `${row}0`)),
};

test("a system that is right owes nothing", () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const { ledger, seen } = rightSystem(seed);
      expect(ledger.problems(seen)).toEqual([]);
    }),
    { numRuns: 20 },
  );
});

test.each(Object.entries(faults))("it notices %s", (_, fault) => {
  const { ledger, seen, sent } = rightSystem(7);
  fault(seen, sent);
  expect(ledger.problems(seen)).not.toEqual([]);
});

test("an attempt that was cut off may be stored or not, and must not be stored twice", () => {
  const { ledger, seen } = rightSystem(3);
  const [retried] = new Workload(seeded(4)).batch(1);
  if (retried === undefined) throw new Error("an empty batch");
  const record = {
    ...retried,
    mark: 500_000,
    fate: "quarantined" as const,
    value: undefined,
  } as never as WorkRecord;
  ledger.sending(record);
  expect(ledger.problems(seen)).toEqual([]);
  for (const [times, isRight] of [
    [1, true],
    [2, false],
  ] as const) {
    seen.raw.set(record.mark, times);
    seen.quarantined.set(record.mark, times);
    const counts = { ...seen.counts };
    counts.received += times;
    counts.quarantined += times;
    expect(ledger.problems({ ...seen, counts }).length === 0).toBe(isRight);
  }
});
