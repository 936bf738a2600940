/** Contents of records: nobody without the vault can try texts against them, and those of records from before the vault still tell. */
import { compileProject } from "@weir/compile";
import { Type, contract, pii, timestamp } from "@weir/contract";
import { afterEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { numbers, outcomes, project, sale } from "./content.fixture.ts";

let harness: Harness;
afterEach(() => harness.end());

test("what is kept of a text that is not kept is no hash of it that anybody can compute", async () => {
  harness = new Harness();
  const signup = contract("signup", {
    version: "1.0.0",
    owner: "tests",
    id: "id",
    time: "at",
    fields: Type.Object({ id: Type.String(), at: timestamp(), email: pii.email(), note: Type.String() }),
  });
  await harness.open(compileProject({ name: "p", sources: { web: { contracts: [signup] } }, tables: {} }));
  const texts = [
    { email: "ann@example.com", note: "x" },
    { email: "", note: "call bob@example.com" },
    { email: "joe@example.com", note: String.raw`a "b"` },
    { email: "", note: "nothing" },
  ].map((rest, n) => JSON.stringify({ id: `i${n}`, at: "2026-01-01T00:00:00Z", ...rest }));
  await harness.load(texts.map((text) => ({ source: "web", sent: "signup", text })));
  const guesses = `SELECT hash(t) FROM (VALUES ${texts.map((text) => `('${text}')`).join(", ")}) g(t)`;
  const kept = [
    "SELECT count(*)::INTEGER, count(DISTINCT _content)::INTEGER FROM signup",
    "SELECT count(*)::INTEGER, count(content)::INTEGER FROM raw",
  ];
  expect(await Promise.all(kept.map((sql) => harness.rows(sql)))).toEqual([[[4, 4]], [[4, 3]]]);
  expect(await harness.rows(`SELECT id FROM signup WHERE _content IN (${guesses})`)).toEqual([]);
  expect(await harness.rows(`SELECT line FROM raw WHERE content IN (${guesses})`)).toEqual([]);
});

test("records from before the vault: the same again is a duplicate, and an earlier one takes the place of one", async () => {
  harness = new Harness();
  await harness.open(project(false));
  await harness.load(numbers.map((n) => sale(n, n)));
  await harness.open(project(true));
  // Of contents in no order half are less than another.
  await harness.load(numbers.map((n) => sale(n, n)));
  expect(await outcomes(harness)).toEqual([[48, 24, 24]]);
  expect(await harness.rows("SELECT count(*)::INTEGER FROM weir.superseded")).toEqual([[0]]);
  await harness.load(numbers.map((n) => sale(n, n + 100, 0)));
  expect(await harness.rows("SELECT count(*)::INTEGER, min(amount)::INTEGER FROM sold")).toEqual([[24, 100]]);
  await harness.load(numbers.map((n) => sale(n, n)));
  expect(await outcomes(harness)).toEqual([[96, 24, 72]]);
  expect(await harness.rows("SELECT count(*)::INTEGER, sum(n)::INTEGER FROM total")).toEqual([[24, 24]]);
  expect((await harness.engine.verify()).ok).toBe(true);
});
