import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { engineSocketPath, prepareRunDir, readInstanceFile, writeInstanceFile } from "./run-files.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "weir-run-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

describe("engine socket", () => {
  test("lies in the run directory where that fits", () => {
    expect(engineSocketPath(join(root, "run"))).toBe(join(root, "run", "engine.sock"));
  });

  test("for a long data directory, it is a private path that can be listened on and is always the same", async () => {
    const runDir = join(root, "x".repeat(150), "run");
    const path = engineSocketPath(runDir);
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103);
    expect(engineSocketPath(runDir)).toBe(path);
    expect(engineSocketPath(`${runDir}2`)).not.toBe(path);
    expect(statSync(dirname(path)).mode & 0o077).toBe(0);
    const server = net.createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(path, resolve);
    });
    server.close();
    // A folder that others may enter could have been put there by them.
    chmodSync(dirname(path), 0o777);
    expect(() => engineSocketPath(runDir)).toThrow(expect.objectContaining({ code: "data_dir_unwritable" }));
    rmSync(dirname(path), { recursive: true });
  });
});

describe("run directory", () => {
  test("an instance file is read back; a missing one is undefined", async () => {
    const runDir = await prepareRunDir(join(root, "data"));
    expect(await readInstanceFile(runDir, "weir.json")).toBeUndefined();
    const file = { pid: 1, url: "http://x", startedAt: "now", processes: [] };
    await writeInstanceFile(runDir, "weir.json", file);
    expect(await readInstanceFile(runDir, "weir.json")).toEqual(file);
  });

  test("a data directory that cannot be made is an error that names it", async () => {
    const blocked = join(root, "file");
    mkdirSync(dirname(blocked), { recursive: true });
    const { writeFileSync } = await import("node:fs");
    writeFileSync(blocked, "");
    await expect(prepareRunDir(join(blocked, "data"))).rejects.toMatchObject({
      code: "data_dir_unwritable",
      where: join(blocked, "data"),
    });
  });

  test.skipIf(process.platform !== "linux")(
    "a file system that takes no directories ends in an error",
    async () => {
      await expect(prepareRunDir("/proc/weir/data")).rejects.toMatchObject({ code: "data_dir_unwritable" });
    },
  );
});
