/**
 * The long campaign over whole deployments: engine, collectors, supervisor and all of them together are killed, at
 * random moments and at named steps, while clients send; every acknowledged record must have its one outcome.
 */
import { collectFailpoints } from "@weir/collect";
import { logFailpoints } from "@weir/log";
import { seedOfRun } from "@weir/testkit";
import { expect, test } from "vitest";
import { Tree } from "./crash-tree.fixture.ts";
import type { TreeOptions } from "./crash-tree.fixture.ts";

const seed = seedOfRun();

async function withTree<T>(options: TreeOptions, run: (tree: Tree) => Promise<T>): Promise<T> {
  const tree = new Tree(options);
  try {
    return await run(tree);
  } finally {
    await tree.close();
  }
}

/** Kills in random order; a tree is restarted as a whole often enough that restarts of its parts stay prompt. */
async function killAtRandom(tree: Tree, rounds: number): Promise<string[]> {
  await tree.start();
  tree.send();
  for (let round = 0; round < rounds; round++) {
    for (let i = tree.chances.below(4); i > 0; i--) {
      await tree.progress(1 + tree.chances.below(200));
      await tree.killChild(tree.chances.pick(["engine", "engine", "c0", "c1"]));
    }
    await tree.progress(1 + tree.chances.below(200));
    if (tree.chances.in100(30)) await tree.killSupervisor();
    else await tree.killAll();
    await tree.start();
  }
  return (await tree.problems()).slice(0, 20);
}

test.each([1, 2, 3])(
  `killed at random, torn tails left behind, campaign %i (SEED=${seed})`,
  async (number) => {
    await withTree({ seed: seed + number }, async (tree) => {
      expect(await killAtRandom(tree, 6)).toEqual([]);
      console.log(`${tree.kills} kills, ${tree.ledger.acknowledgements} records acknowledged`);
    });
  },
);

test.each([4, 5])(
  `killed at random, power cut with the whole tree, campaign %i (SEED=${seed})`,
  async (number) => {
    await withTree({ seed: seed + number, powerFails: true }, async (tree) => {
      expect(await killAtRandom(tree, 6)).toEqual([]);
      console.log(`${tree.kills} kills, ${tree.ledger.acknowledgements} records acknowledged`);
    });
  },
);

/** Steps that come up again and again in a collector, and some of the engine's. */
const steps = [
  ...collectFailpoints.map((step) => `${step}:15`),
  ...logFailpoints.filter((step) => step.startsWith("log.append")).map((step) => `${step}:15`),
  ...logFailpoints.filter((step) => /^log\.(segment|seal)/.test(step)).map((step) => `${step}:3`),
  "engine.plan.recorded:3",
  "engine.lake.renamed:8",
  "engine.commit.before_commit:3",
  "engine.commit.after_commit:3",
  "log.remove.after_floor:2",
];

test.each([0, 1, 2])(`processes that die at named steps, third %i of them (SEED=${seed})`, async (third) => {
  await withTree({ seed: seed + third }, async (tree) => {
    for (const step of steps.filter((_, i) => i % 3 === third)) {
      await tree.start(step);
      if (tree.kills === 0) tree.send();
      await tree.diedByThemselves(3).catch((error: unknown) => {
        throw new Error(`${step} was not reached three times`, { cause: error });
      });
      await tree.killAll();
    }
    await tree.start();
    expect((await tree.problems()).slice(0, 20)).toEqual([]);
    console.log(`${tree.kills} kills, ${tree.ledger.acknowledgements} records acknowledged`);
  });
});

/** Records that are acknowledged, and then the power is gone before the engine has seen them. */
async function cutWhileEngineIsHeld(lying: RegExp | undefined): Promise<string[]> {
  const options = { seed, powerFails: true, ...(lying === undefined ? {} : { lying }) };
  return await withTree(options, async (tree) => {
    await tree.start();
    tree.send();
    await tree.progress(100);
    tree.holdEngine();
    await tree.progress(300);
    await tree.killAll();
    await tree.start();
    return (await tree.problems()).slice(0, 20);
  });
}

test(`the power is cut before the engine has seen what was acknowledged (SEED=${seed})`, async () => {
  expect(await cutWhileEngineIsHeld(undefined)).toEqual([]);
});

test(`planted defect: a collector whose syncs are lies loses what it acknowledged (SEED=${seed})`, async () => {
  const problems = await cutWhileEngineIsHeld(/\.open$/).catch((error: unknown) => [String(error)]);
  expect(problems.join("\n")).toMatch(/was acknowledged|segment_corrupt|engine_unavailable/);
});
