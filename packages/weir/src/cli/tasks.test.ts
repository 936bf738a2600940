/** Tasks by command and over HTTP: with an instance and without one. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox, click, smallProject } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox({ "weir.config.ts": smallProject });
});
afterEach(() => sandbox.dispose());

const mended = smallProject.replace("page: Type.String()", "page: Type.Optional(Type.String())");
const answer = async (args: readonly string[]): Promise<Record<string, unknown>> => {
  const { code, value } = await sandbox.json(args);
  expect({ args, code, value }).toMatchObject({ code: 0 });
  return value as Record<string, unknown>;
};

test("without an instance the command does it itself; with one, the instance does, and the log says who asked", async () => {
  let instance = await sandbox.up();
  const pageless = { ...click("b"), page: undefined };
  await instance.post([click("a"), pageless, { broken: true }]);
  await answer(["drain"]);
  await instance.stop();
  sandbox.write({ "weir.config.ts": mended });
  expect(await answer(["quarantine", "reprocess", "--plan"])).toMatchObject({ records: 2, unreadable: 0 });
  expect(await answer(["quarantine", "reprocess", "--share", "1"])).toMatchObject({
    state: "done",
    actor: "local",
    progress: { done: 2, counts: { loaded: 1, "quarantined again": 1 } },
  });
  expect(await answer(["rebuild", "clicks", "--auto", "--share", "1"])).toMatchObject({ state: "done" });
  instance = await sandbox.up();
  const discard = ["quarantine", "discard", "--contract", "clicked", "--reason-text", "no use"];
  expect(await answer(discard)).toMatchObject({ state: "done", target: "contract clicked (no use)" });
  expect(await answer(["task", "undo", "2"])).toMatchObject({ kind: "undo", state: "done" });
  expect(await answer(["rebuild", "clicks", "--plan"])).toMatchObject({ tables: ["clicks"], rows: 2 });
  expect(await answer(["rebuild", "clicks", "--share", "1"])).toMatchObject({ id: 5, state: "ready" });
  expect(await answer(["status"])).toMatchObject({ tasks: [{ id: 5, state: "ready", result: null }] });
  expect(await answer(["task", "swap", "5"])).toMatchObject({ state: "done" });
  expect(await sandbox.json(["task", "cancel", "5"])).toMatchObject({
    code: 1,
    error: { code: "task_ended" },
  });
  expect((await answer(["tasks"]))["tasks"]).toMatchObject([
    { kind: "rebuild" },
    { kind: "undo" },
    { kind: "quarantine.discard" },
    { kind: "rebuild", state: "undone" },
    { kind: "quarantine.reprocess" },
  ]);
  const shown = await sandbox.run(["task", "show", "5"]);
  expect(shown.stdout).toContain("weir task undo 5 puts the tables before back");
  const { entries } = (await answer(["audit", "list"])) as { entries: { action: string }[] };
  expect(entries.map(({ action }) => action)).toEqual(
    expect.arrayContaining([
      "quarantine.reprocess",
      "rebuild",
      "quarantine.discard",
      "task.undo",
      "task.swap",
      "task.cancel",
    ]),
  );
  expect(await answer(["verify"])).toMatchObject({ ok: true });
});

test("what was received is replayed by command and over HTTP, and the log says who asked", async () => {
  const instance = await sandbox.up();
  const pageless = { ...click("b"), page: undefined };
  await instance.post([click("a"), pageless]);
  await answer(["drain"]);
  await instance.stop();
  sandbox.write({ "weir.config.ts": mended });
  const from = ["--from", "2026-01-01"];
  expect(await answer(["replay", ...from, "--plan"])).toMatchObject({ rows: 2, tables: ["clicks"] });
  expect(await answer(["replay", ...from, "--auto", "--share", "1"])).toMatchObject({
    id: 1,
    state: "ready",
    result: { outcomes: [{ source: "web", loaded: 1, duplicate: 0, quarantined: -1 }] },
  });
  expect((await sandbox.run(["task", "show", "1"])).stdout).toContain("Records whose outcome changes");
  await sandbox.up();
  expect(await answer(["task", "swap", "1"])).toMatchObject({ state: "done" });
  expect(await answer(["replay", ...from, "--auto", "--share", "1"])).toMatchObject({ state: "done" });
  expect((await sandbox.run(["task", "show", "2"])).stdout).toContain("the outcome that it had");
  expect(await sandbox.json(["task", "undo", "1"])).toMatchObject({
    code: 1,
    error: { code: "task_not_ready" },
  });
  expect((await sandbox.run(["task", "show", "2"])).stdout).toContain("weir task undo 2 puts");
  const undone = await answer(["task", "undo", "2"]);
  expect(undone).toMatchObject({ kind: "replay", state: "done" });
  const shown = await sandbox.run(["task", "show", String((undone as { id: number }).id)]);
  expect(shown.stdout).toContain("ask for that replay again");
  expect(shown.stdout).not.toContain("weir task undo");
  expect(await sandbox.json(["replay", "--from", "tomorrow"])).toMatchObject({
    error: { code: "invalid_usage" },
  });
  const { entries } = (await answer(["audit", "list"])) as { entries: { action: string }[] };
  expect(entries.map(({ action }) => action)).toEqual(expect.arrayContaining(["replay", "task.swap"]));
  expect(await answer(["verify"])).toMatchObject({ ok: true });
});
