/** Killed at each step at which values become tokens: the same tokens, nothing lost, nothing in the clear. */
import { afterEach, beforeEach, test } from "vitest";
import { Harness } from "../harness.fixture.ts";
import { killedDestroying, killedTakingOut } from "./crash-steps.fixture.ts";

let harness: Harness;
beforeEach(() => {
  harness = new Harness();
});
afterEach(() => harness.end());

const steps = [
  "engine.vault.attached",
  "engine.vault.tokens_made",
  "engine.vault.before_commit",
  "engine.vault.committed",
  "engine.vault.sealing_key",
  "engine.privacy.rows",
  "engine.privacy.lines",
  "engine.lake.written",
  "engine.stage.quarantine",
  "engine.commit.before_commit",
  "engine.commit.after_commit",
  "engine.vault.index_written",
  "engine.vault.index_listed",
  "engine.vault.index_merged",
];

test("killed at each step of taking values out", async () => {
  await killedTakingOut(harness, steps);
}, 600_000);

test("killed at each step of destroying a subject: it is gone after the next start, and others are there", async () => {
  await killedDestroying(harness, [
    "engine.vault.deleted",
    "engine.vault.rewritten",
    "engine.vault.replaced",
    "engine.vault.index_rewritten",
  ]);
}, 600_000);

test("killed before the old runs of the index are removed: it is gone after the next start", async () => {
  await killedDestroying(harness, ["engine.vault.index_relisted"]);
}, 600_000);
