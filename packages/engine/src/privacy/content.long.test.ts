/** Replays of records that were loaded before there was a vault. */
import { afterEach, expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { internals, replay } from "../tasks/replay.fixture.ts";
import { numbers, outcomes, project, received, sale } from "./content.fixture.ts";

let harness: Harness;
afterEach(() => harness.end());

test("a replay of them by an unchanged program changes nothing, and what comes again is a duplicate still", async () => {
  harness = new Harness({ internals });
  await harness.open(project(false));
  await harness.load(numbers.map((n) => sale(n, n)));
  // Copies that were received later.
  await harness.load(
    numbers.map((n) => ({ ...sale(n, n), receivedUs: (received + 60_000) * 1000 })),
    "w1",
  );
  await harness.open(project(true));
  const rows = "SELECT * EXCLUDE (_content) FROM sold ORDER BY id";
  const before = await harness.rows(rows);
  // Of the copies first, whose records are loaded outside what is replayed.
  for (const from of [received + 60_000, received]) {
    const interval = { from: new Date(from).toISOString(), to: new Date(from + 30_000).toISOString() };
    expect((await replay(harness, { ...interval, swap: "same" })).state).toBe("done");
    expect(await harness.rows(rows)).toEqual(before);
  }
  await harness.load(
    numbers.map((n) => sale(n, n)),
    "w2",
  );
  expect(await outcomes(harness)).toEqual([[72, 24, 48]]);
  await harness.load(numbers.map((n) => sale(n, n + 100, 0)));
  expect(await harness.rows("SELECT count(*)::INTEGER, min(amount)::INTEGER FROM sold")).toEqual([[24, 100]]);
  expect((await harness.engine.verify()).ok).toBe(true);
});
