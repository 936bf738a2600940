/** Killed where values become tokens: the same tokens, nothing lost, nothing in the clear. All steps are in the long test. */
import { afterEach, beforeEach, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { killedDestroying, killedTakingOut } from "./crash-steps.fixture.ts";

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.end());

test("killed while values are taken out", async () => {
  await killedTakingOut(harness, [
    "engine.vault.committed",
    "engine.privacy.lines",
    "engine.vault.index_listed",
  ]);
});

test("killed while a subject is destroyed: it is gone after the next start, and others are there", async () => {
  await killedDestroying(harness, ["engine.vault.rewritten", "engine.vault.index_rewritten"]);
});
