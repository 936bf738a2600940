import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundled, seedOfRun, seeded } from "@weir/testkit";
import { expect, onTestFinished, test } from "vitest";
import { AuditLog } from "./audit-log.ts";

const seed = seedOfRun();
const steps = ["audit.append.written", "audit.append.durable", "audit.rotate.created"];

test(`killed at every step, again and again: no entry that was acknowledged is lost (SEED=${seed})`, async () => {
  const directory = mkdtempSync(join(tmpdir(), "weir-audit-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const child = fileURLToPath(await bundled(new URL("audit-crash.fixture.ts", import.meta.url)));
  const chances = seeded(seed);
  const acknowledged = new Map<number, string>();
  for (let kill = 0; kill < 24; kill++) {
    const failpoint = `${steps[kill % steps.length]}:${1 + chances.below(5)}`;
    const { stdout, signal, stderr } = spawnSync(process.execPath, [child, directory], {
      env: { ...process.env, WEIR_FAILPOINT: failpoint },
      encoding: "utf8",
    });
    expect(signal, stderr).toBe("SIGKILL");
    for (const line of stdout.split("\n").slice(0, -1)) {
      const [number, hash = ""] = line.split(" ");
      acknowledged.set(Number(number), hash);
    }
    const log = await AuditLog.open(directory);
    expect(await log.verify()).toMatchObject({ ok: true, problem: null });
    const entries = new Map((await log.list(0, 10_000)).map((entry) => [entry.number, entry.hash]));
    for (const [number, hash] of acknowledged) expect(entries.get(number)).toBe(hash);
    await log.close();
  }
  expect(acknowledged.size).toBeGreaterThan(24);
});
