/** Entities whose histories are cut off between batches, what must hold of them, and ways in which it could not. */
import { entityRows } from "@weir/testkit";
import type { CleanRecord, HistoryRow } from "@weir/testkit";
import * as fc from "fast-check";
import { expect } from "vitest";
import type { HistoryParts, TableProgram } from "../program.ts";
import { EntityBench } from "./entity.fixture.ts";
import { arrangements, sorted } from "./entity-cases.fixture.ts";
import type { EntityCase, entityCases } from "./entity-cases.fixture.ts";
import { edited } from "./entity-defects.fixture.ts";

const startUs = BigInt(Date.parse("2026-01-01T00:00:00Z")) * 1000n;

/** Records that come, and up to when the history is cut off after them: in tenths of a second, so that it may lie between records. */
interface Step {
  readonly records: readonly CleanRecord[];
  readonly cut: number | undefined;
}

export const cutArrangements = (records: fc.Arbitrary<CleanRecord>): fc.Arbitrary<Step[]> =>
  fc
    .tuple(
      arrangements(records),
      fc.array(fc.option(fc.nat(110), { nil: undefined }), { minLength: 5, maxLength: 5 }),
    )
    .map(([batches, cuts]) => batches.map((batch, i) => ({ records: batch, cut: cuts[i] })));

/** What orders the states of a thing. */
function versionOf({ spec }: EntityCase, { value, timeUs }: CleanRecord): bigint {
  const version = typeof spec.from === "string" ? value["version"] : value[spec.version ?? ""];
  return version === undefined ? timeUs : BigInt(Number(version));
}

/** Whether a record is what a cut history may not know how to take: it happened after the border, and is older by version than one before. */
const isBeyond = (
  one: EntityCase,
  record: CleanRecord,
  before: readonly CleanRecord[],
  borderUs: bigint,
): boolean =>
  record.timeUs > borderUs &&
  before.some((other) => other.timeUs <= borderUs && versionOf(one, other) >= versionOf(one, record));

/** Merges the batches and cuts off between them, then takes a third of the records back; each time it must be as the oracle says. */
export async function cutHolds(
  one: EntityCase,
  steps: readonly Step[],
  defect?: (table: TableProgram) => TableProgram,
): Promise<void> {
  const bench = await EntityBench.open(one.spec, one.contracts, defect);
  let borderUs: bigint | undefined;
  const isKept = ({ toUs }: HistoryRow): boolean =>
    toUs === null || borderUs === undefined || toUs > borderUs;
  const compare = async (records: readonly CleanRecord[], what: string): Promise<void> => {
    const expected = entityRows(one.spec, records);
    const history = borderUs === undefined ? await bench.history() : await bench.keptHistory();
    expect(sorted(await bench.current()), `now, ${what}`).toEqual(sorted(expected.current));
    expect(sorted(history), `history, ${what}`).toEqual(sorted(expected.history.filter(isKept)));
  };
  try {
    const all: CleanRecord[] = [];
    for (const { records, cut } of steps) {
      const border = borderUs;
      const coming =
        border === undefined
          ? records
          : records.filter((record) => !isBeyond(one, record, [...all, ...records], border));
      all.push(...coming);
      await bench.merge(coming);
      await compare(all, "merged");
      const next = cut === undefined ? undefined : startUs + BigInt(cut) * 100_000n;
      if (next === undefined || (borderUs !== undefined && next < borderUs)) continue;
      borderUs = next;
      await bench.cutOff(next);
      await compare(all, "cut off");
    }
    const left = all.filter((_, i) => i % 3 > 0);
    await bench.retract(
      all.filter((_, i) => i % 3 === 0),
      left,
    );
    await compare(left, "taken back");
  } finally {
    bench.close();
  }
}

const pruning = (
  of: keyof typeof entityCases,
  change: (history: HistoryParts) => HistoryParts,
): { of: keyof typeof entityCases; defect: (table: TableProgram) => TableProgram } => ({
  of,
  defect: (table) => (table.history === undefined ? table : { ...table, history: change(table.history) }),
});

const editing = (of: keyof typeof entityCases, from: RegExp, to: string) =>
  pruning(of, (history) => ({ ...history, prune: edited(history.prune, from, to) }));

export const pruneDefects = {
  "the state in force at the border goes": editing("a stream", /_laters > 0 AND _at <= _later_at/, "TRUE"),
  "records that tell columns go": editing("a stream", /AND _row NOT IN/, "AND 1 NOT IN"),
  "of undeclared members too": editing(
    "a stream without declared columns",
    /AND _row NOT IN/,
    "AND 1 NOT IN",
  ),
  "the highest values go": editing("two contracts with a lattice", /AND coalesce\(_rank0[^)]*\)/, ""),
  "ends below values that only rise go": editing(
    "a stream with a lattice",
    /CASE WHEN _op = 'delete' THEN 3/,
    "CASE WHEN _op = 'delete' THEN NULL",
  ),
  "times of records that are older by version go": editing(
    "two contracts with a version",
    /AND _at <= _later_at/,
    "",
  ),
  "records go whose states began later": editing(
    "a stream",
    /WHERE _from <= getvariable/,
    "WHERE _at <= getvariable",
  ),
};
