import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox, click, smallProject, until } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.dispose());

async function logged(instance: Instance, message: string, times = 1): Promise<void> {
  await until(() => instance.logs.filter((line) => line.message.startsWith(message)).length >= times);
}

test("a change of a file that the project imports counts, and of one it imports since", async () => {
  sandbox.write({
    "weir.config.ts": smallProject
      .replace('"small"', "name")
      .replace("\n", '\nimport { name } from "./name.ts";\n'),
    "name.ts": 'export const name = "first";',
  });
  const instance = await sandbox.up(["dev"]);
  sandbox.write({
    "name.ts": 'export { name } from "./deeper.ts";',
    "deeper.ts": 'export const name = "second";',
  });
  await logged(instance, "the new version of the project runs");
  expect((await sandbox.json(["status"])).value).toMatchObject({ project: "second" });
  sandbox.write({ "deeper.ts": 'export const name = "third";' });
  await logged(instance, "the new version of the project runs", 2);
  expect((await sandbox.json(["status"])).value).toMatchObject({ project: "third" });
});

test("a project file that exits or throws nothing cannot end the instance", async () => {
  const instance = await sandbox.up(["dev"]);
  sandbox.write({ "weir.config.ts": "process.exit(0);" });
  await logged(instance, "the project is not valid");
  expect((await instance.post([click("a")])).status).toBe(202);
});

test("a project that is not valid at the start is an error", async () => {
  sandbox.write({ "weir.config.ts": "export default 1;" });
  expect(await sandbox.json(["dev", "--port", "0"])).toMatchObject({
    code: 3,
    error: { code: "project_invalid" },
  });
});
