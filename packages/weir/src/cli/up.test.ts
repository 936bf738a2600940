import { existsSync, readdirSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox, allDead, click, smallProject, until } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.dispose());

test("post, drain, query, verify, quarantine, status, SIGTERM, and all of it again without an instance", async () => {
  const instance = await sandbox.up();
  const bad = { ...click("bad"), page: 7 };
  const reply = await instance.post([click("a"), click("b"), click("a"), bad]);
  expect(reply.status).toBe(202);

  expect(await sandbox.json(["drain"])).toEqual({
    code: 0,
    value: { ok: true, commit: 1 },
    error: undefined,
  });
  const { value: answer } = await sandbox.json(["query", "SELECT id, page FROM clicked ORDER BY id"]);
  expect(answer).toEqual({
    columns: [
      { name: "id", type: "VARCHAR" },
      { name: "page", type: "VARCHAR" },
    ],
    rows: [
      ["a", "/"],
      ["b", "/"],
    ],
    truncated: false,
    commit: 1,
  });
  const { value: status } = await sandbox.json(["status"]);
  expect(status).toMatchObject({
    project: "small",
    commit: 1,
    counts: [{ source: "web", contract: "clicked", received: 4, loaded: 2, duplicate: 1, quarantined: 1 }],
    tables: [{ name: "clicks", kind: "rollup", rows: 1 }],
    lag: { records: 0 },
    process: { pid: instance.pidOf("engine") },
    instance: {
      pid: instance.pid,
      url: instance.url,
      processes: [
        { name: "c0", role: "collector", state: "ready", restarts: 0 },
        { name: "engine", role: "engine", state: "ready", restarts: 0 },
      ],
    },
  });
  const { value: list } = await sandbox.json(["quarantine", "list"]);
  expect(list).toMatchObject({
    records: [{ id: "web/c0/1/4", contract: "clicked", reason: "contract_violation" }],
  });

  const processes = instance.identities();
  expect(await instance.stop("SIGTERM")).toBe(0);
  expect(await allDead(processes)).toBe(true);
  expect(readdirSync(join(sandbox.dataDir, "run")).filter((name) => name !== "engine.sock")).toEqual([]);

  // Nothing runs now: the same answers, from the data itself.
  expect((await sandbox.json(["query", "SELECT id, page FROM clicked ORDER BY id"])).value).toEqual(answer);
  expect((await sandbox.json(["quarantine", "list"])).value).toEqual(list);
  expect((await sandbox.json(["status"])).value).toMatchObject({
    commit: 1,
    lag: { records: 0 },
    instance: null,
  });
  const { code, value: verified } = await sandbox.json(["verify"]);
  expect(code).toBe(0);
  expect(verified).toMatchObject({ ok: true, commit: 1 });
});

describe("what stands in the way", () => {
  test("a port in use", async () => {
    const other = net.createServer();
    await new Promise<void>((resolve) => {
      other.listen(0, "127.0.0.1", resolve);
    });
    const { port } = other.address() as net.AddressInfo;
    expect(await sandbox.json(["up", "--port", String(port)])).toMatchObject({
      code: 5,
      error: { code: "port_in_use", where: `127.0.0.1:${port}` },
    });
    other.close();
    // It let go of the data directory.
    await sandbox.up();
  });

  test("a data directory that cannot be written", async () => {
    writeFileSync(join(sandbox.folder, "file"), "");
    expect(await sandbox.json(["up", "--data-dir", "file/data"])).toMatchObject({
      code: 1,
      error: { code: "data_dir_unwritable", where: join(sandbox.folder, "file/data") },
    });
  });

  test("a project that is not valid stops the start, and every process with it", async () => {
    sandbox.write({ "weir.config.ts": smallProject.replace('"small"', '"Not Small"') });
    const ran = await sandbox.run(["up", "--port", "0", "--json", "--log-format", "json"]);
    expect(ran.code).toBe(3);
    expect(ran.stdout).toBe("");
    const last = JSON.parse(ran.stderr.trim().split("\n").at(-1) ?? "") as { error: { code: string } };
    expect(last.error.code).toBe("project_invalid");
  });

  test("a table that cannot be built anew", async () => {
    const kept = smallProject.replace("tables: {", 'retention: { clean: "1d" }, tables: {');
    sandbox.write({ "weir.config.ts": kept });
    const instance = await sandbox.up();
    await instance.post([{ ...click("old"), at: "2020-01-01T00:00:00Z" }]);
    await until(async () => {
      const status = await fetch(`${instance.url}/api/status`);
      const { removed } = (await status.json()) as { removed: { zone: string }[] };
      return removed.some(({ zone }) => zone === "clean");
    });
    await instance.stop();
    sandbox.write({ "weir.config.ts": kept.replace("n: count()", "n: count(), m: count()") });
    expect(await sandbox.json(["up", "--port", "0"])).toMatchObject({
      code: 1,
      error: { code: "history_removed", where: "table clicks" },
    });
    sandbox.write({ "weir.config.ts": kept });
    expect(await sandbox.rows("SELECT n FROM clicks")).toEqual([["1"]]);
  });

  test("commands that need an instance or its data, where there is neither", async () => {
    for (const args of [["status"], ["query", "SELECT 1"], ["drain"], ["verify"], ["quarantine", "list"]]) {
      expect(await sandbox.json(args)).toMatchObject({ code: 4, error: { code: "not_running" } });
    }
    expect(existsSync(sandbox.dataDir)).toBe(false);
  });
});
