/** The demo and its store, killed: neither leaves anything behind. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { postgresMissing } from "@weir/testkit/postgres";
import { afterEach, expect, test } from "vitest";
import { DemoRun, isRunning, until } from "./demo-run.fixture.ts";

const noPostgres = postgresMissing(18);
const linux = process.platform === "linux";

let run: DemoRun | undefined;
const start = (): DemoRun => (run = new DemoRun("--rate", "400"));
afterEach(async () => {
  await run?.remove();
});

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
