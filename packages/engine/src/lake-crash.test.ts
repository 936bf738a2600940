/** Engines that die while files of the lake go or are merged: no row is lost or doubled, and tables stay as they are. */
import { join } from "node:path";
import { directoryStore } from "@weir/log";
import { crashProgram, seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { EngineCampaign, crashInternals, crashSettings } from "./crash-campaign.fixture.ts";
import type { EngineRun } from "./crash-campaign.fixture.ts";
import { retentionSteps } from "./crash-steps.fixture.ts";
import { Engine } from "./engine.ts";
import type { ResolvedRetention } from "./keep.ts";

const seed = seedOfRun();
const forever: ResolvedRetention = {
  rawMs: undefined,
  quarantineMs: undefined,
  cleanMs: undefined,
  cleanOf: {},
  historyMs: undefined,
  historyOf: {},
  rebuildFromKept: [],
};
/** Commits small enough that files end at many times. */
const settings = { ...crashSettings, batchBytes: 10_000, logRetentionBytes: 1e9 };

interface Seen {
  readonly tables: Readonly<Record<string, unknown[][]>>;
  /** Event time, microseconds, by position. */
  readonly clean: ReadonlyMap<string, string>;
  readonly files: number;
  readonly problems: readonly unknown[];
}

/** What an engine that removes nothing finds, with everything loaded. */
async function look({ dataDir }: EngineCampaign): Promise<Seen> {
  const store = directoryStore(join(dataDir, "log"), { minFreeBytes: 0 });
  const program = crashProgram("reference");
  const engine = await Engine.open(
    { dataDir, program, store, settings },
    { ...crashInternals, keep: forever, upkeepEveryMs: 3_600_000 },
  );
  try {
    await engine.drain({ timeoutMs: 120_000 });
    const rows = async (sql: string): Promise<unknown[][]> =>
      (await engine.query(sql, { maxRows: 1_000_000 })).rows;
    const tables: Record<string, unknown[][]> = {};
    for (const { name } of program.tables) tables[name] = await rows(`FROM ${name} ORDER BY ALL`);
    const clean = new Map<string, string>();
    for (const { contract } of program.contracts) {
      const records = await rows(
        `SELECT _source || '/' || _writer || '/' || _number || '/' || _line, epoch_us("${contract.time}") FROM ${contract.name}`,
      );
      for (const [position, us] of records as [string, string][]) {
        if (clean.has(position)) throw new Error(`${position} is there twice`);
        clean.set(position, us);
      }
    }
    const [[files] = []] = await rows("SELECT count(*)::INTEGER FROM weir.files");
    const { checks } = await engine.verify();
    return { tables, clean, files: Number(files), problems: checks.filter(({ ok }) => !ok) };
  } finally {
    await engine.stop();
  }
}

async function filled(batches: number): Promise<{ campaign: EngineCampaign; before: Seen }> {
  const campaign = new EngineCampaign(seed);
  await campaign.fill(batches);
  return { campaign, before: await look(campaign) };
}

/** Engines that remove clean records up to a share of them, by event time. */
function removing({ clean }: Seen, share: number, defect?: "manifest_kept"): EngineRun {
  const times = [...clean.values()].map(Number).sort((a, b) => a - b);
  const cutMs = Math.ceil((times[Math.floor((times.length - 1) * share)] ?? 0) / 1000);
  const keep = { ...forever, cleanMs: Date.now() - cutMs };
  return {
    settings,
    internals: { keep, replacedGraceMs: 0, quietMs: 0 },
    ...(defect === undefined ? {} : { defect }),
  };
}

test(`killed at each step: tables stay, and each row is there once until its time is over (SEED=${seed})`, async () => {
  const { campaign, before } = await filled(10);
  try {
    const merges = ["written", "before_commit", "committed"].map((step) => `engine.compact.${step}`);
    for (const [i, step] of [...retentionSteps, ...merges].entries())
      await campaign.dieAt(`${step}:1`, removing(before, 0.3 + i / 20));
    const now = await look(campaign);
    expect(now.problems).toEqual([]);
    expect(now.tables).toEqual(before.tables);
    for (const [position, us] of now.clean) expect(before.clean.get(position)).toBe(us);
    // What is still kept is all there.
    const times = [...before.clean.values()].map(Number).sort((a, b) => a - b);
    const kept = times[Math.floor(times.length * 0.66)] ?? 0;
    for (const [position, us] of before.clean)
      if (Number(us) > kept) expect(now.clean.has(position)).toBe(true);
    expect(now.clean.size).toBeLessThan(before.clean.size);
    expect(now.files).toBeLessThan(before.files);
    // And records go on coming.
    await campaign.fill(2);
    expect((await look(campaign)).problems).toEqual([]);
  } finally {
    await campaign.close();
  }
});

test(`planted defect: a manifest that lists removed files is found out (SEED=${seed})`, async () => {
  const { campaign, before } = await filled(5);
  try {
    await campaign.dieAt("engine.lake.file_removed:1", removing(before, 0.5, "manifest_kept"));
    const told = await look(campaign).then(
      ({ problems }) => problems,
      (error: unknown) => [String(error)],
    );
    expect(JSON.stringify(told)).toMatch(/No files found|damaged or missing/);
  } finally {
    await campaign.close();
  }
});
