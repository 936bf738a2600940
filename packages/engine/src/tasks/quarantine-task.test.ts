/** Records of the quarantine that go through a mended program, or out of it for good: each has one outcome, whatever else happens. */
import { compileProject, count, rollup } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import type { TaskInfo } from "./ledger.ts";
import { taskEnd } from "./task-end.fixture.ts";
import type { QuarantineRequest } from "./tasks.ts";

/** @param least what `n` must be at least */
function project(least: number, names: readonly string[] = ["seen"]): Program {
  const contracts = names.map((name) =>
    contract(name, {
      version: "1.0.0",
      owner: "test",
      id: "id",
      time: "at",
      fields: Type.Object({ id: Type.String(), at: timestamp(), n: Type.Integer({ minimum: least }) }),
    }),
  );
  const tables = Object.fromEntries(
    contracts.map((one) => [`by_${one.name}`, rollup({ from: one, by: "n", measures: { rows: count() } })]),
  );
  return compileProject({ name: "p", sources: { web: { contracts } }, tables });
}

const strict = project(100);
const mended = project(10, ["seen", "paid"]);

let harness: Harness;
beforeEach(() => {
  harness = new Harness({ internals: { taskChunkRows: 4, upkeepEveryMs: 20 } });
});
afterEach(() => harness.end());

let us = 1_790_000_000_000_000;
const record = (id: string, n: number, sent = "seen"): LogRecord => ({
  source: "web",
  sent,
  text: JSON.stringify({ id, at: "2026-01-15T10:00:00Z", n, more: { a: [1] } }),
  receivedUs: us++,
});
const unreadable: LogRecord = { source: "web", error: "invalid_json", bytes: Buffer.from("{") };

async function ended(request: QuarantineRequest): Promise<TaskInfo> {
  const { id } = await harness.engine.tasks.quarantine({ share: 1, ...request }, "tester");
  return await taskEnd(harness, id);
}

const failedChecks = async (): Promise<unknown[]> =>
  (await harness.engine.verify()).checks.filter(({ ok }) => !ok);
const counts = (): Promise<unknown[][]> =>
  harness.rows(`SELECT contract, received::INTEGER, loaded::INTEGER, duplicate::INTEGER, quarantined::INTEGER, suppressed::INTEGER
    FROM weir.counts ORDER BY ALL`);

test("what a mended contract takes is loaded, what it does not stays with its new reason, each once", async () => {
  await harness.open(strict);
  await harness.load([record("a", 200), record("b", 50), record("c", 5), unreadable]);
  await harness.load([record("b", 50), record("d", 60), record("e", 5, "paid"), record("f", 70, "paid")]);
  await harness.load([record("a", 20), ...Array.from({ length: 9 }, (_, i) => record(`m${i}`, 30 + i))]);
  await harness.open(mended);
  const request = { action: "reprocess" } as const;
  expect(await harness.engine.tasks.planQuarantine(request)).toMatchObject({
    records: 16,
    unreadable: 1,
    estimatedMs: null,
    groups: [
      { contract: "seen", reason: "contract_violation", records: 14 },
      { contract: "paid", reason: "unknown_contract", records: 2 },
    ],
  });
  const task = await ended(request);
  expect(task).toMatchObject({ kind: "quarantine.reprocess", state: "done", actor: "tester", error: null });
  expect(task.progress).toMatchObject({ done: 16, total: 16 });
  // The record "a" of 20 takes the place of the one of 200, by content, or not: either way one of them is a duplicate.
  expect(task.progress.counts).toMatchObject({ loaded: 12, duplicate: 2, "quarantined again": 2 });
  expect(await failedChecks()).toEqual([]);
  expect(await counts()).toEqual([
    ["(unknown)", 1, 0, 0, 1, 0],
    ["paid", 2, 1, 0, 1, 0],
    ["seen", 15, 12, 2, 1, 0],
  ]);
  expect(
    await harness.rows(
      "SELECT contract, reason, attempts::INTEGER, task::INTEGER FROM quarantine ORDER BY ALL",
    ),
  ).toEqual([
    ["paid", "contract_violation", 2, 1],
    ["seen", "contract_violation", 2, 1],
    [null, "invalid_json", 1, null],
  ]);
  expect(await harness.rows("SELECT sum(rows)::INTEGER FROM by_seen")).toEqual([[12]]);
  expect(await harness.rows("SELECT _extra->'more'->>'a' FROM paid")).toEqual([["[1]"]]);
  // Tried again, what is left fails again; and what was loaded does not come again.
  expect((await ended(request)).progress).toMatchObject({
    done: 2,
    counts: { loaded: 0, "quarantined again": 2 },
  });
  expect((await harness.engine.tasks.planQuarantine(request)).estimatedMs).toBeGreaterThanOrEqual(0);
  expect(await failedChecks()).toEqual([]);
});

