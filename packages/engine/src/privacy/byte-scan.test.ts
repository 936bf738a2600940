/** Invariant 8: nothing personal is in the clear outside the log. */
import { expect, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { scan } from "./byte-scan.fixture.ts";
import { needlesOf, personalProgram, recordsOf } from "./personal.fixture.ts";

const needles = [1, 2, 3].flatMap(needlesOf);

/** Loads records of three people, half of them before a restart, and looks at every byte, while the engine runs and after it. */
async function found(program: typeof personalProgram): Promise<string[]> {
  const harness = new Harness();
  try {
    await harness.open(program);
    await harness.load([1, 2].flatMap((n) => recordsOf(n, "v1")));
    const running = await scan(harness.dataDir, needles);
    await harness.open(program);
    await harness.load([2, 3].flatMap((n) => recordsOf(n, "v2")));
    expect(await harness.rows("SELECT count(*)::INTEGER FROM raw")).toEqual([[28]]);
    expect(await harness.rows("SELECT count(*)::INTEGER FROM ordered")).toEqual([[8]]);
    expect(await harness.rows("SELECT count(*)::INTEGER FROM customers")).toEqual([[3]]);
    expect((await harness.engine.verify()).ok).toBe(true);
    await harness.close();
    return [...running, ...(await scan(harness.dataDir, needles))];
  } finally {
    await harness.end();
  }
}

test("after events, captured rows, log lines and records that fail, no byte outside the log has a personal value", async () => {
  expect(await found(personalProgram)).toEqual([]);
});

test("planted defect: where values are not taken out, the scan finds them in every zone, and in the state", async () => {
  const files = await found({ ...personalProgram, privacy: { on: false, detect: false } });
  for (const place of [
    /^lake\/raw\/web/,
    /^lake\/raw\/db/,
    /^lake\/raw\/logs/,
    /^lake\/clean\/ordered/,
    /^lake\/clean\/app_logs/,
    /^lake\/quarantine/,
    /^state\/weir.duckdb:/,
  ])
    expect(files).toContainEqual(expect.stringMatching(place));
});
