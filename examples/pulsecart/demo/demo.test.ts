import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DemoRun, isRunning, root, until } from "./demo-run.fixture.ts";

// A demo is nine processes; a busy machine multiplies what they need.
vi.setConfig({ testTimeout: 240_000 });

const runs: DemoRun[] = [];
const start = (...args: string[]): DemoRun => {
  const run = new DemoRun("--rate", "400", ...args);
  runs.push(run);
  return run;
};

afterEach(async () => {
  for (const run of runs.splice(0)) await run.remove();
});

const weir = (...args: string[]): string =>
  execFileSync(process.execPath, [join(root, "packages/weir/bin/weir.mjs"), ...args], { encoding: "utf8" });

describe("npm run demo", () => {
  test("--for: real clients, verified and reconciled to the cent; nothing stays behind", async () => {
    const run = start("--for", "8s");
    const { others } = await run.processes();
    expect(await run.exitCode(), run.output).toBe(0);
    expect(run.output).toContain("Everything adds up");
    expect(run.output).toMatch(/weir verify: ok, \d+ checks/);
    for (const line of ["product_viewed", "order_placed", "visits", "revenue EUR", "units in 72 places"]) {
      expect(run.output).toMatch(new RegExp(`^${line} +[\\d,.]*[1-9][\\d,.]* .* ok$`, "m"));
    }
    for (const reason of ["contract_violation", "unknown_contract"]) {
      expect(run.output).toMatch(new RegExp(`^quarantined: ${reason} +[1-9]`, "m"));
    }
    expect(run.output).toMatch(/^duplicates +[1-9]/m);
    expect(existsSync(run.dataDir)).toBe(false);
    expect(others.filter(isRunning)).toEqual([]);
  });

  test("a record that the clients know nothing of makes it fail", async () => {
    const run = start("--for", "5s");
    const { url } = await run.processes();
    const foreign = {
      type: "stock_moved",
      event_id: "from-outside",
      occurred_at: "2026-01-15T08:00:00Z",
      sku: "SHO-100",
      warehouse: "AMS",
      quantity: 1,
      reason: "received",
    };
    const reply = await fetch(`${url}/v1/events?writeKey=demo-inventory`, {
      method: "POST",
      body: JSON.stringify(foreign),
    });
    expect(reply.status).toBe(202);
    expect(await run.exitCode(), run.output).toBe(1);
    expect(run.output).toMatch(/^stock_moved .* DIFFERS$/m);
    expect(run.output).toMatch(/^units in 72 places .*, 1 places differ +DIFFERS$/m);
    expect(run.output).toMatch(/^product_viewed .* ok$/m);
    expect(run.output).toContain("It does not add up.");
    expect(run.output).toContain("weir verify: ok");
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

  test.runIf(process.platform === "linux")("killed, it leaves no process behind", async () => {
    const run = start();
    await run.loaded(1);
    const { demo, others } = await run.processes();
    const children = run.clients();
    expect(children.length).toBe(2);
    process.kill(demo, "SIGKILL");
    await until(() => [...others, ...children].every((pid) => !isRunning(pid)) || undefined);
  });

  test("it refuses a folder that is not its own", async () => {
    const run = start("--for", "1s", "--data-dir", root);
    expect(await run.exitCode()).toBe(1);
    expect(run.output).toContain("is not empty");
    expect(existsSync(join(root, "package.json"))).toBe(true);
  });
});
