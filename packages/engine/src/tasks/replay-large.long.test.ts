/** A replay that changes the records of more ids than one can take: it fails and leaves all as it is, and shorter ones do it. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { after, at, before, internals, records, replay, state } from "./replay.fixture.ts";

vi.mock("../replay/ids.ts", async (original) => ({ ...(await original<object>()), mostIds: 12 }));

let harness: Harness;
afterEach(() => harness.end());

test("it says so, nothing changes, and replays of shorter intervals give the same as one", async () => {
  harness = new Harness({ internals });
  await harness.open(before);
  let n = 0;
  await harness.load(records(60, 7, () => Math.floor(n++ / 10)));
  await harness.open(after);
  const was = await state(harness);
  const whole = await replay(harness, { from: at(0), to: at(6), swap: "always" });
  expect(whole).toMatchObject({
    state: "failed",
    error: expect.stringMatching(/records of \d+ ids change; a replay takes 12/) as string,
  });
  expect(await state(harness)).toEqual(was);
  const shadows = join(harness.dataDir, "state", "shadow");
  expect(existsSync(shadows) ? readdirSync(shadows) : []).toEqual([]);
  for (let hours = 0; hours < 6; hours++) {
    const part = await replay(harness, { from: at(hours), to: at(hours + 1), swap: "always" });
    expect(part).toMatchObject({ state: "done", error: null });
  }
  const parts = await state(harness);
  const fresh = new Harness({ internals });
  try {
    await fresh.open(after);
    n = 0;
    await fresh.load(records(60, 7, () => Math.floor(n++ / 10)));
    expect(parts).toMatchObject({ ...(await state(fresh)), counts: expect.anything() as unknown });
  } finally {
    await fresh.end();
  }
});
