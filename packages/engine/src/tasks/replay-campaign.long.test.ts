/** Whatever is loaded, replayed, undone and erased, in any order, with stops in the middle: what is known of ids is what the records say. */
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { IdIndex } from "../ids/id-index.ts";
import { IdStore } from "../ids/id-store.ts";
import { ReplayCampaign } from "./replay-campaign.fixture.ts";

const seed = seedOfRun();

type Given = ConstructorParameters<typeof ReplayCampaign>[1];

async function failureOf(one: number, given?: Given): Promise<string | undefined> {
  const campaign = new ReplayCampaign(one, given);
  try {
    await campaign.run(7);
    return undefined;
  } catch (error) {
    return `SEED=${one}\n${campaign.log.join("\n")}\n${String(error instanceof Error ? error.stack : error)}\n${JSON.stringify(error, undefined, 1).slice(0, 6000)}`;
  } finally {
    await campaign.end();
  }
}

test.each(Array.from({ length: 3 }, (_, i) => seed + i))(
  "loads, replays, undoings and erasures in any order, against the records themselves (SEED=%i)",
  async (one) => {
    expect(await failureOf(one)).toBeUndefined();
  },
);

/** Runs some with a defect, until it is found: by seeds of its own, so that it does not take long. Gives the seed. */
async function seedThatFinds(plant: () => () => void, given: Given): Promise<number | undefined> {
  const mend = plant();
  try {
    for (let one = 1; one < 9; one++) if ((await failureOf(one, given)) !== undefined) return one;
    return undefined;
  } finally {
    mend();
  }
}

function runNotListed(): () => void {
  // oxlint-disable-next-line typescript/unbound-method -- called with the instance below
  const { writeDecided } = IdStore.prototype;
  IdStore.prototype.writeDecided = async function patched(...args) {
    const run = await writeDecided.apply(this, args);
    return run && { ...run, sql: "", listed: () => undefined };
  };
  return () => {
    IdStore.prototype.writeDecided = writeDecided;
  };
}

/** What is restored at once when a run is listed. */
function recentNotRestored(): () => void {
  // oxlint-disable-next-line typescript/unbound-method -- called with the instance below
  const { listed, restore } = IdIndex.prototype;
  let isListed = false;
  IdIndex.prototype.listed = function patched(info) {
    listed.call(this, info);
    isListed = true;
    queueMicrotask(() => {
      isListed = false;
    });
  };
  IdIndex.prototype.restore = function patched(...args) {
    if (!isListed) restore.apply(this, args);
  };
  return () => {
    IdIndex.prototype.listed = listed;
    IdIndex.prototype.restore = restore;
  };
}

test.each([
  ["the run of decided ids is not listed", runNotListed, { ids: 15, recentIds: 5 }],
  ["recent ids keep what was known of them", recentNotRestored, { ids: 15, recentIds: 50 }],
] as const)("planted defect of a replay: %s", async (_, plant, given) => {
  const one = (await seedThatFinds(plant, given)) ?? Number.NaN;
  expect(one).not.toBeNaN();
  // And nothing else is.
  expect(await failureOf(one, given)).toBeUndefined();
});
