import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";
import type { TestSpecification } from "vitest/node";

/** Files that take minutes begin first, so that nobody waits for one of them in the end. */
const longest = ["pages.test.ts", "demo.test.ts", "crash.test.ts", "crash-faults.test.ts"];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      longest.some((name) => moduleId.endsWith(`/${name}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

/** `npm test`: every suite that needs nothing but Node and npm. Long campaigns are named `*.long.test.ts`. */
export default defineConfig({
  test: {
    include: ["packages/**/*.test.ts", "bench/**/*.test.ts", "examples/**/*.test.ts"],
    exclude: ["**/node_modules/**", "**/*.long.test.ts"],
    // Long enough for a machine that is several times slower: it is there for what hangs.
    testTimeout: 240_000,
    hookTimeout: 120_000,
    pool: "forks",
    // (With three on two cores it takes as long: most of the time is work, of processes that start.)
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
