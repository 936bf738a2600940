/** Files of the past through the command: all of them once, whatever it is killed at, beside an instance and without one. */

import { afterEach, expect, test } from "vitest";
import { askToCancel, readBackfills } from "../backfill/state.ts";
import { Sandbox, click } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

const day = "2026-01-15";
const rows = (first: number, count: number): { id: string; at: string; page: string }[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `old${first + i}`,
    at: `${day}T10:00:00Z`,
    page: `/${(first + i) % 3}`,
  }));
const ndjson = (first: number, count: number): string =>
  rows(first, count)
    .map((row) => `${JSON.stringify(row)}\n`)
    .join("");
const csv = (first: number, count: number): string =>
  ["id,at,page", ...rows(first, count).map(({ id, at, page }) => `${id},${at},${page}`)].join("\n");

const clicks = async (): Promise<unknown> =>
  (await sandbox.json(["query", "SELECT page, n::INTEGER FROM clicks ORDER BY page"])).value;

test("files become records, once; what came live already is a duplicate", async () => {
  sandbox = new Sandbox();
  sandbox.write({ "old/a/1.csv": csv(0, 30), "old/b/2.ndjson": ndjson(30, 30), "old/c/3.json": "[{" });
  const instance = await sandbox.up();
  await instance.post([click("live"), { type: "clicked", ...rows(5, 1)[0] }]);
  const command = ["backfill", "web", "--files", "old/**"];
  const plan = await sandbox.json([...command, "--plan"]);
  expect(plan).toMatchObject({
    code: 0,
    value: { source: "web", contract: "clicked", files: [{}, {}, {}], before: null },
  });
  expect(readBackfills(sandbox.dataDir)).toEqual([]);
  const ran = await sandbox.json(command);
  expect(ran).toMatchObject({
    // One file is damaged.
    code: 1,
    value: { state: "done", partsDone: 2, partsFailed: 1, rows: 60 },
  });
  sandbox.write({ "old/c/3.json": JSON.stringify(rows(60, 3)) });
  expect(await sandbox.json(command)).toMatchObject({
    code: 0,
    value: { state: "done", partsDone: 3, rows: 3 },
  });
  expect(await sandbox.json(command)).toMatchObject({
    code: 0,
    value: { state: "done", partsDone: 3, rows: 0 },
  });
  const status = (await sandbox.json(["status"])).value as { counts: unknown[]; backfills: unknown[] };
  expect(status.counts).toEqual([
    expect.objectContaining({ received: 65, loaded: 64, duplicate: 1, quarantined: 0 }),
  ]);
  expect(status.backfills).toMatchObject([{ source: "web", state: "done", unit: "files", parts: 3 }]);
  expect((await sandbox.run(["verify"])).code).toBe(0);
  const audit = (await sandbox.json(["audit", "list"])).value as {
    entries: { action: string; detail: object }[];
  };
  expect(audit.entries.filter(({ action }) => action === "backfill.start")).toHaveLength(3);
});

test("killed at each step, and without an instance: the same command goes on, and every row is there once", async () => {
  sandbox = new Sandbox();
  sandbox.write({ "old/1.csv": csv(0, 40), "old/2.ndjson": ndjson(40, 40) });
  const instance = await sandbox.up();
  await instance.stop();
  const command = ["backfill", "web", "--files", "old/*"];
  const steps = ["capture.append.durable:1", "backfill.file.done:1", "backfill.appended:1"];
  for (const step of steps) {
    const killed = await sandbox.run(command, { env: { WEIR_FAILPOINT: step } });
    expect(killed.code, killed.stderr).toBe(null);
    expect(readBackfills(sandbox.dataDir)).toMatchObject([{ state: "stopped" }]);
  }
  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done", partsDone: 2 } });
  expect(await clicks()).toMatchObject({
    rows: [
      ["/0", 27],
      ["/1", 27],
      ["/2", 26],
    ],
  });
  expect((await sandbox.run(["verify"])).code).toBe(0);
});

test("one that runs can be cancelled, and gone on with", async () => {
  sandbox = new Sandbox();
  sandbox.write({ "old.ndjson": ndjson(0, 100_000) });
  await sandbox.up();
  const command = ["backfill", "web", "--files", "old.ndjson", "--share", "0.01"];
  const running = sandbox.json(command);
  await expect
    .poll(() => readBackfills(sandbox.dataDir).some(({ state, rows: n }) => state === "running" && n > 0), {
      timeout: 120_000,
    })
    .toBe(true);
  const [{ id } = { id: "" }] = readBackfills(sandbox.dataDir);
  askToCancel(sandbox.dataDir, id);
  expect(await running).toMatchObject({ code: 1, value: { state: "cancelled" } });
  expect(await sandbox.json(["backfill", "--cancel", id])).toMatchObject({ value: { was: "cancelled" } });
  expect(await sandbox.json(command)).toMatchObject({ code: 0, value: { state: "done" } });
  expect(await sandbox.json(["query", "SELECT count(*)::INTEGER FROM clicked"])).toMatchObject({
    value: { rows: [[100_000]] },
  });
});

test("what cannot be done says what to do", async () => {
  sandbox = new Sandbox();
  sandbox.write({ "old.csv": csv(0, 1) });
  const refused = async (...args: string[]): Promise<unknown> =>
    (await sandbox.json(["backfill", ...args])).error;
  expect(await refused("web", "--files", "none*")).toMatchObject({ code: "invalid_usage" });
  expect(await refused("shop", "--files", "old.csv")).toMatchObject({
    code: "invalid_usage",
    remedy: "Its sources are web.",
  });
  expect(await refused("web", "--files", "old.csv", "--contract", "x")).toMatchObject({
    code: "invalid_usage",
  });
  expect(await refused("web")).toMatchObject({ code: "invalid_usage" });
  expect(await refused("web", "--files", "old.csv")).toMatchObject({ code: "not_running" });
  expect(await refused("--cancel", "../../x")).toMatchObject({ code: "not_found" });
});
