import { compileProject, derive, enrich, entity, ident } from "@weir/compile";
import type { TableSpec } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

/** Names that statements of these tables use, or might, for columns and aliases. */
const names = [
  "a c d e h i k l n o p t x b commit key was row id_1 time at1".split(" "),
  ["group", "Select", "a b", "a'b", 'a"b', "漢字", "0", "~"],
].flat();

/** Contracts, each with a field of a name, the entities that they tell of by that field and otherwise, and what reads these. */
function tablesOf(name: string, i: number, one: Contract): Record<string, TableSpec> {
  const alias = /^[a-z]\w*$/.test(name) && !name.includes("__") ? name : "other";
  const [quoted, o] = [ident(name), ident(alias)];
  return {
    [`by_p${i}`]: entity({ from: one, key: "who" }),
    [`by_name${i}`]: entity({ from: one, key: name }),
    [`now${i}`]: enrich({
      from: one,
      to: `by_p${i}`,
      on: { who: "who" },
      take: name,
      keep: name,
      prefix: "x",
    }),
    [`then${i}`]: enrich({
      from: one,
      to: `by_name${i}`,
      on: { [name]: name },
      take: "who",
      prefix: "x",
      asOf: true,
    }),
    [`derived${i}`]: derive({
      from: { [alias]: `by_p${i}`, q: `by_name${i}` },
      key: "q1",
      keys: { [alias]: name, q: { via: alias, on: { who: "who" } } },
      sql: `SELECT ${o}.${quoted} AS q1, count(q.${quoted}) AS q2 FROM ${o} LEFT JOIN q ON q.who = ${o}.who GROUP BY ALL`,
    }),
  };
}

test("fields and aliases may have any name", async () => {
  // Some contracts a project: a commit runs the statements of every table.
  for (let from = 0; from < names.length; from += 8) await compare(names.slice(from, from + 8));
});

async function compare(some: readonly string[]): Promise<void> {
  const contracts = some.map((name, i) => {
    const fields: object = Type.Object({
      "event id": Type.String(),
      at: timestamp(),
      who: Type.Integer(),
      [name]: Type.Integer(),
    });
    return contract(`c${i}`, { version: "1.0.0", owner: "tests", id: "event id", time: "at", fields });
  });
  const tables = Object.assign(
    {},
    ...some.map((name, i) => tablesOf(name, i, contracts[i] as Contract)),
  ) as Record<string, TableSpec>;
  const harness = new Harness();
  try {
    await harness.open(compileProject({ name: "names", sources: { web: { contracts } }, tables }));
    const record = (
      i: number,
      id: string,
      second: number,
      who: number,
      value: number,
    ): { source: string; sent: string; text: string } => ({
      source: "web",
      sent: `c${i}`,
      text: JSON.stringify({
        "event id": id,
        at: `2026-01-01T00:00:0${second}Z`,
        who,
        [some[i] ?? ""]: value,
      }),
    });
    const all = some.map((_, i) => i);
    await harness.load(all.flatMap((i) => [record(i, "1", 5, 1, 7), record(i, "2", 6, 2, 8)]));
    // A newer state, one that takes a record's place, and a row that moves.
    await harness.load(all.flatMap((i) => [record(i, "3", 7, 1, 8), record(i, "1", 4, 2, 9)]));
    for (const [i, name] of some.entries()) {
      const n = ident(name);
      const joined = `SELECT r."event id", r.${n}, e.${n} FROM c${i} r LEFT JOIN by_p${i} e ON e.who = r.who ORDER BY ALL`;
      const found = `SELECT "event id", ${n}, ${ident(`x${name}`)} FROM now${i} ORDER BY ALL`;
      expect(await harness.rows(found), name).toEqual(await harness.rows(joined));
      expect(await harness.rows(`SELECT "event id", ${n}, xwho FROM then${i} ORDER BY ALL`), name).toEqual(
        await harness.rows(`SELECT "event id", ${n}, who FROM c${i} ORDER BY ALL`),
      );
      expect(await harness.rows(`SELECT * FROM derived${i} ORDER BY ALL`), name).toEqual(
        await harness.rows(
          `SELECT p.${n}, count(q.${n}) FROM by_p${i} p LEFT JOIN by_name${i} q ON q.who = p.who GROUP BY ALL ORDER BY ALL`,
        ),
      );
    }
    expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  } finally {
    await harness.end();
  }
}
