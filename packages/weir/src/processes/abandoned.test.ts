import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { directoryStore } from "@weir/log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { sealAbandoned } from "./abandoned.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "weir-abandoned-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

const line = Buffer.from("1700000000000000\tpage_viewed\t1\t0\t\t{}\n");

/** Appends one record in a process of its own, which then waits. */
async function appendElsewhere(writer: string): Promise<ReturnType<typeof spawn>> {
  const script = `
    const { register } = await import("tsx/esm/api");
    register();
    const { directoryStore } = await import("@weir/log");
    const writer = await directoryStore(${JSON.stringify(root)}, { sealAfterMs: 3_600_000 }).openWriter("web", "${writer}");
    const line = Buffer.from(${JSON.stringify(line.toString())});
    await writer.append(line, Uint32Array.of(line.length));
    process.stdout.write("durable");
    process.stdin.resume();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: import.meta.dirname,
  });
  await once(child.stdout, "data");
  return child;
}

test("the open segment of a dead writer is sealed, that of a living one is left alone", async () => {
  const dead = await appendElsewhere("c1");
  dead.kill("SIGKILL");
  await once(dead, "exit");
  const living = await appendElsewhere("c0");
  const store = directoryStore(root);
  expect(await store.heads()).toMatchObject([
    { writer: "c0", sealed: 0, open: 1 },
    { writer: "c1", sealed: 0, open: 1 },
  ]);
  expect(await sealAbandoned(store, await store.heads())).toBe(1);
  expect(await store.heads()).toEqual([
    { source: "web", writer: "c0", sealed: 0, open: 1 },
    { source: "web", writer: "c1", sealed: 1 },
  ]);
  living.kill("SIGKILL");
  await once(living, "exit");
});
