/** Engines that die while histories are cut off: what is shown, and things as they are now, is what all records say. */
import { join } from "node:path";
import { directoryStore } from "@weir/log";
import { crashProgram, seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { EngineCampaign, crashInternals, crashSettings } from "./crash-campaign.fixture.ts";
import { historySteps } from "./crash-steps.fixture.ts";
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
const entities = ["articles", "last_orders"];
const settings = { ...crashSettings, logRetentionBytes: 1e9 };

interface Seen {
  readonly tables: Readonly<Record<string, unknown[][]>>;
  /** States with their bounds in microseconds, by entity. */
  readonly histories: Readonly<Record<string, readonly { toUs: number; row: string }[]>>;
  /** Microseconds, by entity. */
  readonly borders: Readonly<Record<string, number>>;
  readonly gone: number;
  readonly problems: readonly unknown[];
}

/** What an engine that cuts nothing off finds, with everything loaded. */
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
    const histories: Record<string, { toUs: number; row: string }[]> = {};
    for (const name of entities) {
      const found = await rows(`SELECT epoch_us(valid_to), h::VARCHAR FROM ${name}_history h ORDER BY ALL`);
      histories[name] = found.map(([to, row]) => ({
        toUs: to === null ? Infinity : Number(to),
        row: String(row),
      }));
    }
    const borders = await rows("SELECT name, epoch_us(border) FROM weir.history_borders");
    const removed = await rows(
      "SELECT coalesce(sum(rows), 0)::INTEGER FROM weir.removed WHERE zone = 'history'",
    );
    const { checks } = await engine.verify();
    return {
      tables,
      histories,
      borders: Object.fromEntries(borders.map(([name, us]) => [String(name), Number(us)])),
      gone: Number(removed[0]?.[0]),
      problems: checks.filter(({ ok }) => !ok),
    };
  } finally {
    await engine.stop();
  }
}

test(`killed at each step of cutting off: what is kept is as it was (SEED=${seed})`, async () => {
  const campaign = new EngineCampaign(seed);
  try {
    await campaign.fill(12);
    const before = await look(campaign);
    const ends = entities.flatMap((name) => before.histories[name] ?? []).map(({ toUs }) => toUs);
    const ended = ends.filter((toUs) => toUs < Infinity).sort((a, b) => a - b);
    for (const [i, step] of [...historySteps, ...historySteps].entries()) {
      const cutUs = ended[Math.floor((ended.length - 1) * (0.2 + i / 10))] ?? 0;
      const keep = { ...forever, historyMs: Date.now() - Math.ceil(cutUs / 1000) };
      // The first entity's, then the second's.
      await campaign.dieAt(`${step}:${i < historySteps.length ? 1 : 2}`, {
        settings,
        internals: { keep, historyStepMs: 1 },
      });
      const now = await look(campaign);
      expect(now.problems, step).toEqual([]);
      expect(now.tables, step).toEqual(before.tables);
      for (const name of entities) {
        const border = now.borders[name] ?? -Infinity;
        expect(now.histories[name], `${name}, ${step}`).toEqual(
          before.histories[name]?.filter(({ toUs }) => toUs > border),
        );
      }
    }
    const now = await look(campaign);
    for (const name of entities)
      expect(now.histories[name]?.length).toBeLessThan(before.histories[name]?.length ?? 0);
    expect(now.gone).toBeGreaterThan(0);
    // And records go on coming.
    await campaign.fill(2);
    expect((await look(campaign)).problems).toEqual([]);
  } finally {
    await campaign.close();
  }
});
