import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Sandbox } from "./sandbox.fixture.ts";

const project = `
import { Type, contract, count, defineProject, http, rollup, timestamp } from "weir";

const Clicked = contract("clicked", {
  version: "1.0.0", owner: "tests", id: "id", time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp(), page: Type.String(), user: Type.String(), mail: Type.String() }),
});

export default defineProject({
  name: "small",
  sources: { web: http({ contracts: [Clicked] }) },
  tables: { clicks: rollup({ from: Clicked, by: "page", measures: { n: count() } }) },
  privacy: { subjects: [[Clicked, { user: "user", email: "mail" }]], limits: { records: 2 } },
});
`;

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

const click = (id: string, user: string): object => ({
  type: "clicked",
  id,
  at: "2026-03-01T00:00:00Z",
  page: "a",
  user,
  mail: `${user}@example.com`,
});

test("weir erase: dry run, erasure, certificate, and later records, with and without an instance", async () => {
  sandbox = new Sandbox({ "weir.config.ts": project });
  const instance = await sandbox.up();
  await instance.post([click("1", "jane"), click("2", "jane"), click("3", "joe"), click("4", "ann")]);
  await sandbox.run(["drain"]);
  const who = ["--email", "Jane@example.com"];
  expect((await sandbox.json(["erase", ...who, "--dry-run"])).value).toMatchObject({
    identifiers: [{ kind: "email", value: "jane@example.com", via: "request" }],
    contracts: [{ contract: "clicked", records: 2, of: 4 }],
    tooMuch: [],
  });
  const { code, value } = await sandbox.json(["erase", ...who]);
  expect(code).toBe(0);
  expect(value).toMatchObject({ id: "e1", state: "erased", evidence: { zones: { clean: 2, raw: 2 } } });
  expect(await sandbox.rows("SELECT n::INT FROM clicks")).toEqual([[2]]);
  const certificate = join(sandbox.folder, "e1.json");
  const { stdout } = await sandbox.run(["erase", "certificate", "e1"]);
  writeFileSync(certificate, stdout);
  expect(stdout).not.toMatch(/jane/i);
  expect((await sandbox.json(["erase", "verify", certificate])).value).toMatchObject({
    ok: true,
    subject: "e1",
  });
  writeFileSync(certificate, stdout.replace('"records": 2', '"records": 1'));
  expect(await sandbox.run(["erase", "verify", certificate])).toMatchObject({ code: 1 });
  // Who asked and what for is in the audit log, and whom is not.
  const log = JSON.stringify((await sandbox.json(["audit", "list"])).value);
  expect(log).toContain('"action":"erase","target":null,"detail":{"kinds":"email"');
  expect(log).not.toMatch(/jane/i);
  await instance.post([click("5", "jane")]);
  await sandbox.run(["drain"]);
  expect(await sandbox.rows("SELECT n::INT FROM clicks")).toEqual([[2]]);
  expect(await instance.stop()).toBe(0);
  expect((await sandbox.json(["erase", "--id", "user=joe"])).value).toMatchObject({
    id: "e2",
    state: "erased",
  });
  expect((await sandbox.run(["erase", "list"])).stdout).toMatch(/^ID +STATE.*\ne1 +erased.*\ne2 +erased/);
  expect((await sandbox.run(["verify"])).code).toBe(0);
  const state = readFileSync(join(sandbox.dataDir, "state", "weir.duckdb"));
  expect(state.includes("jane")).toBe(false);
});

test("weir erase: what cannot be meant is refused", async () => {
  sandbox = new Sandbox({ "weir.config.ts": project });
  const instance = await sandbox.up();
  await instance.post([click("1", "jane"), click("2", "jane"), click("3", "jane")]);
  await sandbox.run(["drain"]);
  const codeOf = async (...args: string[]): Promise<unknown> =>
    (await sandbox.json(["erase", ...args])).error;
  expect(await codeOf()).toMatchObject({ code: "invalid_usage" });
  expect(await codeOf("--id", "jane")).toMatchObject({ code: "invalid_usage" });
  expect(await codeOf("--id", "name=jane")).toMatchObject({ code: "erasure_invalid" });
  expect(await codeOf("--id", "user=jane")).toMatchObject({ code: "erasure_too_large" });
  expect(await sandbox.rows("SELECT n::INT FROM clicks")).toEqual([[3]]);
  const { value } = await sandbox.json(["erase", "--subject", "jane", "--allow-many", "a test account"]);
  expect(value).toMatchObject({ state: "erased", evidence: { allowedBecause: "a test account" } });
  expect(await sandbox.rows("SELECT count(*)::INT FROM clicks")).toEqual([[0]]);
});

test("weir erase: a running instance writes its state anew by itself, and certifies the end", async () => {
  const soon = project
    .replace("limits:", 'rewriteAfter: "1s", limits:')
    .replace("privacy:", 'retention: { log: "1s" },\n  privacy:');
  sandbox = new Sandbox({ "weir.config.ts": soon });
  const instance = await sandbox.up();
  await instance.post([click("1", "jane"), click("2", "joe")]);
  await sandbox.run(["drain"]);
  const { value } = await sandbox.json(["erase", "--email", "jane@example.com"]);
  expect(value).toMatchObject({ remaining: { stateFile: true } });
  // Certified when it is complete, and not when somebody asks.
  const issued = join(sandbox.dataDir, "govern", "erasures", "00000002.json");
  await vi.waitFor(() => expect(existsSync(issued)).toBe(true), { timeout: 60_000, interval: 500 });
  expect(JSON.parse(readFileSync(issued, "utf8"))).toMatchObject({
    subject: "e1",
    state: "complete",
    statement: { remaining: { files: 0, segments: 0, stateFile: false } },
  });
  expect(instance.logs.some(({ message }) => message.startsWith("engine is started again"))).toBe(true);
  await instance.post([click("3", "jane")]);
  await sandbox.run(["drain"]);
  expect(await sandbox.rows("SELECT n::INT FROM clicks")).toEqual([[1]]);
  expect(await instance.stop()).toBe(0);
});
