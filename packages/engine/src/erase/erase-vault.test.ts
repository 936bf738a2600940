import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { dieAt } from "./erase-kill.fixture.ts";
import { asked, jane, joe, program, records, restartNames, signup } from "./erase-private.fixture.ts";

let harness: Harness;
beforeEach(async () => {
  restartNames();
  harness = new Harness();
  await harness.open(program);
  harness.engine.start();
});
afterEach(() => harness.end());

const problems = async (): Promise<unknown> => (await harness.engine.verify()).checks.filter(({ ok }) => !ok);

function filesWith(words: readonly string[]): string[] {
  const files = readdirSync(harness.dataDir, { recursive: true, withFileTypes: true });
  const paths = files
    .filter((file) => file.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(harness.dataDir.length + 1));
  return paths.filter((path) => {
    const bytes = readFileSync(join(harness.dataDir, path));
    return words.some((word) => bytes.includes(word));
  });
}

test("a person whose values are tokens is erased by a value, with what the vault has", async () => {
  await harness.load(records());
  const tokens = await harness.rows(
    "SELECT DISTINCT email FROM signup WHERE device = 'jane-phone' AND email IS NOT NULL",
  );
  const [[token = ""] = []] = tokens as string[][];
  const [[pseudonym = ""] = []] = (await harness.rows(
    "SELECT DISTINCT user FROM signup WHERE device = 'jane-phone' AND user IS NOT NULL",
  )) as string[][];
  const plan = await harness.engine.erasures.plan(asked);
  expect(plan.identifiers.map(({ kind, value }) => `${kind} ${value}`).toSorted()).toEqual([
    "device jane-phone",
    `email ${jane}`,
    "subject 71001",
    "user 71001",
  ]);
  const done = await harness.engine.erasures.erase(asked);
  expect(done).toMatchObject({
    state: "erased",
    evidence: {
      zones: { clean: 5, raw: 6, quarantine: 1 },
      vault: { subjects: 1, keys: 1, proof: { decrypted: 0 } },
    },
  });
  expect(await harness.rows("SELECT n::INT FROM plans")).toEqual([[1]]);
  expect(await harness.rows("SELECT count(*)::INT FROM customers_history")).toEqual([[1]]);
  expect(await harness.rows("SELECT count(*)::INT FROM quarantine")).toEqual([[1]]);
  expect(await harness.engine.vault?.reveal([token, pseudonym])).toEqual(new Map());
  expect(await harness.engine.vault?.findTokens(jane)).toEqual([]);
  expect(await harness.engine.vault?.findTokens(joe)).toHaveLength(1);
  expect(await problems()).toEqual([]);
  // Known by what she was, as the vault knows nothing of her any more.
  await harness.load(records());
  expect(await harness.rows("SELECT n::INT FROM plans")).toEqual([[2]]);
  expect(await harness.rows("SELECT count(*)::INT FROM customers_history")).toEqual([[2]]);
  expect(await harness.engine.vault?.findTokens(jane)).toEqual([]);
  expect(await problems()).toEqual([]);
  await harness.open(program);
  await harness.close();
  const words = [jane, "jane-phone", "71001", token, pseudonym];
  expect(filesWith(words).filter((path) => !path.startsWith("log/"))).toEqual([]);
});

test("of a value that several persons have the vault cannot tell whose it is: it leads to none of them", async () => {
  await harness.load([
    signup({ user: 1, email: "family@example.com" }),
    signup({ user: 2, email: "family@example.com" }),
    signup({ user: 1, plan: "b" }),
  ]);
  await harness.engine.erasures.erase({ identifiers: [{ kind: "email", value: "family@example.com" }] });
  expect(await harness.rows("SELECT plan, n::INT FROM plans")).toEqual([["b", 1]]);
  expect(await problems()).toEqual([]);
});

test("an address is found in the vault however it is written, and no form of it is left there", async () => {
  await harness.load([
    signup({ email: "Ann@Example.com" }),
    signup({ email: "ann@example.com" }),
    signup({ user: 3, email: " ann@example.com " }),
    signup({ user: 3, plan: "b" }),
    signup({ email: "joann@example.com", plan: "c" }),
  ]);
  const values = ["Ann@Example.com", "ann@example.com", " ann@example.com "];
  const tokens = (await harness.rows("SELECT email FROM signup WHERE email IS NOT NULL")).map(String);
  await harness.engine.erasures.erase({ identifiers: [{ kind: "email", value: "ANN@example.com" }] });
  expect(await harness.rows("SELECT plan FROM plans")).toEqual([["c"]]);
  for (const value of values) expect(await harness.engine.vault?.findTokens(value)).toEqual([]);
  expect(await harness.engine.vault?.reveal(tokens)).toHaveProperty("size", 1);
  expect(await problems()).toEqual([]);
});

test.each([
  "engine.erase.after_commit",
  "engine.vault.deleted",
  "engine.vault.replaced",
  "engine.erase.destroyed",
])("killed at %s, the next start destroys what the vault has", async (step) => {
  await harness.load(records());
  await harness.close();
  await dieAt(harness.dataDir, "private", `${step}:1`);
  await harness.open(program);
  harness.engine.start();
  expect(await harness.engine.erasures.erase(asked)).toMatchObject({ id: "e1", state: "erased" });
  const { evidence } = await harness.engine.erasures.show("e1");
  expect(evidence?.vault).toMatchObject({ proof: { decrypted: 0 } });
  expect(await harness.engine.vault?.findTokens(jane)).toEqual([]);
  expect(await problems()).toEqual([]);
  await harness.open(program);
  await harness.close();
  const words = [jane, "jane-phone", "71001"];
  expect(filesWith(words).filter((path) => !path.startsWith("log/"))).toEqual([]);
});
