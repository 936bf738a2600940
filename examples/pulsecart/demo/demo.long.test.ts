/** The demo without a store, stopped, and killed. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { postgresMissing } from "@weir/testkit/postgres";
import { afterEach, expect, test } from "vitest";
import { DemoRun, isRunning, root, until } from "./demo-run.fixture.ts";

const noPostgres = postgresMissing(18);
const linux = process.platform === "linux";

let run: DemoRun | undefined;
const start = (...args: string[]): DemoRun => (run = new DemoRun("--rate", "400", ...args));
afterEach(async () => {
  await run?.remove();
});

const weir = (...args: string[]): string =>
  execFileSync(process.execPath, [join(root, "packages/weir/bin/weir.mjs"), ...args], { encoding: "utf8" });

/** Folders that the process of a store made for its server. */
const foldersOf = (store: number): string[] =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`pulsecart-${store}-`));

test.runIf(linux)("killed, it leaves no process and no database behind", async () => {
  const run = start();
  await run.loaded(1);
  const { demo, others } = await run.processes();
  const children = run.children();
  expect(children.length).toBe(noPostgres === undefined ? 3 : 2);
  const store = noPostgres === undefined ? run.store() : undefined;
  process.kill(demo, "SIGKILL");
  await until(() => [...others, ...children].every((pid) => !isRunning(pid)) || undefined);
  if (store === undefined) return;
  await until(() => (!isRunning(store.server) && !existsSync(store.folder)) || undefined);
});

test.runIf(linux && noPostgres === undefined)(
  "killed while the store starts, it leaves nothing either",
  async () => {
    const run = start();
    const store = await until(() => (run.output === "" ? undefined : run.children()[0]));
    process.kill(Number(readFileSync(join(run.dataDir, "demo.pid"), "utf8")), "SIGKILL");
    await until(() => (!isRunning(store) && foldersOf(store).length === 0) || undefined);
  },
);

test.runIf(linux && noPostgres === undefined)(
  "a store that is killed ends it, and its database",
  async () => {
    const run = start();
    await run.processes();
    const store = run.store();
    expect([store.process, store.server].every(isRunning)).toBe(true);
    process.kill(store.process, "SIGKILL");
    expect(await run.exitCode(), run.output).toBe(1);
    expect(run.output).toContain("The store ended with SIGKILL.");
    await until(() => (!isRunning(store.server) && !existsSync(store.folder)) || undefined);
  },
);

test("--no-store: everything else, and it says what it leaves out", async () => {
  const run = start("--for", "3s", "--no-store");
  expect(await run.exitCode(), run.output).toBe(0);
  expect(run.output).toContain("skipped: the store is left out (--no-store)");
  expect(run.output).toMatch(/^product_viewed +[1-9].* ok$/m);
  expect(run.output).not.toContain("charged by Stripe");
});

test("Ctrl-C loads what is left and compares; --keep leaves the data to be asked", async () => {
  const run = start("--keep");
  await run.loaded(200);
  const { demo, others } = await run.processes();
  process.kill(demo, "SIGINT");
  expect(await run.exitCode(), run.output).toBe(0);
  expect(run.output).toContain("Everything adds up");
  expect(others.filter(isRunning)).toEqual([]);
  const place = ["-p", join(root, "examples/pulsecart"), "-d", run.dataDir, "--json"];
  const { rows } = JSON.parse(weir("query", "SELECT count(*) > 100 FROM visits", ...place)) as {
    rows: unknown[][];
  };
  expect(rows).toEqual([[true]]);
});
