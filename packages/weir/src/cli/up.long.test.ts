import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox, allDead, click, until } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.dispose());

test("SIGTERM loads what was acknowledged a moment before", async () => {
  const instance = await sandbox.up(["up", "--collectors", "2"]);
  const batches = Array.from({ length: 20 }, (_, i) => [click(`x${i}`), click(`y${i}`)]);
  const replies = await Promise.all(batches.map((batch) => instance.post(batch)));
  expect(replies.map((reply) => reply.status)).toEqual(batches.map(() => 202));
  expect(await instance.stop("SIGTERM")).toBe(0);
  expect((await sandbox.json(["status"])).value).toMatchObject({ lag: { records: 0 } });
  expect(await sandbox.rows("SELECT count(*)::INT, count(DISTINCT id)::INT FROM clicked")).toEqual([
    [40, 40],
  ]);
});

test("drain without an instance loads what the log holds", async () => {
  const collector = await sandbox.up(["up", "--role", "collect"]);
  expect((await collector.post([click("a"), click("b")])).status).toBe(202);
  expect((await fetch(`${collector.url}/api/status`)).status).toBe(503);
  // Killed, the collector leaves its segment open: nobody but drain is there to seal it.
  const processes = collector.identities();
  process.kill(collector.pidOf("c0"), "SIGKILL");
  expect(await collector.stop("SIGKILL")).toBeNull();
  await until(() => allDead(processes));
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0, value: { ok: true, commit: 1 } });
  expect(await sandbox.rows("SELECT count(*)::INT FROM clicked")).toEqual([[2]]);
});

test("collectors and engine as two instances on one data directory", async () => {
  const collector = await sandbox.up(["up", "--role", "collect"]);
  const engine = await sandbox.up(["up", "--role", "engine"]);
  expect((await collector.post([click("a")])).status).toBe(202);
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  const status = (await (await fetch(`${collector.url}/api/status`)).json()) as { commit: number };
  expect(status.commit).toBe(1);
  expect(await sandbox.json(["status"])).toMatchObject({
    code: 0,
    value: { instance: { pid: engine.pid } },
  });
  expect(await collector.stop()).toBe(0);
  expect(await engine.stop()).toBe(0);
});

test("a file of the lake that was damaged fails verify", async () => {
  const instance = await sandbox.up();
  await instance.post([click("a")]);
  expect(await instance.stop()).toBe(0);
  const files = spawnSync("find", [join(sandbox.dataDir, "lake"), "-name", "*.parquet"]).stdout.toString();
  const raw = files.split("\n").find((path) => path.includes("/raw/")) ?? "";
  const bytes = readFileSync(raw);
  bytes[10] = (bytes[10] ?? 0) ^ 0xff;
  writeFileSync(raw, bytes);
  const { code, value, error } = await sandbox.json(["verify"]);
  expect(code).toBe(1);
  expect(value).toMatchObject({ ok: false });
  expect(error).toMatchObject({ code: "verify_failed" });
});

test("a data directory too deep for a socket", async () => {
  const deep = join("x".repeat(100), "y".repeat(100));
  mkdirSync(join(sandbox.folder, deep), { recursive: true });
  const instance = await sandbox.up(["up"], join(sandbox.folder, deep));
  expect((await instance.post([click("a")])).status).toBe(202);
  expect((await fetch(`${instance.url}/api/status`)).status).toBe(200);
  expect(await sandbox.json(["drain", "--data-dir", deep])).toMatchObject({
    code: 0,
    value: { commit: 1 },
  });
});
