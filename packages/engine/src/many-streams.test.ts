import { compileProject, entity } from "@weir/compile";
import type { TableSpec } from "@weir/compile";
import { Type, changeContract, changeText } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

const tables = 60;
let harness: Harness;
beforeEach(() => {
  harness = new Harness({ settings: { memoryLimit: "384MB" } });
});
afterEach(() => harness.end());

/** A change of one row of one table; the later it is made, the newer. */
let made = 0;
function change(table: number): { source: string; sent: string; text: string } {
  const version = String(++made).padStart(10, "0");
  const row = { id: String(made % 7), name: version };
  const { text } = changeText({
    id: version,
    at: "2026-01-01T00:00:00Z",
    stream: `public.t${table}`,
    op: "update",
    key: `["${row.id}"]`,
    version,
    row,
  });
  return { source: "db", sent: "db", text };
}

test(
  "a database of many tables: a batch touches the entities that it has rows of, in bounded memory",
  { timeout: 120_000 },
  async () => {
    const entities: Record<string, TableSpec> = {};
    for (let i = 0; i < tables; i++) {
      const columns = { id: Type.Integer(), name: Type.String() };
      entities[`t${i}`] = entity({ from: `db.public.t${i}`, key: "id", columns });
    }
    const sources = { db: { contracts: [changeContract("db")] } };
    await harness.open(compileProject({ name: "many", sources, tables: entities }));
    const all = Array.from({ length: tables * 14 }, (_, i) => change(i % tables));
    await harness.load(all);
    await harness.load(Array.from({ length: 14 }, () => change(3)));
    const commits = await harness.rows(
      `SELECT ${[2, 3].map((i) => `(SELECT max(_commit)::INTEGER FROM db.state.t${i})`).join(", ")}`,
    );
    expect(commits).toEqual([[1, 2]]);
    await harness.load(all.toReversed());
    await harness.load(Array.from({ length: tables * 7 }, (_, i) => change(i % tables)));
    for (const i of [0, 3, tables - 1]) {
      const [row] = await harness.rows(
        `SELECT count(*)::INTEGER, min(name) >= '${String(made - tables * 7).padStart(10, "0")}' FROM t${i}`,
      );
      expect(row).toEqual([7, true]);
    }
  },
);
