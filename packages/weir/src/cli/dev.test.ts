import { afterEach, beforeEach, expect, test } from "vitest";
import { Poster, Sandbox, click, largerProject, smallProject, until } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.dispose());

async function logged(instance: Instance, message: string, times = 1): Promise<void> {
  await until(() => instance.logs.filter((line) => line.message.startsWith(message)).length >= times);
}

test("a change is loaded while records are posted without a failure", async () => {
  const instance = await sandbox.up(["dev"]);
  const before = instance.pidOf("c0");
  const poster = new Poster(instance, "d");
  await until(() => poster.acknowledged.length > 10);
  sandbox.write({ "weir.config.ts": largerProject });
  await logged(instance, "the new version of the project runs");
  const atReload = poster.acknowledged.length;
  await until(() => poster.acknowledged.length > atReload + 10);
  const acknowledged = await poster.stop();
  expect(poster.failures).toEqual([]);
  expect(instance.file().processes.some(({ pid }) => pid === before)).toBe(false);

  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  // The new table, over what came before it too.
  expect(await sandbox.rows("SELECT n::INT FROM all_clicks")).toEqual([[acknowledged.length]]);
  expect(await instance.stop()).toBe(0);
});

test("a broken file is reported and the version before it runs on; the repaired one is loaded", async () => {
  const instance = await sandbox.up(["dev"]);
  const pids = instance.file().processes.map(({ pid }) => pid);
  sandbox.write({ "weir.config.ts": "export default {{;" });
  await logged(instance, "the project is not valid");
  const error = instance.logs.find((line) => line.level === "error")?.error;
  expect(error).toMatchObject({
    code: "project_invalid",
    where: expect.stringMatching(/^weir\.config\.ts:1:/) as string,
  });
  expect(instance.file().processes.map(({ pid }) => pid)).toEqual(pids);
  expect((await instance.post([click("a")])).status).toBe(202);

  sandbox.write({ "weir.config.ts": smallProject.replace('"small"', '"Not Small"') });
  await logged(instance, "the project is not valid", 2);
  sandbox.write({ "weir.config.ts": largerProject });
  await logged(instance, "the new version of the project runs");
  expect(await sandbox.json(["drain"])).toMatchObject({ code: 0 });
  expect(await sandbox.rows("SELECT n::INT FROM all_clicks")).toEqual([[1]]);
});
