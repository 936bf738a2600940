/** Tables that are built anew beside the live ones: what is found, the swap, and what undoing it leaves. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import {
  compileProject,
  count,
  derive,
  enrich,
  entity,
  identity,
  rollup,
  sessions,
  sum,
} from "@weir/compile";
import { Type, contract, decimal, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Database, Sql } from "../database.ts";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import type { TaskInfo } from "./ledger.ts";
import type { RebuildResult } from "./rebuild-task.ts";

const Sold = contract("sold", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    who: Type.String(),
    sku: Type.String(),
    price: decimal({ precision: 9, scale: 2 }),
  }),
});

const program = compileProject({
  name: "p",
  sources: { web: { contracts: [Sold] } },
  tables: {
    totals: rollup({ from: Sold, by: "sku", measures: { n: count(), value: sum("price") } }),
    visits: sessions({ from: Sold, by: "who", gap: "30m", measures: { n: count() } }),
    last: entity({ from: Sold, key: "sku" }),
    with_last: enrich({ from: Sold, to: "last", on: { sku: "sku" }, take: "who" }),
    people: identity({ ids: [[Sold, ["who"]]] }),
    summary: derive({
      from: { l: "last", w: "with_last" },
      key: "sku",
      keys: { l: "sku", w: "sku" },
      sql: "SELECT l.sku, l.price, count(w.id) AS n FROM l LEFT JOIN w ON w.sku = l.sku GROUP BY ALL",
    }),
  },
});

let harness: Harness;
beforeEach(async () => {
  harness = new Harness({ internals: { upkeepEveryMs: 20, quietMs: 0, taskMemory: "256MB" } });
  await harness.open(program);
});
afterEach(() => harness.end());

const sale = (n: number, minute = n, id = `s${n}`): LogRecord => ({
  source: "web",
  sent: "sold",
  text: JSON.stringify({
    id,
    at: new Date(Date.UTC(2026, 0, 1, 0, minute * 7)).toISOString(),
    who: `w${n % 5}`,
    sku: `k${n % 3}`,
    price: `${n}.50`,
  }),
});
const sales = (from: number, to: number): LogRecord[] =>
  Array.from({ length: to - from }, (_, i) => sale(from + i));

const live = (): Promise<unknown[][]> =>
  harness.rows("SELECT sku, n, value::VARCHAR FROM totals ORDER BY sku");
const failedChecks = async (): Promise<unknown[]> =>
  (await harness.engine.verify()).checks.filter(({ ok }) => !ok);

async function settled(id: number): Promise<TaskInfo> {
  for (;;) {
    const task = await harness.engine.tasks.show(id);
    if (task.state !== "waiting" && task.state !== "running") return task;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const rebuild = async (table: string, swap?: "asked" | "same" | "always"): Promise<TaskInfo> => {
  const request = { table, share: 1, ...(swap === undefined ? {} : { swap }) };
  return await settled((await harness.engine.tasks.rebuild(request, "tester")).id);
};
const resultOf = (task: TaskInfo): RebuildResult => task.result as RebuildResult;
const differences = (task: TaskInfo): unknown[] =>
  resultOf(task).comparison.flatMap(({ view, onlyLive, onlyNew, different }) =>
    onlyLive + onlyNew + different === 0 ? [] : [[view, onlyLive, onlyNew, different]],
  );

/** Does what no engine would to the live tables. */
async function spoil(sql: string): Promise<void> {
  await harness.close();
  const state = join(harness.dataDir, "state");
  const database = await Database.open(join(state, "weir.duckdb"), join(state, "tmp"), {
    memoryLimit: "256MB",
  });
  const connection = await database.connect();
  await connection.run(sql);
  await database.close();
  await harness.open(program);
}

test("what is built anew is what is there; records that come meanwhile, and take others back, are in it", async () => {
  await harness.load(sales(0, 40));
  await harness.load([...sales(40, 50), sale(3, 90, "s3")]);
  const alone = await harness.engine.tasks.planRebuild({ table: "totals" });
  expect(alone).toMatchObject({
    tables: ["totals"],
    partitions: [{ contract: "sold", files: 2, rows: 50 }],
    rows: 50,
    estimatedMs: null,
  });
  const task = await rebuild("summary");
  expect(task).toMatchObject({ state: "ready", error: null });
  expect(resultOf(task).tables).toEqual(["last", "with_last", "summary"]);
  expect(differences(task)).toEqual([]);
  expect(resultOf(task).comparison.map(({ view, liveRows }) => [view, liveRows])).toEqual(
    expect.arrayContaining([
      ["last", 3],
      ["with_last", 50],
      ["summary", 3],
    ]),
  );
  // It waits; what comes then is caught up with before the swap. One takes the place of a record that the shadow has.
  await harness.load([...sales(50, 60), sale(7, 1, "s7"), sale(4, 1, "s5")]);
  expect((await settled((await harness.engine.tasks.swap(task.id)).id)).state).toBe("done");
  await harness.load([...sales(60, 70), sale(8, 1, "s8")]);
  expect(await failedChecks()).toEqual([]);
  for (const table of ["totals", "people", "summary"]) {
    const again = await rebuild(table);
    expect(differences(again)).toEqual([]);
    await harness.engine.tasks.cancel(again.id);
  }
});

