/** Crash-safe: an engine killed anywhere leaves the tables of an undisturbed run. The long campaign is crash.long.test.ts. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { EngineCampaign, crashSettings } from "./crash-campaign.fixture.ts";
import type { Defect } from "./crash-defects.fixture.ts";
import { killAt } from "./crash-steps.fixture.ts";
import { engineFailpoints, erasureFailpoints, vaultFailpoints } from "./failpoints.ts";

const seed = seedOfRun();

const mostTelling = [
  "engine.open.schema_statement",
  "engine.open.table_built",
  "engine.open.view_created",
  "engine.open.ready",
  "engine.plan.recorded",
  "engine.stage.lines",
  "engine.stage.raw",
  "engine.stage.quarantine",
  "engine.lake.written",
  "engine.lake.renamed",
  "engine.commit.deduplicated",
  "engine.commit.clean_written",
  "engine.commit.ids_stored",
  "engine.commit.tables_merged",
  "engine.commit.retracted",
  "engine.commit.before_commit",
  "engine.commit.after_commit",
  "engine.ids.flush_written",
  "engine.ids.flush_recorded",
  "log.remove.after_floor",
];

test(`killed at twenty steps under load, each record that was acknowledged has its one outcome (SEED=${seed})`, async () => {
  const campaign = new EngineCampaign(seed);
  try {
    await campaign.feed();
    for (const step of mostTelling) await killAt(campaign, step, campaign.chances.in100(50));
    await campaign.dieSomewhen();
    expect((await campaign.problems()).slice(0, 10)).toEqual([]);
    expect(campaign.ledger.size).toBeGreaterThan(500);
  } finally {
    await campaign.close();
  }
}, 300_000);

test("the list of failpoints is what the code has", () => {
  const used = new Set<string>();
  for (const name of readdirSync(import.meta.dirname, { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || /\.(test|fixture)\.ts$/.test(name)) continue;
    const code = readFileSync(join(import.meta.dirname, name), "utf8");
    for (const [, failpoint = ""] of code.matchAll(/failpoint\("([^"]+)"\)/g)) used.add(failpoint);
  }
  expect([...used].sort()).toEqual([...engineFailpoints, ...vaultFailpoints, ...erasureFailpoints].sort());
});

/** Two kills, with or without a planted defect; then what is wrong. */
async function runWith(defect: Defect | undefined): Promise<string[]> {
  const campaign = new EngineCampaign(seed);
  const settings = { ...crashSettings, batchBytes: 6000 };
  const run = defect === undefined ? { settings } : { settings, defect };
  try {
    await campaign.fill(30);
    await campaign.dieAt("engine.commit.after_commit:2", run);
    await campaign.dieAt("engine.commit.tables_merged:2", run);
    await campaign.fill(5);
    return (await campaign.problems()).slice(0, 10);
  } finally {
    await campaign.close();
  }
}

test(`killed twice without a defect (SEED=${seed})`, async () => {
  expect(await runWith(undefined)).toEqual([]);
});

test.each([
  ["no_transaction", /not in the clean zone|are to be taken back/],
  ["no_ids_stored", /in the clean zone 2 times|should not be|are to be taken back/],
  ["segment_repeated", /is in raw \d+ times|not in the log/],
  ["segment_skipped", /is in raw \d+ times|not in the log/],
] as const)(`planted defect: %s (SEED=${seed})`, async (defect, symptom) => {
  const problems = await runWith(defect).catch((error: unknown) => [String(error)]);
  expect(problems.join("\n")).toMatch(symptom);
});

/** Kills an engine that planned a batch, appends more, and tells whether the batch then had the planned records. */
async function repeatsPlan(defect: Defect | undefined): Promise<boolean> {
  const campaign = new EngineCampaign(seed);
  try {
    await campaign.fill(8);
    const planned = campaign.records;
    await campaign.dieAt("engine.plan.recorded:1", defect === undefined ? {} : { defect });
    await campaign.fill(8);
    const engine = await campaign.startEngine();
    const { commit, records } = await engine.saying("commit");
    await engine.kill();
    expect(await campaign.problems()).toEqual([]);
    return commit === 1 && records === planned;
  } finally {
    await campaign.close();
  }
}

test("a batch that a crash interrupts runs again with exactly the records that were planned", async () => {
  expect(await repeatsPlan(undefined)).toBe(true);
});

test("planted defect: without a recorded plan it does not", async () => {
  expect(await repeatsPlan("no_plans")).toBe(false);
});
