import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Sandbox } from "./sandbox.fixture.ts";
import type { Instance } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox({});
});
afterEach(() => sandbox.dispose());

const written = [".gitignore", "README.md", "events.json", "package.json", "tsconfig.json", "weir.config.ts"];

test("the project installs, type-checks and does what its README says, outside the repository", async () => {
  const ran = await sandbox.run(["init", "My Shop"]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  const folder = join(sandbox.folder, "My Shop");
  expect(readdirSync(folder).sort()).toEqual(written);
  expect(readFileSync(join(folder, "weir.config.ts"), "utf8")).toContain('name: "my-shop"');

  // Only the development dependencies come from the registry.
  const install = ["install", "--omit=dev", "--offline", "--no-audit", "--no-fund"];
  const installed = spawnSync("npm", install, { cwd: folder, encoding: "utf8" });
  expect(installed.status, installed.stderr).toBe(0);
  const weir = join(folder, "node_modules", ".bin", "weir");
  const here = { cwd: folder, encoding: "utf8" } as const;
  expect(spawnSync(weir, ["check"], here)).toMatchObject({ status: 0, stderr: "" });

  const require = createRequire(import.meta.url);
  const nodeTypes = dirname(require.resolve("@types/node/package.json"));
  mkdirSync(join(folder, "node_modules", "@types"), { recursive: true });
  symlinkSync(nodeTypes, join(folder, "node_modules", "@types", "node"));
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  expect(spawnSync(process.execPath, [tsc, "-p", folder], here)).toMatchObject({ status: 0, stdout: "" });

  const place = ["--project", folder];
  const instance: Instance = await sandbox.up(["up", ...place], join(folder, ".weir"));
  const sample = readFileSync(join(folder, "events.json"), "utf8");
  const reply = await instance.post(JSON.parse(sample) as object[]);
  expect(reply.status).toBe(202);
  expect(spawnSync(weir, ["drain"], here)).toMatchObject({ status: 0, stderr: "" });
  const rows = (sql: string): unknown =>
    JSON.parse(spawnSync(weir, ["query", "--json", sql], here).stdout).rows;
  expect(rows("SELECT visitor_id, views::INT FROM visits")).toEqual([["v1", 2]]);
  expect(rows("SELECT orders::INT, revenue::VARCHAR FROM revenue_per_day")).toEqual([[1, "59.90"]]);
  expect(spawnSync(weir, ["quarantine", "list"], here).stdout).toContain("/amount decimal");
  expect(spawnSync(weir, ["verify"], here)).toMatchObject({ status: 0 });
  expect(await instance.stop()).toBe(0);
});

test("no file is overwritten, and none is written when one would be", async () => {
  mkdirSync(join(sandbox.folder, "full"));
  writeFileSync(join(sandbox.folder, "full", "events.json"), "mine");
  const folder = join(sandbox.folder, "full");
  expect(await sandbox.json(["init", "full"])).toMatchObject({
    code: 2,
    value: undefined,
    error: { code: "would_overwrite", message: "There are files already: events.json.", where: folder },
  });
  expect(readdirSync(folder)).toEqual(["events.json"]);
  expect(readFileSync(join(folder, "events.json"), "utf8")).toBe("mine");
});

test("--json names what was written", async () => {
  expect(await sandbox.json(["init", "a/b"])).toEqual({
    code: 0,
    value: { folder: join(sandbox.folder, "a", "b"), files: written },
    error: undefined,
  });
});
