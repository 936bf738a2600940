/** Crash-safe: an engine that is killed anywhere in an erasure or in the start after it, or stops meanwhile, ends with Jane gone. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { erasureFailpoints } from "../failpoints.ts";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";
import { dieAt } from "./erase-kill.fixture.ts";
import { asked, jane, program, records, restartNames } from "./erase-shop.fixture.ts";

let harness: Harness;
beforeEach(async () => {
  restartNames();
  harness = new Harness();
  await harness.open(program);
  harness.engine.start();
  const isMary = (record: LogRecord): boolean => "text" in record && record.text.includes("mary");
  await harness.load(records().filter((record) => !isMary(record)));
  await harness.close();
});
afterEach(() => harness.end());

const contents = async (): Promise<unknown> => [
  await harness.rows("SELECT url, views::INT FROM by_url ORDER BY 1"),
  await harness.rows("SELECT customer::INT FROM orders"),
  await harness.rows("SELECT count(*)::INT FROM people"),
  await harness.rows("SELECT count(*)::INT FROM raw"),
  await harness.rows("SELECT count(*)::INT FROM quarantine"),
  await harness.rows("SELECT sum(loaded)::INT, sum(quarantined)::INT, sum(suppressed)::INT FROM weir.counts"),
];

function left(): string[] {
  const files = readdirSync(harness.dataDir, { recursive: true, withFileTypes: true }).filter((one) =>
    one.isFile(),
  );
  const paths = files.map(({ parentPath, name }) => join(parentPath, name).slice(harness.dataDir.length + 1));
  const isLeft = (path: string): boolean =>
    [jane, "jane-phone", "7000001"].some((word) => readFileSync(join(harness.dataDir, path)).includes(word));
  return paths.filter((path) => !path.startsWith("log/") && isLeft(path));
}

/** It goes on by itself; who asks again gets the same. */
async function erasedAtNextStart(): Promise<void> {
  await harness.open(program);
  harness.engine.start();
  const done = await harness.engine.erasures.erase(asked);
  expect(done).toMatchObject({ id: "e1", state: "erased" });
  expect(await harness.engine.erasures.list()).toHaveLength(1);
  expect(await contents()).toEqual([[["/a", 1]], [[7_000_002]], [[3]], [[2]], [[0]], [[2, 0, 7]]]);
  expect((await harness.engine.verify()).checks.filter(({ ok }) => !ok)).toEqual([]);
  await harness.open(program);
  await harness.close();
  expect(left()).toEqual([]);
}

// Those of the vault are in erase-vault.test.ts.
const steps = erasureFailpoints
  .filter((name) => name !== "engine.erase.destroyed")
  .map((name) => `${name}:1`);

test.each([...steps, "engine.erase.files_written:2"])("killed at %s", async (step) => {
  // The start after an erasure writes the state file anew.
  if (step.startsWith("engine.open")) await dieAt(harness.dataDir, "shop", "engine.erase.after_commit:1");
  await dieAt(harness.dataDir, "shop", step);
  await erasedAtNextStart();
});

test.each([0, 10])("stopped after %i ms", async (ms) => {
  await harness.open(program);
  harness.engine.start();
  const ended = Promise.allSettled([harness.engine.erasures.erase(asked)]);
  await delay(ms);
  await harness.close();
  const [erased] = await ended;
  if (erased?.status === "rejected") expect(erased.reason).toMatchObject({ code: "engine_unavailable" });
  await erasedAtNextStart();
});
