import { avg, compileProject, distinct, last, rollup, sessions, sum } from "@weir/compile";
import type { Measure, RollupSpec, SessionsSpec } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { outcomeOf } from "@weir/testkit";
import { expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";
import { oracleTexts, tableTexts, withoutSessionIds } from "./order-free/compare.fixture.ts";

/** Names that the engine's own statements use, or used, for columns, tables, aliases and variables. */
const names = [
  "t s e a m x r c l f d v n run opens one a0 text line seg source number low near bin".split(" "),
  ["sum__near", "mean__count", "mean__sum__near", "commit"],
  ["group", "Select", "a b", "a'b", 'a"b', "漢字", "0", "~", "/"],
].flat();

const measures = (field: string): Record<string, Measure> => ({
  sum: sum(field),
  mean: avg(field),
  kinds: distinct(field),
  latest: last(field),
});

/** A contract with a field of the name, and one whose id is that field. */
const contracts = names.flatMap((name, i): Contract[] => {
  const fields: object = Type.Object({
    "event id": Type.String(),
    at: timestamp(),
    p: Type.Integer(),
    [name]: Type.Number(),
  });
  const spec = { version: "1.0.0", owner: "tests", time: "at" };
  return [contract(`c${i}`, { ...spec, id: "event id", fields })];
});

test("fields and measures may have any name", async () => {
  // A dozen contracts a project: a commit runs the statements of every table.
  for (let from = 0; from < names.length; from += 12)
    await compareNames(from, Math.min(from + 12, names.length));
});

async function compareNames(from: number, to: number): Promise<void> {
  const own = contracts.slice(from, to);
  const tables: Record<string, RollupSpec | SessionsSpec> = {};
  for (const [i, one] of own.entries()) {
    const name = names[from + i] ?? "";
    const measured = {
      ...measures(name),
      ...(/^[a-z]\w*$/.test(name) && !name.includes("__") ? { [name]: sum("p") } : {}),
    };
    const { [name]: _, ...others } = measured;
    tables[`by_${i}`] = rollup({ from: one, by: name, window: "1m", measures: others });
    tables[`in_${i}`] = sessions({ from: one, by: name, gap: "1m", measures: others });
    // Named as the measure's table of distinct values would be, if it had no mark of its own.
    tables[`by_${i}__kinds`] = rollup({ from: one, by: "p", measures: measured });
  }
  const sources = { web: { contracts: own } };
  const records = own.flatMap(({ name: sent }, i) => {
    const name = names[from + i] ?? "";
    const record = (id: string, at: string, value: number): string =>
      JSON.stringify({ "event id": id, at, p: 1, [name]: value });
    // The second batch takes a record of the first back, and adds to its groups.
    return [
      [record("1", "2026-01-01T00:00:30Z", 5), record("2", "2026-01-01T00:00:10Z", 1e100)],
      [record("1", "2026-01-01T00:00:00Z", 1e100), record("3", "2026-01-01T00:00:20Z", 1.5)],
    ].map((texts) => texts.map((text) => ({ source: "web", sent, text })));
  });
  const harness = new Harness();
  try {
    await harness.open(compileProject({ name: "names", sources, tables }));
    for (const batch of [0, 1]) await harness.load(records.filter((_, i) => i % 2 === batch).flat());
    const clean = [...outcomeOf(sources, records.flat()).candidates.values()].flat();
    for (const [name, table] of Object.entries(tables)) {
      const found = withoutSessionIds(await tableTexts(harness, name));
      expect(found, `${name} of ${names.slice(from, to).join()}`).toEqual(oracleTexts(table, clean));
    }
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  } finally {
    await harness.end();
  }
}
