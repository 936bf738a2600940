/** Which files are merged: how often a byte is written again, and where it ends. */
import { expect, test } from "vitest";
import { mergeable } from "./compact.ts";
import type { SmallFile } from "./compact.ts";

const mb = 1_048_576;
const done = 128 * mb;
const dayMs = 86_400_000;

const file = (bytes: number, commit: number, atMs = commit * 1000): SmallFile => ({
  zone: "clean",
  name: "x",
  path: `clean/x/${commit}-${bytes}`,
  rows: 1,
  bytes,
  commit,
  atMs,
});

/** Commits files of a size one after the other, merging whenever that is due; gives the sizes, and the bytes written. */
function simulate(commits: number, bytes: number): { sizes: number[]; written: number } {
  let files: SmallFile[] = [];
  let written = 0;
  const merge = (nowMs: number): boolean => {
    const parts = mergeable(
      files.filter((one) => one.bytes < done),
      nowMs,
      dayMs,
    );
    if (parts === undefined || parts.length < 2) return false;
    const total = parts.reduce((sum, part) => sum + part.bytes, 0);
    written += total;
    files = [...files.filter((one) => !parts.includes(one)), file(total, parts.at(-1)?.commit ?? 0)];
    files.sort((a, b) => a.commit - b.commit);
    return true;
  };
  for (let commit = 1; commit <= commits; commit++) {
    files.push(file(bytes, commit));
    while (merge(commit * 1000));
  }
  while (merge(commits * 1000 + dayMs));
  return { sizes: files.map((one) => one.bytes), written };
}

test.each([
  [86_400, 10_000],
  [86_400, 60_000],
  [5_000, 2 * mb],
  [500, 40 * mb],
  [20, 300 * mb],
  [1, 5],
])(
  "%i commits of %i bytes end in files of 128 to 256 MB, each byte written again a few times",
  (commits, bytes) => {
    const { sizes, written } = simulate(commits, bytes);
    const total = commits * bytes;
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(total);
    // All but one are of the size that is aimed at, or were as large from the start.
    expect(sizes.filter((size) => size < done).length).toBeLessThanOrEqual(1);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(Math.max(bytes, 2 * done));
    expect(written / total).toBeLessThan(4);
  },
);

test("what is quiet and alone is left as it is", () => {
  expect(mergeable([file(5, 1)], 10 * dayMs, dayMs)).toBeUndefined();
  expect(mergeable([file(5, 1), file(done - 1, 2)], 10 * dayMs, dayMs)).toHaveLength(2);
  expect(mergeable([file(5, 1), file(done - 1, 2)], 3000, dayMs)).toBeUndefined();
});
