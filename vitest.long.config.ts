import { defineConfig } from "vitest/config";

/** `npm run test:long`: campaigns that take minutes. */
export default defineConfig({
  test: {
    include: ["packages/**/*.long.test.ts", "examples/**/*.long.test.ts"],
    testTimeout: 3_600_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 1,
  },
});
