import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LookupParameters } from "./lookup.ts";
import { keyOf, keysOf, mirrored, paid, parsed, program, queried, tables } from "./serving.fixture.ts";

const harness = new Harness();
beforeAll(async () => {
  await harness.open(program);
  await harness.load([
    paid({ id: "1", minute: 0, who: "ann", amount: "1.00" }),
    paid({ id: "2", minute: 1, who: "ann", store: 2, amount: "2.00", weight: -0 }),
    paid({ id: "3", minute: 30, who: "ann", amount: "3.00" }),
    paid({ id: "4", minute: 5, who: "bob", amount: "0.05", weight: 1e300 }),
    paid({ id: "5", minute: 5, amount: "5.00" }),
    paid({ id: "6", minute: 6, who: 'é"😀\\', amount: "6.00" }),
  ]);
});
afterAll(() => harness.end());

const look = async (table: string, given: LookupParameters): Promise<unknown[]> => {
  const { rows, more } = await harness.engine.lookup(table, given);
  return [...parsed(rows).map((row) => keyOf(table, row)), ...(more ? ["more"] : [])];
};

const minute = (n: number): string => `2026-01-15 10:${String(n).padStart(2, "0")}:00`;

const forms: [string, LookupParameters, unknown[]][] = [
  ["customers", { key: ["ann"] }, ['["ann"]']],
  ["customers", { key: ["bob", "nobody", "ann", "bob"] }, ['["bob"]', '["ann"]']],
  ["customers", { key: ['é"😀\\'] }, [JSON.stringify(['é"😀\\'])]],
  ["customers", { key: ["' OR TRUE --"] }, []],
  ["customers", { columns: { who: "ann" } }, ['["ann"]']],
  ["customers", { columns: { who: null } }, ["[null]"]],
  ["customers", { prefix: { who: "ann" } }, ['["ann"]']],
  ["everything", {}, ["[]"]],
  ["per_minute", { key: ['["ann", 1, "2026-01-15T10:00:00Z"]'] }, [`["ann","1","${minute(0)}"]`]],
  ["per_minute", { key: ['["ann", "1", "2026-01-15T12:00:00+02:00"]'] }, [`["ann","1","${minute(0)}"]`]],
  [
    "per_minute",
    { key: [`[null,1,"${minute(5)}"]`, `["x",1,"${minute(5)}"]`] },
    [`[null,"1","${minute(5)}"]`],
  ],
  [
    "per_minute",
    { columns: { who: "ann", store: "2", window_start: minute(1) } },
    [`["ann","2","${minute(1)}"]`],
  ],
  [
    "per_minute",
    { prefix: { who: "ann" } },
    [`["ann","1","${minute(0)}"]`, `["ann","1","${minute(30)}"]`, `["ann","2","${minute(1)}"]`],
  ],
  ["per_minute", { prefix: { who: "ann" }, limit: 1 }, [`["ann","1","${minute(0)}"]`, "more"]],
  [
    "per_minute",
    { prefix: { who: "ann", store: "1" } },
    [`["ann","1","${minute(0)}"]`, `["ann","1","${minute(30)}"]`],
  ],
  ["per_minute", { prefix: { who: null } }, [`[null,"1","${minute(5)}"]`]],
  [
    "per_minute",
    { prefix: { who: "ann" }, from: "2026-01-15T10:00:30Z", to: minute(30) },
    [`["ann","2","${minute(1)}"]`],
  ],
  [
    "per_minute",
    { from: minute(1), to: minute(6) },
    [`["ann","2","${minute(1)}"]`, `[null,"1","${minute(5)}"]`, `["bob","1","${minute(5)}"]`],
  ],
  ["per_minute", { from: minute(30) }, [`["ann","1","${minute(30)}"]`]],
  ["per_minute", { to: minute(1) }, [`["ann","1","${minute(0)}"]`]],
  ["amounts", { key: [`["1", "${minute(0)}", 0.5]`] }, [`["1.00","${minute(0)}","0.5"]`]],
  ["amounts", { key: [`["2.0", "${minute(1)}", -0]`] }, [`["2.00","${minute(1)}","0"]`]],
  ["amounts", { key: [`[0.05, "${minute(5)}", 1e300]`] }, [`["0.05","${minute(5)}","1e+300"]`]],
  ["paid", { key: ["3"] }, ["[]"]],
  ["paid", { from: "2026-01-15T10:05:00Z", to: "2026-01-15T10:06:00Z" }, ["[]", "[]"]],
];