test("a filter takes what it names, and nothing that comes later", async () => {
  await harness.open(strict);
  await harness.load([record("a", 50), record("b", 60), record("c", 70, "paid")]);
  const [id = ""] = (
    await harness.rows("SELECT id FROM quarantine WHERE text LIKE '%\"b\"%'")
  ).flat() as string[];
  await harness.open(mended);
  expect((await ended({ action: "reprocess", ids: [id] })).progress).toMatchObject({
    done: 1,
    counts: { loaded: 1 },
  });
  expect((await ended({ action: "reprocess", contract: "paid" })).progress).toMatchObject({ done: 1 });
  expect((await ended({ action: "reprocess", source: "web", reason: "unknown_version" })).progress.done).toBe(
    0,
  );
  await expect(harness.engine.tasks.planQuarantine({ action: "reprocess", share: 2 })).rejects.toMatchObject({
    code: "invalid_usage",
  });
  expect(await harness.rows("SELECT id FROM seen UNION ALL SELECT id FROM paid ORDER BY 1")).toEqual([
    ["b"],
    ["c"],
  ]);
  expect(await failedChecks()).toEqual([]);
});

test("what is discarded is counted as suppressed, and traced", async () => {
  await harness.open(strict);
  await harness.load([record("a", 50), record("a", 200), unreadable, record("z", 1, "nobody")]);
  await expect(harness.engine.tasks.quarantine({ action: "discard" }, "tester")).rejects.toMatchObject({
    code: "invalid_usage",
  });
  expect((await ended({ action: "discard", reason: "contract_violation", why: "a test" })).target).toBe(
    "reason contract_violation (a test)",
  );
  const [traced] = await harness.engine.trace("a");
  expect(traced?.receipts.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ["discarded", "a test"],
    ["loaded", null],
  ]);
  expect((await ended({ action: "discard", why: "all" })).progress.counts).toMatchObject({ discarded: 2 });
  expect(await harness.rows("FROM quarantine")).toEqual([]);
  expect(await counts()).toEqual([
    ["(unknown)", 2, 0, 0, 0, 2],
    ["seen", 2, 1, 0, 0, 1],
  ]);
  expect(await failedChecks()).toEqual([]);
  await harness.open(mended);
  expect((await ended({ action: "reprocess" })).progress.done).toBe(0);
});

test("the same request is refused while the first has not ended; one that is cancelled ends where it is", async () => {
  await harness.open(strict);
  await harness.load(Array.from({ length: 30 }, (_, i) => record(`m${i}`, 50)));
  await harness.open(mended);
  const request = { action: "reprocess", share: 0.01 } as const;
  const { id } = await harness.engine.tasks.quarantine(request, "tester");
  await expect(harness.engine.tasks.quarantine(request, "tester")).rejects.toMatchObject({
    code: "task_running",
    where: `task ${id}`,
  });
  const other = await harness.engine.tasks.quarantine({ ...request, source: "web" }, "tester");
  expect((await harness.engine.status()).tasks.map((task) => task.id)).toEqual([other.id, id]);
  await harness.engine.tasks.cancel(id);
  await harness.engine.tasks.cancel(other.id);
  await expect(harness.engine.tasks.cancel(id)).rejects.toMatchObject({ code: "task_ended" });
  await expect(harness.engine.tasks.show(99)).rejects.toMatchObject({ code: "not_found" });
  expect((await ended({ action: "reprocess" })).state).toBe("done");
  expect(await harness.rows("SELECT count(*)::INTEGER FROM seen")).toEqual([[30]]);
  expect(await failedChecks()).toEqual([]);
});
