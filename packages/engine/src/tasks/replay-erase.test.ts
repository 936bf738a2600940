/** Who is erased stays erased, whatever is replayed; what cannot be replayed is refused. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { compileProject } from "@weir/compile";
import { afterEach, beforeEach, expect, test } from "vitest";
import * as vaulted from "../erase/erase-private.fixture.ts";
import * as shop from "../erase/erase-shop.fixture.ts";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { scan } from "../privacy/byte-scan.fixture.ts";
import type { ReplayRequest } from "../replay/request.ts";
import type { TaskInfo } from "./ledger.ts";

let harness: Harness;
beforeEach(() => {
  shop.restartNames();
  vaulted.restartNames();
  const internals = { upkeepEveryMs: 20, replacedGraceMs: 0, logRetentionMs: 0, taskMemory: "256MB" };
  harness = new Harness({ internals });
});
afterEach(() => harness.end());

async function settled(id: number): Promise<TaskInfo> {
  for (;;) {
    const task = await harness.engine.tasks.show(id);
    if (task.state !== "waiting" && task.state !== "running") return task;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
const all: ReplayRequest = { from: "2026-01-01", to: "2100-01-01", share: 1 };
const replay = async (more: Partial<ReplayRequest> = {}): Promise<TaskInfo> =>
  await settled((await harness.engine.tasks.replay({ ...all, ...more }, "tester")).id);
const problems = async (): Promise<unknown> => (await harness.engine.verify()).checks.filter(({ ok }) => !ok);

test.each([
  ["without a vault", shop, [shop.jane, "Jane.Doe@example.com", "jane-phone", "7000001"]],
  ["with one", vaulted, [vaulted.jane, "jane-phone", "71001"]],
] as const)(
  "erased while a replay waits, %s: it ends, and after another one no byte is left",
  async (_, of, words) => {
    await harness.open(of.program);
    harness.engine.start();
    const isMary = (record: LogRecord): boolean => "text" in record && record.text.includes("mary");
    await harness.load(of.records().filter((record) => !isMary(record)));
    const same = await replay({ swap: "same" });
    expect(same).toMatchObject({ state: "done", error: null, result: { outcomes: [] } });
    const ready = await replay();
    expect(ready).toMatchObject({ state: "ready", error: null });
    // In the clear where there is no vault, the replay's own files included.
    const before = await scan(harness.dataDir, words);
    const beside = before.filter((file) => file.startsWith("state/shadow/"));
    expect(beside.some((file) => file.endsWith("jane-phone"))).toBe(true);
    expect(beside.some((file) => file.endsWith(of.jane))).toBe(of === shop);
    await harness.engine.erasures.erase(of.asked);
    expect(await harness.engine.tasks.show(ready.id)).toMatchObject({
      state: "failed",
      result: null,
      error: expect.stringContaining("erased") as string,
    });
    expect(readdirSync(join(harness.dataDir, "state", "shadow"))).toEqual([]);
    expect(await replay({ swap: "always" })).toMatchObject({ state: "done", error: null });
    expect(await problems()).toEqual([]);
    await harness.open(of.program);
    harness.engine.start();
    expect(await replay({ swap: "same" })).toMatchObject({ state: "done", error: null });
    expect(await problems()).toEqual([]);
    await harness.close();
    expect(await scan(harness.dataDir, words)).toEqual([]);
  },
);

test("what cannot be replayed is refused, and a project that changed ends the task", async () => {
  await harness.open(shop.program);
  harness.engine.start();
  await harness.load(shop.records());
  const { tasks } = harness.engine;
  for (const wrong of [{ from: "soon" }, { from: "2026-02-01", to: "2026-01-01" }, { share: 0 }])
    await expect(tasks.planReplay({ ...all, ...wrong })).rejects.toMatchObject({ code: "invalid_usage" });
  const { partitions, rows } = await tasks.planReplay(all);
  expect(partitions.reduce((sum, one) => sum + one.rows, 0)).toBe(rows);
  const { id } = await replay();
  await expect(tasks.replay({ ...all }, "t")).rejects.toMatchObject({ code: "task_running" });
  await harness.open({ ...shop.program, sources: { ...shop.program.sources, more: [] } });
  await harness.engine.tasks.swap(id);
  expect(await settled(id)).toMatchObject({
    state: "failed",
    error: expect.stringContaining("project has changed") as string,
  });
  const empty = compileProject({ name: "shop", sources: {}, tables: {} });
  await harness.open(empty);
  await expect(harness.engine.tasks.planReplay(all)).rejects.toMatchObject({ code: "invalid_usage" });
});

test("where raw has lost records of the interval, it says so", async () => {
  await harness.open(shop.program);
  harness.engine.start();
  await harness.load(shop.records());
  await harness.close();
  const day = 86_400_000;
  const keep = {
    rawMs: day,
    quarantineMs: undefined,
    cleanMs: undefined,
    cleanOf: {},
    historyMs: undefined,
    historyOf: {},
    rebuildFromKept: [],
  };
  const old = (Date.now() - 40 * day) * 1000;
  const other = new Harness({ internals: { upkeepEveryMs: 20, keep } });
  try {
    await other.open(shop.program);
    await other.load(shop.records().map((record) => ({ ...record, receivedUs: old })));
    while ((await other.rows("SELECT count(*)::INTEGER FROM raw"))[0]?.[0] !== 0)
      await new Promise((resolve) => setTimeout(resolve, 5));
    const asked = other.engine.tasks.planReplay({ ...all, from: new Date(old / 1000).toISOString() });
    await expect(asked).rejects.toMatchObject({ code: "raw_removed" });
  } finally {
    await other.end();
  }
});
