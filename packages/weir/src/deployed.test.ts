/** What `weir contract diff` says of a change, and what a start does with it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileProject } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, changeContract, contract, notPii, pii, subject, timestamp } from "@weir/contract";
import type { RowTags } from "@weir/contract";
import { Engine } from "@weir/engine";
import { directoryStore } from "@weir/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { diffOf } from "./cli/commands/contract.ts";
import type { ContractDiff } from "./cli/commands/contract.ts";
import { readDeployed, recordDeployed } from "./deployed.ts";

type Fields = Parameters<typeof Type.Object>[0];

function project(fields: Fields, version = "1.0.0", tags: RowTags = {}): Program {
  const clicked = contract("clicked", {
    version,
    owner: "tests",
    id: "id",
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), ...fields }),
  });
  return compileProject({
    name: "p",
    sources: { web: { contracts: [clicked] }, db: { contracts: [changeContract("db", tags)] } },
    tables: {},
  });
}

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "weir-deployed-"));
});
afterEach(() => rmSync(dataDir, { recursive: true }));

/** As an engine's process does. */
async function start(program: Program): Promise<string> {
  const store = directoryStore(join(dataDir, "log"), { minFreeBytes: 0 });
  try {
    const engine = await Engine.open({
      dataDir,
      program,
      store,
      settings: { memoryLimit: "512MB", lanes: 1 },
    });
    recordDeployed(dataDir, program.contracts);
    await engine.stop();
    return "started";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

function diff(program: Program, name = "clicked"): ContractDiff {
  const one = program.contracts.find((each) => each.contract.name === name);
  if (one === undefined) throw new Error(`no contract ${name}`);
  return diffOf(one, readDeployed(dataDir)?.[name], "full");
}

const refused = {
  refused: [{ name: "user", from: "BIGINT" }],
  todo: expect.stringMatching(/contract_changed/),
};

test("tags that come, change and go are changes with which Weir starts, and what they hold for is said", async () => {
  expect(await start(project({ page: Type.String() }))).toBe("started");
  expect(diff(project({ page: Type.String() }))).toMatchObject({ verdict: "unchanged", todo: "Nothing." });
  for (const [field, what] of [
    [pii.text(), "tokens stand for values now, as text"],
    [pii.name(), "it was tagged as text; tokens stand for values now, as name"],
    [notPii(Type.String()), "it was tagged as name; it is said to be nothing personal now"],
    [Type.String(), "it was tagged as none; values are kept as they are now"],
  ] as const) {
    const program = project({ page: field }, "1.0.1");
    expect(diff(program)).toMatchObject({
      verdict: "compatible",
      changes: [{ pointer: "/properties/page/pii", what, effect: "same" }],
      todo: expect.stringContaining("what is loaded stays as it is") as string,
    });
    recordDeployed(dataDir, program.contracts);
  }
  expect(await start(project({ page: pii.text() }))).toBe("started");
});

test("tags of captured columns, too", async () => {
  const tagged = project({}, "1.0.0", { "public.people": { id: "subject", mail: "email" } });
  expect(await start(project({}, "1.0.0", { "public.people": { id: "subject" } }))).toBe("started");
  expect(diff(tagged, "db")).toMatchObject({
    verdict: "compatible",
    changes: [{ pointer: "/pii/public.people/mail", effect: "same" }],
  });
  expect(await start(tagged)).toBe("started");
  expect(diff(tagged, "db")).toMatchObject({ verdict: "unchanged" });
});

test("what is stored otherwise is refused by both, under whatever version, also where the field was gone for a while", async () => {
  const user = Type.Optional(Type.Integer());
  expect(await start(project({ user }))).toBe("started");
  const others = [Type.Optional(subject(Type.Integer())), Type.Optional(Type.Number()), Type.Boolean()];
  for (const other of others) {
    expect(diff(project({ user: other }, "2.0.0"))).toMatchObject({ verdict: "refused", ...refused });
  }
  expect(await start(project({ user: others[0] as Fields[string] }, "2.0.0"))).toBe("contract_changed");
  // As older versions wrote the file.
  const file = join(dataDir, "state", "contracts.json");
  const { columns: _, ...old } = readDeployed(dataDir)?.["clicked"] ?? { columns: [] };
  writeFileSync(file, JSON.stringify({ clicked: old }));
  expect(diff(project({ user: Type.Boolean() }))).toMatchObject({ verdict: "refused", ...refused });
  expect(diff(project({}))).toMatchObject({ verdict: "compatible", refused: [] });
  expect(await start(project({}))).toBe("started");
  expect(diff(project({ user: Type.Boolean() }))).toMatchObject({ verdict: "refused", ...refused });
  expect(await start(project({ user: Type.Boolean() }))).toBe("contract_changed");
  expect(diff(project({ user }))).toMatchObject({ verdict: "compatible" });
  expect(await start(project({ user }))).toBe("started");
});
