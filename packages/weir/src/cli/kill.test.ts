import { afterEach, beforeEach, expect, test } from "vitest";
import { Poster, Sandbox, allDead, expectLoaded, until } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.dispose());

test("SIGKILL of the engine while records are posted: acknowledging goes on, and all of it is loaded", async () => {
  const instance = await sandbox.up();
  const poster = new Poster(instance, "e");
  for (let kill = 0; kill < 2; kill++) {
    const before = poster.acknowledged.length;
    await until(() => poster.acknowledged.length > before + 20);
    const pid = instance.pidOf("engine");
    process.kill(pid, "SIGKILL");
    // While the engine is away, records are accepted and the API says why it cannot answer.
    const atKill = poster.acknowledged.length;
    await until(() => poster.acknowledged.length > atKill + 5);
    await instance.restarted("engine", pid);
  }
  const acknowledged = await poster.stop();
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  await expectLoaded(sandbox, acknowledged);
  expect(await sandbox.json(["verify"])).toMatchObject({ code: 0, value: { ok: true } });
  expect((await sandbox.json(["status"])).value).toMatchObject({
    instance: {
      processes: [
        { name: "c0", restarts: 0 },
        { name: "engine", restarts: 2 },
      ],
    },
  });
});

test("SIGKILL of the supervisor: no process is left, and the next start has everything", async () => {
  const instance = await sandbox.up(["up", "--collectors", "2"]);
  const poster = new Poster(instance, "s");
  await until(() => poster.acknowledged.length > 20);
  const processes = instance.identities();
  expect(processes).toHaveLength(3);
  expect(await instance.stop("SIGKILL")).toBeNull();
  const first = await poster.stop();
  // Started at once, the next one waits for the orphans to end.
  const next = await sandbox.up();
  expect(await allDead(processes)).toBe(true);
  const again = new Poster(next, "t");
  await until(() => again.acknowledged.length > 5);
  const acknowledged = await again.stop();
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  await expectLoaded(sandbox, [...first, ...acknowledged]);
  expect(await sandbox.json(["verify"])).toMatchObject({ code: 0 });
});
