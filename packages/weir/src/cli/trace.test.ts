import { afterEach, expect, test } from "vitest";
import { Sandbox, click } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

test("weir trace: the same of a running instance and of none", async () => {
  sandbox = new Sandbox();
  const instance = await sandbox.up();
  await instance.post([click("a")]);
  await instance.post([click("a")]);
  await sandbox.run(["drain"]);
  const running = await sandbox.json(["trace", "a"]);
  expect(running).toMatchObject({
    code: 0,
    value: {
      contracts: [
        {
          contract: "clicked",
          receipts: [{ outcome: "loaded" }, { outcome: "duplicate" }],
          tables: [{ name: "clicks", kind: "rollup" }],
        },
      ],
    },
  });
  expect((await sandbox.run(["trace", "b"])).code).toBe(1);
  expect(await sandbox.json(["trace", "a", "--contract", "x"])).toMatchObject({
    error: { code: "not_found" },
  });
  expect(await instance.stop()).toBe(0);
  expect((await sandbox.json(["trace", "a", "--contract", "clicked"])).value).toEqual(running.value);
  const { stdout } = await sandbox.run(["trace", "a"]);
  expect(stdout).toMatch(
    /^clicked\nRECEIVED +POSITION +SENT AS +OUTCOME\n.* web\/c0\/\d+\/1 +clicked +loaded\n.* duplicate\n+tables: clicks \(rollup\)\n$/,
  );
});
