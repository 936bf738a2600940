import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { identifyProcess, isAlive } from "./identity.ts";
import { acquireDuty, dutyOwner } from "./lock.ts";

let runDir: string;
beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), "weir-lock-"));
});
afterEach(() => {
  rmSync(runDir, { recursive: true });
});

describe("duty lock", () => {
  test("refuses a second owner with the pid, and lets go", async () => {
    const lock = await acquireDuty(runDir, "engine");
    await expect(acquireDuty(runDir, "engine")).rejects.toMatchObject({
      code: "already_running",
      message: expect.stringContaining(`process ${process.pid} `) as string,
    });
    expect((await dutyOwner(runDir, "engine"))?.pid).toBe(process.pid);
    await lock.release();
    expect(await dutyOwner(runDir, "engine")).toBeUndefined();
    await (await acquireDuty(runDir, "engine")).release();
    expect(readdirSync(runDir)).toEqual([]);
  });

  test("duties are independent", async () => {
    const engine = await acquireDuty(runDir, "engine");
    const collect = await acquireDuty(runDir, "collect");
    await engine.release();
    expect((await dutyOwner(runDir, "collect"))?.pid).toBe(process.pid);
    await collect.release();
  });

  test("takes over from a process that is dead", async () => {
    const { pid } = spawnSync(process.execPath, ["-e", "0"]);
    writeFileSync(join(runDir, "engine.lock-dead"), JSON.stringify({ pid, started: "x", since: "then" }));
    const lock = await acquireDuty(runDir, "engine");
    expect(readdirSync(runDir)).toHaveLength(1);
    await lock.release();
  });

  test("a pid that was given to another process since is not the owner", async () => {
    const other = { pid: process.pid, started: "another start", since: "then" };
    writeFileSync(join(runDir, "engine.lock-reused"), JSON.stringify(other));
    expect(await dutyOwner(runDir, "engine")).toBeUndefined();
    await (await acquireDuty(runDir, "engine")).release();
  });

  test("of many processes that start at once, at most one holds the duty at any time", async () => {
    const script = `
      import { appendFileSync } from "node:fs";
      const { register } = await import("tsx/esm/api");
      register();
      const { acquireDuty } = await import(${JSON.stringify(new URL("./lock.ts", import.meta.url).href)});
      for (let i = 0; i < 20; i++) {
        try {
          const lock = await acquireDuty(${JSON.stringify(runDir)}, "engine");
          appendFileSync(${JSON.stringify(join(runDir, "history"))}, "+");
          await new Promise((done) => setTimeout(done, 1));
          appendFileSync(${JSON.stringify(join(runDir, "history"))}, "-");
          await lock.release();
        } catch (error) {
          if (error.code !== "already_running") throw error;
        }
      }`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "ignore", "inherit"],
        cwd: import.meta.dirname,
      }),
    );
    const codes = await Promise.all(children.map(async (child) => (await once(child, "exit"))[0] as number));
    expect(codes).toEqual([0, 0, 0, 0]);
    const { readFileSync } = await import("node:fs");
    expect(readFileSync(join(runDir, "history"), "utf8")).toMatch(/^(\+-)+$/);
  });
});

describe("process identity", () => {
  test("knows this process and not one that ended", async () => {
    const self = await identifyProcess(process.pid);
    expect(self?.pid).toBe(process.pid);
    expect(self !== undefined && (await isAlive(self))).toBe(true);
    const child = spawn(process.execPath, ["-e", "process.stdin.resume()"], {
      stdio: ["pipe", "ignore", "ignore"],
    });
    const identity = await identifyProcess(child.pid ?? 0);
    expect(identity !== undefined && (await isAlive(identity))).toBe(true);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(identity !== undefined && (await isAlive(identity))).toBe(false);
  });
});
