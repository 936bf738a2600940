import { defineConfig } from "vitest/config";

/** `npm test`: every suite that needs nothing but Node and npm. Long campaigns are named `*.long.test.ts`. */
export default defineConfig({
  test: {
    include: ["packages/**/*.test.ts", "bench/**/*.test.ts", "examples/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.long.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
