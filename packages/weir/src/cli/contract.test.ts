import { afterEach, expect, test } from "vitest";
import { Sandbox, click, smallProject } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

const changed = (from: string, to: string): Record<string, string> => {
  if (!smallProject.includes(from)) throw new Error(`the project has no ${from}`);
  return { "weir.config.ts": smallProject.replace(from, to) };
};

interface Diff {
  readonly verdict: string;
  readonly changes: { readonly effect: string; readonly pointer: string }[];
}

async function diff(...args: string[]): Promise<{ code: number | null; contracts: Diff[] }> {
  const { code, value } = await sandbox.json(["contract", "diff", ...args]);
  return { code, contracts: (value as { contracts: Diff[] }).contracts };
}

test("weir contract diff: new, unchanged, compatible, breaking, a new major version; and what happens is what it said", async () => {
  sandbox = new Sandbox();
  expect(await diff()).toMatchObject({ code: 0, contracts: [{ verdict: "new" }] });
  let instance = await sandbox.up();
  await instance.post([click("a")]);
  expect(await diff()).toMatchObject({ code: 0, contracts: [{ verdict: "unchanged", changes: [] }] });

  sandbox.write(changed("page: Type.String()", "page: Type.String(), more: Type.Optional(Type.String())"));
  expect(await diff("--mode", "full")).toMatchObject({ code: 0, contracts: [{ verdict: "compatible" }] });

  sandbox.write(changed("page: Type.String()", "page: Type.String({ minLength: 2 })"));
  expect(await diff()).toMatchObject({
    code: 1,
    contracts: [
      { verdict: "breaking", changes: [{ effect: "fewer", pointer: "/properties/page/minLength" }] },
    ],
  });
  expect(await diff("clicked", "--mode", "forward")).toMatchObject({
    code: 0,
    contracts: [{ verdict: "compatible" }],
  });
  const human = await sandbox.run(["contract", "diff"]);
  expect(human.stdout).toMatch(
    /^clicked 1\.0\.0: breaking\n {2}! \/properties\/page\/minLength: 2 is asked for now \(accepts less\)\n {2}Give it version 2\.0\.0 /,
  );
  expect(await sandbox.json(["contract", "diff", "nowhere"])).toMatchObject({ error: { code: "not_found" } });

  // Deployed all the same, what fitted before goes to quarantine, and the next comparison is with what runs now.
  expect(await instance.stop()).toBe(0);
  instance = await sandbox.up();
  await instance.post([click("b")]);
  await sandbox.run(["drain"]);
  expect(await sandbox.json(["quarantine", "list"])).toMatchObject({
    value: { records: [{ reason: "contract_violation" }] },
  });
  expect(await diff()).toMatchObject({ code: 0, contracts: [{ verdict: "unchanged" }] });
  sandbox.write(changed('version: "1.0.0"', 'version: "2.0.0"'));
  expect(await diff()).toMatchObject({ code: 0, contracts: [{ verdict: "new_major" }] });
});