test("a live table that is wrong is found out, stays as it is until the swap, and comes back when that is undone", async () => {
  await harness.load(sales(0, 30));
  const right = await live();
  await spoil(
    "DELETE FROM db.state.totals WHERE sku = 'k0'; UPDATE db.state.totals SET sku = 'k9' WHERE sku = 'k1'",
  );
  const wrong = await live();
  expect(await rebuild("totals", "same")).toMatchObject({ state: "ready", error: null });
  const [task] = await harness.engine.tasks.list();
  if (task === undefined) throw new Error("no task");
  expect(differences(task)).toEqual([["totals", 1, 2, 0]]);
  expect(resultOf(task).comparison[0]?.samples.map((pair) => pair.live ?? pair.new)).toContainEqual(
    expect.stringContaining('"k9"'),
  );
  expect(await live()).toEqual(wrong);
  // A mirror of the table, and a reader of its changes.
  await harness.engine.lookup("totals", { key: ["k1"] });
  const position = await harness.engine.lastPosition("totals");
  expect((await settled((await harness.engine.tasks.swap(task.id)).id)).state).toBe("done");
  expect(await live()).toEqual(right);
  await expect(harness.engine.changes("totals", position, 10)).rejects.toMatchObject({
    code: "changes_gone",
  });
  await harness.load(sales(30, 33));
  const later = await live();
  expect((await harness.engine.tasks.undo(task.id, "tester")).kind).toBe("undo");
  expect((await settled(task.id + 1)).state).toBe("done");
  expect((await harness.engine.tasks.show(task.id)).state).toBe("undone");
  // The old rows, with what came since: a sale for each of three.
  const undone = await live();
  expect(undone).toHaveLength(4);
  expect(undone.find(([sku]) => sku === "k2")).toEqual(later.find(([sku]) => sku === "k2"));
  expect(undone.find(([sku]) => sku === "k0")).toEqual(["k0", "1", "30.50"]);
  await expect(harness.engine.tasks.undo(task.id, "tester")).rejects.toMatchObject({
    code: "task_not_ready",
  });
  expect((await rebuild("totals", "always")).state).toBe("done");
  expect(await live()).toEqual(later);
  expect(await failedChecks()).toEqual([]);
});

test("planted defect: a rebuild that does not hear of what was taken back finds rows that differ", async () => {
  await harness.load(sales(0, 20));
  const { id } = await rebuild("totals");
  await harness.load([sale(1, 0, "s1"), sale(30, 0, "s2")]);
  const run = Reflect.get(Sql.prototype, "run");
  const spy = vi.spyOn(Sql.prototype, "run").mockImplementation(async function (this: Sql, sql: string) {
    if (!sql.startsWith("INSERT INTO db.weir.superseded VALUES")) await run.call(this, sql);
  });
  try {
    await harness.engine.tasks.swap(id);
    expect(differences(await settled(id))).not.toEqual([]);
  } finally {
    spy.mockRestore();
  }
});

test("who is erased is in no table beside the live ones: rebuilds end, and swaps cannot be undone", async () => {
  await harness.load(sales(0, 20));
  const swapped = await rebuild("totals", "always");
  const ready = await rebuild("summary");
  expect([swapped.state, ready.state]).toEqual(["done", "ready"]);
  await harness.engine.erasures.erase({ identifiers: [{ value: "w1" }], allowMany: "a test" });
  expect(await harness.engine.tasks.show(ready.id)).toMatchObject({
    state: "failed",
    error: expect.stringContaining("erased") as string,
  });
  await expect(harness.engine.tasks.undo(swapped.id, "tester")).rejects.toMatchObject({
    code: "task_not_ready",
    message: expect.stringContaining("a person was erased") as string,
  });
  const beside =
    "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE '\\_new%' ESCAPE '\\' OR table_name LIKE '\\_old%' ESCAPE '\\'";
  expect(await harness.rows(beside)).toEqual([]);
  expect(readdirSync(join(harness.dataDir, "state", "shadow"))).toEqual([]);
  expect(differences(await rebuild("summary", "same"))).toEqual([]);
  expect(await harness.rows("SELECT count(*)::INTEGER FROM with_last")).toEqual([[16]]);
  expect(await failedChecks()).toEqual([]);
});

test("what cannot be built anew is refused, and a project that changed ends the task", async () => {
  await harness.load(sales(0, 10));
  const { tasks } = harness.engine;
  await expect(tasks.planRebuild({ table: "nowhere" })).rejects.toMatchObject({
    code: "not_found",
    remedy: expect.stringContaining("The tables are ") as string,
  });
  await expect(tasks.rebuild({ table: "totals", share: 0 }, "t")).rejects.toMatchObject({
    code: "invalid_usage",
  });
  const { id } = await rebuild("totals");
  await expect(tasks.rebuild({ table: "totals", share: 1 }, "t")).rejects.toMatchObject({
    code: "task_running",
  });
  await expect(tasks.undo(id, "t")).rejects.toMatchObject({ code: "task_not_ready" });
  const other = rollup({ from: Sold, by: "sku", measures: { n: count() } });
  await harness.open(
    compileProject({ name: "p", sources: { web: { contracts: [Sold] } }, tables: { totals: other } }),
  );
  await harness.engine.tasks.swap(id);
  expect(await settled(id)).toMatchObject({
    state: "failed",
    error: expect.stringContaining("project has changed") as string,
  });
});
