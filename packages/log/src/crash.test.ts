/** Durable before acknowledged, and crash-safe, at every named step of the log. The long campaign is crash.long.test.ts. */
import { expect, test } from "vitest";
import { Ledger } from "./crash.fixture.ts";
import { logFailpoints } from "./failpoint.ts";

/** How a recovery is brought to each of its steps: where the run before it dies. */
const before: Record<string, string> = {
  "log.recover.before_cut": "log.seal.before_fsync:2",
  "log.recover.after_cut": "log.seal.before_fsync:2",
  "log.recover.before_unlink": "log.segment.listed:2",
};

test.each(logFailpoints)(
  "killed at %s, then out of power: nothing acknowledged is lost",
  async (failpoint) => {
    const ledger = new Ledger(logFailpoints.indexOf(failpoint));
    const first = before[failpoint];
    if (first !== undefined) expect(await ledger.run({ failpoint: first })).toBe(true);
    expect(await ledger.run({ failpoint: first === undefined ? `${failpoint}:4` : failpoint })).toBe(true);
    expect(ledger.acknowledged).toBeGreaterThan(0);
    await ledger.settle();
  },
);

test.each([1, 2])("killed at a random moment, twice in a row (seed %i)", async (seed) => {
  const ledger = new Ledger(seed);
  for (let i = 0; i < 2; i++)
    expect(await ledger.run({ killAfterAcks: 1 + ((seed * 37 + i * 61) % 150) })).toBe(true);
  await ledger.settle();
});

test.each(["no_file_sync", "no_directory_sync"] as const)(
  "planted defect: %s loses acknowledged records",
  async (defect) => {
    const ledger = new Ledger(1);
    expect(await ledger.run({ failpoint: "log.append.after_fsync:6", defect })).toBe(true);
    expect(ledger.acknowledged).toBeGreaterThan(0);
    await expect(ledger.settle()).rejects.toThrow(/was acknowledged|does not end with its seal/);
  },
);
