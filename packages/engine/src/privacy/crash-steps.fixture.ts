/** Engines that die while they take personal values out, or destroy subjects. */
import { TestChild, bundled } from "@weir/testkit";
import { expect } from "vitest";
import { Database } from "../database.ts";
import type { Harness } from "../harness.fixture.ts";
import { scan } from "./byte-scan.fixture.ts";
import { needlesOf, personalProgram, recordsOf } from "./personal.fixture.ts";
import { Vault } from "./vault.ts";
import type { FoundToken } from "./vault.ts";

const fixture = new URL("crash-privacy.fixture.ts", import.meta.url);

async function dieAt(harness: Harness, failpoint: string, subjects: readonly string[] = []): Promise<void> {
  const child = TestChild.start(await bundled(fixture), {
    args: [harness.dataDir, ...subjects],
    env: { WEIR_FAILPOINT: `${failpoint}:1` },
  });
  const { signal } = await child.ending(120_000);
  expect([failpoint, signal, child.noise]).toEqual([failpoint, "SIGKILL", ""]);
}

/** What the vault says of values, while no engine has it. */
async function tokensOf(harness: Harness, values: readonly string[]): Promise<FoundToken[][]> {
  const state = `${harness.dataDir}/state`;
  const database = await Database.open(`${state}/weir.duckdb`, `${state}/tmp`, { memoryLimit: "512MB" });
  try {
    const vault = await Vault.open({ database, dataDir: harness.dataDir });
    const found: FoundToken[][] = [];
    for (const value of values) found.push(await vault.findTokens(value));
    return found;
  } finally {
    await database.close();
  }
}

/** Kills engines at steps of taking values out, and checks after each that the vault has the tokens that it had, and the lake nothing in the clear. */
export async function killedTakingOut(harness: Harness, steps: readonly string[]): Promise<void> {
  const known = new Map<string, string>();
  for (const [i, step] of steps.entries()) {
    // One who is known from before, and one who is not.
    await harness.append([...recordsOf(i, `v${i}`), ...recordsOf(i + 1, `v${i}`)]);
    await harness.seal();
    await dieAt(harness, step);
    expect(await scan(harness.dataDir, [i, i + 1].flatMap(needlesOf))).toEqual([]);
    const emails = Array.from({ length: i + 2 }, (_, n) => needlesOf(n)[0] ?? "");
    for (const [n, found] of (await tokensOf(harness, emails)).entries()) {
      const token = found[0]?.token;
      const before = known.get(emails[n] ?? "");
      if (before !== undefined) expect(token).toBe(before);
      if (token !== undefined) known.set(emails[n] ?? "", token);
    }
  }
  const people = steps.length + 1;
  await harness.open(personalProgram);
  await harness.drain();
  expect((await harness.engine.verify()).ok).toBe(true);
  const rows = (await harness.rows("SELECT DISTINCT email FROM ordered")).map(String);
  expect(rows).toEqual(expect.arrayContaining([...known.values()]));
  expect(rows).toHaveLength(people);
  const texts = (await harness.rows("SELECT text FROM raw WHERE error IS NULL AND contract = 'ordered'")).map(
    String,
  );
  const restored = await harness.engine.vault!.restoreTexts(texts);
  const emails = restored.map((text) => (JSON.parse(text ?? "{}") as { email?: string }).email);
  expect(emails).toHaveLength(steps.length * 6);
  expect(new Set(emails).size).toBe(2 * people);
  await harness.close();
  expect(await scan(harness.dataDir, Array.from({ length: people }, (_, n) => needlesOf(n)).flat())).toEqual(
    [],
  );
}

/** Kills engines at steps of destroying subjects: one subject a step. */
export async function killedDestroying(harness: Harness, steps: readonly string[]): Promise<void> {
  await harness.append([1, 2, 3, 4].flatMap((n) => recordsOf(n, "v1")));
  await harness.seal();
  await harness.open(personalProgram);
  await harness.drain();
  await harness.close();
  const users = [1, 2, 3, 4].map((n) => needlesOf(n)[3] ?? "");
  const pseudonyms = (await tokensOf(harness, users)).map((found) => found[0]?.token ?? "");
  for (const [i, step] of steps.entries()) {
    await dieAt(harness, step, [pseudonyms[i] ?? ""]);
    const now = (await tokensOf(harness, users)).map((found) => found.length);
    expect([step, now]).toEqual([step, users.map((_, n) => (n <= i ? 0 : 1))]);
  }
  await harness.open(personalProgram);
  const values = await harness.engine.vault!.reveal(pseudonyms);
  const others = pseudonyms.map((token, n) => [token, users[n] ?? ""] as const).slice(steps.length);
  expect(values).toEqual(new Map(others));
  expect((await harness.engine.verify()).ok).toBe(true);
}
