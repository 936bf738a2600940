/** How long ids are known: by the newest record that was received, whatever commits first after a start. */
import { compileProject } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { before } from "../tasks/replay.fixture.ts";
import { taskEnd } from "../tasks/task-end.fixture.ts";

function project(least: number): Program {
  const Seen = contract("seen", {
    version: "1.0.0",
    owner: "test",
    id: "id",
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), n: Type.Integer({ minimum: least }) }),
  });
  return compileProject({ name: "p", sources: { web: { contracts: [Seen] } }, tables: {} });
}

const record = (id: string, n: number): LogRecord => ({
  source: "web",
  sent: "seen",
  text: JSON.stringify({ id, at: "2026-01-15T10:00:00Z", n }),
});

let harness: Harness;
beforeEach(() => {
  harness = new Harness({ internals: { recentIds: 8, upkeepEveryMs: 20 } });
});
afterEach(() => harness.end());

test("ids that become a run by a task, right after a start, are known as long as any", async () => {
  await harness.open(project(10));
  const valid = Array.from({ length: 6 }, (_, i) => record(`a${i}`, 20));
  const failed = Array.from({ length: 4 }, (_, i) => record(`b${i}`, 5));
  await harness.load([...valid, ...failed]);
  await harness.open(project(1));
  const { id } = await harness.engine.tasks.quarantine({ action: "reprocess", share: 1 }, "tester");
  expect(await taskEnd(harness, id)).toMatchObject({ state: "done", error: null });
  expect((await harness.engine.status()).ids).toMatchObject({ known: 10, runs: 1, recent: 0 });
  await harness.load([record("c", 20)]);
  expect((await harness.engine.status()).ids).toMatchObject({ known: 11, runs: 1, recent: 1 });
  await harness.load([...valid, ...failed]);
  expect(await harness.rows("SELECT count(*)::INTEGER FROM seen")).toEqual([[11]]);
});

test("ids that an erasure frees become a run when there are enough, and are free", async () => {
  await harness.open(before);
  const sold = (who: string): LogRecord[] =>
    Array.from({ length: 9 }, (_, i) => ({
      source: "web",
      sent: "sold",
      text: JSON.stringify({ id: `s${i}`, at: "2026-01-15T10:00:00Z", who, sku: "k", amount: 7 }),
    }));
  await harness.load(sold("person-one-jane"));
  const asked = { identifiers: [{ value: "person-one-jane" }], allowMany: "a test" };
  await harness.engine.erasures.erase(asked);
  expect((await harness.engine.status()).ids).toMatchObject({ known: 18, runs: 2, recent: 0 });
  await harness.load(sold("person-two-mary"));
  expect(await harness.rows("SELECT who, count(*)::INTEGER FROM sold GROUP BY who")).toEqual([
    ["person-two-mary", 9],
  ]);
});
