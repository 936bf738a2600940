import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive } from "../processes/identity.ts";
import { Poster, Sandbox, allDead, click, expectLoaded, smallProject, until } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.dispose());

test("SIGKILL of a collector while records are posted: it is started again, and what it acknowledged is loaded", async () => {
  const instance = await sandbox.up();
  const poster = new Poster(instance, "c");
  for (let kill = 0; kill < 2; kill++) {
    const before = poster.acknowledged.length;
    await until(() => poster.acknowledged.length > before + 20);
    const pid = instance.pidOf("c0");
    process.kill(pid, "SIGKILL");
    await instance.restarted("c0", pid);
  }
  const atRestart = poster.acknowledged.length;
  await until(() => poster.acknowledged.length > atRestart + 5);
  const acknowledged = await poster.stop();
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  await expectLoaded(sandbox, acknowledged);
  expect(await sandbox.json(["verify"])).toMatchObject({ code: 0 });
});

test("SIGKILL of all collectors: a connection made meanwhile waits and is served", async () => {
  const instance = await sandbox.up();
  const pid = instance.pidOf("c0");
  process.kill(pid, "SIGKILL");
  await until(() => instance.file().processes[0]?.pid !== pid);
  expect((await instance.post([click("early")])).status).toBe(202);
});

test("SIGKILL of the supervisor while its children start: no process is left", async () => {
  const instance = await sandbox.up();
  const pids = ["c0", "engine"].map((name) => instance.pidOf(name));
  for (const pid of pids) process.kill(pid, "SIGKILL");
  await until(() =>
    instance.file().processes.every(({ state, identity }) => state === "starting" && identity !== undefined),
  );
  const starting = instance.identities();
  expect(starting).toHaveLength(2);
  await instance.stop("SIGKILL");
  await until(() => allDead(starting));
});

test("SIGTERM to the whole process group stops in order, as a terminal or a service manager sends it", async () => {
  const instance = await sandbox.up();
  const processes = instance.identities();
  expect((await instance.post([click("a")])).status).toBe(202);
  for (const { pid } of processes) process.kill(pid, "SIGTERM");
  expect(await instance.stop("SIGTERM")).toBe(0);
  expect(await allDead(processes)).toBe(true);
  expect(await sandbox.rows("SELECT id FROM clicked")).toEqual([["a"]]);
});

test("a signal to a child alone ends nothing", async () => {
  const instance = await sandbox.up();
  const [collector] = instance.identities();
  process.kill(instance.pidOf("c0"), "SIGTERM");
  expect((await instance.post([click("a")])).status).toBe(202);
  expect(collector !== undefined && (await isAlive(collector))).toBe(true);
});

test("a second SIGINT ends at once; what was acknowledged is there at the next start", async () => {
  const instance = await sandbox.up();
  const processes = instance.identities();
  expect((await instance.post([click("a")])).status).toBe(202);
  // Stopped, the engine cannot finish its drain: only the second signal ends this.
  process.kill(instance.pidOf("engine"), "SIGSTOP");
  instance.signal("SIGINT");
  await until(() =>
    instance.file().processes.every(({ name, state }) => name === "engine" || state === "stopped"),
  );
  expect(await instance.stop("SIGINT")).toBe(130);
  expect(await allDead(processes)).toBe(true);
  await sandbox.up();
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  expect(await sandbox.rows("SELECT id FROM clicked")).toEqual([["a"]]);
});

test("an engine that cannot start again stops no acknowledging; it starts once the cause is repaired", async () => {
  const instance = await sandbox.up();
  sandbox.write({ "weir.config.ts": "export default 1;" });
  const before = instance.pidOf("engine");
  process.kill(before, "SIGKILL");
  await until(() => instance.file().processes[1]?.lastError?.code === "project_invalid");
  expect((await instance.post([click("a")])).status).toBe(202);
  // The engine is away: the status says what the supervisor knows, and that it is not all.
  const { code, value } = await sandbox.json(["status"]);
  expect(code).toBe(4);
  expect(value).toMatchObject({ instance: { processes: [{ state: "ready" }, { name: "engine" }] } });
  // What is asked for meanwhile waits until it is back.
  const asked = sandbox.json(["quarantine", "reprocess"]);
  sandbox.write({ "weir.config.ts": smallProject });
  await instance.restarted("engine", before);
  expect(await asked).toMatchObject({ code: 0 });
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  expect(await sandbox.rows("SELECT id FROM clicked")).toEqual([["a"]]);
});

test("when no collector can start again, the instance stops with the reason", async () => {
  const instance = await sandbox.up();
  expect((await instance.post([click("a")])).status).toBe(202);
  const processes = instance.identities();
  sandbox.write({ "weir.config.ts": "export default 1;" });
  process.kill(instance.pidOf("c0"), "SIGKILL");
  expect(await instance.exited).toBe(3);
  expect(await allDead(processes)).toBe(true);
});
