import { expect, test } from "vitest";
import { Ledger, seeded } from "./crash.fixture.ts";
import { logFailpoints } from "./failpoint.ts";

const seed = Number(process.env["WEIR_SEED"] ?? Date.now() % 1_000_000);

test(`two hundred kills of one stream, at named steps and random moments, with the power lost each time (WEIR_SEED=${seed})`, async () => {
  const choose = seeded(seed);
  const ledger = new Ledger(seed);
  for (let kills = 0; kills < 200;) {
    const failpoint = `${logFailpoints[choose(logFailpoints.length)]}:${1 + choose(12)}`;
    const killed = await ledger.run(choose(2) === 0 ? { failpoint } : { killAfterAcks: 1 + choose(400) });
    if (killed) kills += 1;
    await ledger.settle();
  }
  expect(ledger.acknowledged).toBeGreaterThan(1000);
});
