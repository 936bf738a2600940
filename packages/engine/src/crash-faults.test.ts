/** What stands in an engine's way: segments that are gone or damaged, another engine, a full disk. */
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { crashProgram, seedOfRun } from "@weir/testkit";
import { describe, expect, onTestFinished, test } from "vitest";
import { EngineCampaign, crashSettings } from "./crash-campaign.fixture.ts";
import type { EngineRun } from "./crash-campaign.fixture.ts";
import { firstSteps } from "./crash-steps.fixture.ts";
import { Engine } from "./engine.ts";

const seed = seedOfRun();
const noneRemoved: EngineRun = { settings: { ...crashSettings, logRetentionBytes: 1e9 } };

function newCampaign(): EngineCampaign {
  const campaign = new EngineCampaign(seed);
  onTestFinished(() => campaign.close());
  return campaign;
}

/** How an engine that cannot go on says so. */
async function failure(campaign: EngineCampaign, run: EngineRun = {}): Promise<Record<string, unknown>> {
  const engine = await campaign.startEngine(run);
  const { code, where, message } = await engine.saying("failed");
  expect(await engine.exited).toEqual({ code: 3, signal: null });
  return { code, where, message };
}

const segmentPath = (campaign: EngineCampaign, number: number): string =>
  join(campaign.dataDir, "log/web/fill", `${String(number).padStart(12, "0")}.seg`);

/** Ways to spoil a segment, and what the engine then says. */
const spoilings: readonly [string, (path: string) => void, Record<string, string>][] = [
  ["missing", (path) => rmSync(path), { code: "segment_missing", place: "web/fill/3" }],
  [
    "cut",
    (path) => truncateSync(path, statSync(path).size - 40),
    { code: "segment_corrupt", place: "000000000003.seg" },
  ],
  ["empty", (path) => truncateSync(path, 0), { code: "segment_corrupt", place: "000000000003.seg" }],
  [
    "changed",
    (path) => {
      const content = readFileSync(path);
      content[10] = (content[10] ?? 0) ^ 1;
      writeFileSync(path, content);
    },
    { code: "segment_corrupt", place: "000000000003.seg" },
  ],
];

test.each(spoilings)(
  `a segment of an unfinished batch is %s: the engine names it, and goes on once it is back (SEED=${seed})`,
  async (_, spoil, { code, place }) => {
    const campaign = newCampaign();
    await campaign.fill(6);
    await campaign.dieAt("engine.plan.recorded:1");
    const path = segmentPath(campaign, 3);
    const content = readFileSync(path);
    spoil(path);
    for (let start = 0; start < 2; start++) {
      const failed = await failure(campaign);
      expect(failed).toMatchObject({ code, where: expect.stringContaining(place ?? "") as string });
    }
    writeFileSync(path, content);
    expect(await campaign.problems()).toEqual([]);
  },
);

test(`damaged segments that were committed keep no engine from starting, and are removed in time (SEED=${seed})`, async () => {
  const campaign = newCampaign();
  await campaign.fill(6);
  await campaign.dieAt("engine.commit.after_commit:1", noneRemoved);
  for (const number of [1, 3, 6]) truncateSync(segmentPath(campaign, number), 5);
  await campaign.fill(2);
  expect(await campaign.problems()).toEqual([]);
  await campaign.fill(6);
  await campaign.dieAt("log.remove.after_unlink:1", { settings: { ...crashSettings, logRetentionBytes: 1 } });
  expect(readdirSync(join(campaign.dataDir, "log/web/fill"))).not.toContain("000000000003.seg");
  expect(await campaign.problems()).toEqual([]);
});

test("a second engine on the same state is refused with the owner's pid, and the first goes on", async () => {
  const campaign = newCampaign();
  await campaign.fill(3);
  const first = await campaign.startEngine();
  await first.saying("commit");
  const { code, message } = await failure(campaign);
  expect({ code, message }).toEqual({
    code: "engine_locked",
    message: expect.stringContaining(`Process ${first.pid} `) as string,
  });
  await campaign.fill(3);
  await first.saying("commit", ({ commit }) => commit === 2);
  first.tell("stop");
  expect(await first.ending()).toEqual({ code: 0, signal: null });
  expect(await campaign.problems()).toEqual([]);
});

test(`an engine that failed can be stopped and opened again in the same process (SEED=${seed})`, async () => {
  const campaign = newCampaign();
  await campaign.fill(30);
  const settings = { ...crashSettings, batchBytes: 6000, lanes: 4 };
  for (const bad of [2, 9, 17]) {
    const store = directoryStore(join(campaign.dataDir, "log"), { minFreeBytes: 0 });
    const materialize = store.materialize.bind(store);
    let inWork = 0;
    store.materialize = async (ref) => {
      if (ref.number === bad) throw new WeirError("segment_corrupt", "planted");
      // Batches behind the bad one are still in work when it fails.
      inWork++;
      if (ref.number > bad) await delay(100);
      return await materialize(ref).finally(() => inWork--);
    };
    const engine = await Engine.open({
      dataDir: campaign.dataDir,
      program: crashProgram(),
      store,
      settings,
    });
    engine.start();
    expect(await engine.failed).toMatchObject({ code: "segment_corrupt" });
    await expect(engine.drain()).rejects.toMatchObject({ code: "segment_corrupt" });
    await engine.stop();
    expect(inWork).toBe(0);
  }
  expect(await campaign.problems()).toEqual([]);
});

test("what a killed engine spilled to disk is removed by the next one", async () => {
  const campaign = newCampaign();
  const spilled = join(campaign.dataDir, "state", "tmp", "4711");
  mkdirSync(spilled, { recursive: true });
  writeFileSync(join(spilled, "duckdb_temp_storage_DEFAULT-0.tmp"), "");
  await campaign.fill(2);
  expect(await campaign.problems()).toEqual([]);
  expect(existsSync(spilled)).toBe(false);
});

test(`killed at its very first start, statement after statement (SEED=${seed})`, async () => {
  const campaign = newCampaign();
  for (const step of firstSteps) await campaign.dieAt(`${step}:1`);
  for (const pass of [1, 5, 12]) await campaign.dieAt(`engine.open.schema_statement:${pass}`);
  await campaign.dieAt("engine.open.table_built:2");
  await campaign.dieAt("engine.open.view_created:1");
  await campaign.fill(4);
  expect(await campaign.problems()).toEqual([]);
});

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)(`on a disk of its own${isRoot ? "" : " (skipped: needs root)"}`, () => {
  /** Puts part of the data directory on a disk of that size. */
  function mountTiny(campaign: EngineCampaign, part: string, size: string): string {
    const path = join(campaign.dataDir, part);
    mkdirSync(path, { recursive: true });
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path]);
    onTestFinished(() => void execFileSync("umount", ["-l", path]));
    return path;
  }

  test.each([
    ["lake", "100k"],
    ["state", "150k"],
    // Too small for an empty state.
    ["state", "8k"],
    ["state/ids", "12k"],
  ])(
    `%s (%s) is full: the engine says so though no record comes any more, loses nothing and goes on with space (SEED=${seed})`,
    async (part, size) => {
      const campaign = newCampaign();
      const path = mountTiny(campaign, part, size);
      await campaign.fill(100);
      const run: EngineRun = { settings: { ...crashSettings, batchBytes: 60_000 } };
      expect(await failure(campaign, run)).toMatchObject({ code: "state_disk_full" });
      execFileSync("mount", ["-o", "remount,size=1g", path]);
      expect((await campaign.problems()).slice(0, 10)).toEqual([]);
    },
  );
});
