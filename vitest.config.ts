import { defineConfig } from "vitest/config";

/** `npm test`: every suite that needs nothing but Node and npm. Long campaigns are named `*.long.test.ts`. */
export default defineConfig({
  test: {
    include: ["packages/**/*.test.ts", "bench/**/*.test.ts", "examples/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.long.test.ts"],
    // Long enough for a machine that is several times slower: it is there for what hangs.
    testTimeout: 240_000,
    hookTimeout: 120_000,
    pool: "forks",
    // One more than two cores can run at once: many tests wait, for a server or for a time to pass.
    maxWorkers: 3,
  },
});