describe.each(["by scan", "by mirror"])("%s", (how) => {
  beforeAll(async () => {
    if (how === "by mirror") await mirrored(harness.engine);
  });

  test.each(forms)("%s %o", async (table, given, expected) => {
    expect(await look(table, given)).toEqual(expected);
  });

  test("sessions by id, by visitor, and by their own columns", async () => {
    const { rows } = await queried(harness.engine, "visits");
    const ann = [...rows.values()].filter(({ who }) => who === "ann");
    const ids = ann.map((row) => row["session_id"] as string);
    const found = await harness.engine.lookup("visits", { key: ids });
    expect(parsed(found.rows)).toEqual(ann);
    expect(await look("visits", { prefix: { who: "ann" } })).toHaveLength(2);
    expect(await look("visits", { prefix: { who: "ann" }, from: minute(30) })).toHaveLength(1);
    expect(await look("visits", { columns: { who: "ann", session_start: minute(30) } })).toHaveLength(1);
    expect(await look("visits", { from: minute(5), to: minute(6) })).toHaveLength(1);
  });

  test("every row of every table is what a query gives", async () => {
    for (const table of tables) {
      const { rows, commit } = await queried(harness.engine, table);
      for (const [key, row] of rows) {
        const values = JSON.parse(key) as (string | null)[];
        const columns = Object.fromEntries(keysOf(table).map((name, i) => [name, values[i] ?? null]));
        const found = await harness.engine.lookup(table, values.length === 0 ? {} : { columns });
        expect({ commit: found.commit, rows: parsed(found.rows) }).toEqual({ commit, rows: [row] });
      }
    }
  });

  test("some columns", async () => {
    const { rows } = await harness.engine.lookup("customers", { key: ["ann"], select: ["total", "n"] });
    expect(rows.map(String)).toEqual(['{"total":"6.00","n":"3"}']);
  });
});

describe("what is refused", () => {
  const columns =
    "Its key columns are who (VARCHAR), store (BIGINT), window_start (TIMESTAMP); its event time is window_start.";

  test.each<[string, LookupParameters, string, string]>([
    ["nothing", {}, "not_found", "There is no table"],
    ["weir.counts", { key: ["a"] }, "not_found", "There is no table"],
    ["raw", { key: ["a"] }, "not_found", "There is no table"],
    ["per_minute", {}, "lookup_invalid", `names no rows. ${columns}`],
    ["per_minute", { key: ["ann"] }, "lookup_invalid", `"ann" is not a JSON array of 3 values. ${columns}`],
    ["per_minute", { key: ['["ann",1]'] }, "lookup_invalid", "is not a JSON array of 3 values"],
    ["per_minute", { key: ['["ann",{},"x"]'] }, "lookup_invalid", '"{}" is no value of store'],
    [
      "per_minute",
      { key: ['["ann",12345678901234567890,"x"]'] },
      "lookup_invalid",
      "must be written as a string",
    ],
    [
      "per_minute",
      { columns: { n: "1" } },
      "lookup_invalid",
      `"n" is neither a parameter nor a key column. ${columns}`,
    ],
    ["per_minute", { columns: { who: "ann" } }, "lookup_invalid", `the key is not whole. ${columns}`],
    [
      "per_minute",
      { prefix: { store: "1" } },
      "lookup_invalid",
      `"store" are not the first columns it is sorted by. ${columns}`,
    ],
    [
      "per_minute",
      { prefix: { who: "ann", store: "one" } },
      "lookup_invalid",
      '"one" is not a BIGINT, which store is.',
    ],
    [
      "per_minute",
      { from: "yesterday" },
      "lookup_invalid",
      '"yesterday" is not a TIMESTAMP, which window_start is.',
    ],
    ["per_minute", { key: ["[]"], from: "2026-01-01" }, "lookup_invalid", "key cannot be combined"],
    ["per_minute", { from: "2026-01-01", limit: 0 }, "lookup_invalid", "limit must be"],
    ["per_minute", { from: "2026-01-01", limit: 10_001 }, "lookup_invalid", "limit must be"],
    ["per_minute", { from: "2026-01-01", select: ["who", "x"] }, "lookup_invalid", 'there is no column "x"'],
    ["customers", { from: "2026-01-01" }, "lookup_invalid", "no event time"],
    ["customers", { key: Array.from({ length: 1_001 }, String) }, "lookup_invalid", "has 1001"],
    ["customers", { key: ["a\0b"] }, "invalid_usage", "NUL"],
    ["a\0b", { key: ["a"] }, "not_found", "There is no table"],
    [
      "visits",
      { key: ["x"], prefix: { who: "a" } },
      "lookup_invalid",
      "it is sorted by who (VARCHAR), session_start (TIMESTAMP)",
    ],
    ["customers", { key: ["ann"], minCommit: 99, timeoutMs: 10 }, "commit_not_reached", "Commit 99"],
  ])("%s %o", async (table, given, code, message) => {
    await expect(harness.engine.lookup(table, given)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
    );
  });
});
