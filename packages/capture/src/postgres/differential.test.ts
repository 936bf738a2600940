import { postgresMissing, seedOfRun } from "@weir/testkit";
import { afterAll, describe, test } from "vitest";
import { closeServers } from "./database.fixture.ts";
import { differential } from "./differential.fixture.ts";

afterAll(closeServers);

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const missing = postgresMissing(major);
  const seed = seedOfRun();
  test.skipIf(missing !== undefined)(
    `a random workload with changes of definitions, restarts and crashes: what was captured is what the tables hold (seed ${seed})`,
    async () => {
      await differential({ major, seed, steps: 60 });
    },
    180_000,
  );
});
