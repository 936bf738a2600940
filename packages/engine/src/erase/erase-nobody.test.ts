/** What becomes of values in records that name no subject; see docs/guide/erasure.md, "What it does not reach". */
import { compileProject, identity } from "@weir/compile";
import type { Program } from "@weir/compile";
import { Type, contract, pii, timestamp } from "@weir/contract";
import { afterEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import type { LogRecord } from "../harness.fixture.ts";

const Lead = contract("lead", {
  version: "1.0.0",
  owner: "tests",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    email: pii.email(),
    phone: pii.phone(),
    name: pii.name(),
  }),
});
const project = (isLinked: boolean): Program =>
  compileProject({
    name: "p",
    sources: { web: { contracts: [Lead] } },
    tables: isLinked ? { people: identity({ ids: [[Lead, ["email", "phone"]]] }) } : {},
  });
const lead = (id: string, email: string, phone: string, name: string): LogRecord => ({
  source: "web",
  sent: "lead",
  text: JSON.stringify({ id, at: "2026-03-01T00:00:00Z", email, phone, name }),
});
const jane = "jane@example.com";
const janesPhone = "+31 20 771";
const records = [
  lead("1", jane, janesPhone, "J. Doe"),
  lead("2", "joe@example.com", "+31 20 772", "J. Doe"),
  lead("3", jane, "+31 20 773", "Jane Doe"),
];

let harness: Harness;
afterEach(() => harness.end());

const knows = async (value: string): Promise<boolean> =>
  ((await harness.engine.vault?.findTokens(value)) ?? []).length > 0;
const tokens = async (): Promise<string> =>
  JSON.stringify([await harness.rows("FROM lead"), await harness.rows("FROM raw")]);

test.each([
  ["nothing links them: the one that was asked for goes from the vault, and of the others the tokens", false],
  ["an identity table links them: all go that it has, and those of others stay", true],
])("two values of one record, and %s", async (_, isLinked) => {
  harness = new Harness();
  await harness.open(project(isLinked));
  await harness.load(records);
  const [[phone = "", name = ""] = []] = (await harness.rows(
    "SELECT phone, name FROM lead WHERE id = '1'",
  )) as string[][];
  const done = await harness.engine.erasures.erase({ identifiers: [{ kind: "email", value: jane }] });
  expect(done).toMatchObject({ state: "erased", evidence: { vault: { subjects: isLinked ? 3 : 1 } } });
  expect(await harness.rows("SELECT id FROM lead")).toEqual([["2"]]);
  expect(await tokens()).not.toContain(phone);
  expect([await knows(jane), await knows(janesPhone), await knows("+31 20 773")]).toEqual([
    false,
    !isLinked,
    !isLinked,
  ]);
  // The name is another person's, too.
  expect(await tokens()).toContain(name);
  expect(await harness.engine.vault?.reveal([name])).toEqual(new Map([[name, "J. Doe"]]));
});
