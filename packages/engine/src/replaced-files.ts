import { rmSync } from "node:fs";
import { failpoint } from "@weir/log";
import type { Lake } from "./lake.ts";

/**
 * Files that the manifest lists no more, until nobody can be reading them.
 *
 * A reader lists files and opens them later: between the two a file must stay, whatever the manifest says by then. A file
 * goes when the grace is over and every hold that was taken before it was replaced is released. After a crash the next
 * start's sweep removes it, as nobody reads then.
 */
export class ReplacedFiles {
  readonly #lake: Lake;
  readonly #graceMs: number;
  #files: { readonly path: string; readonly at: number; readonly turn: number }[] = [];
  readonly #holds = new Set<{ readonly turn: number }>();
  /** Counts replacements: clocks are too coarse to tell which of two came first. */
  #turn = 0;

  /** @param graceMs for readers that took no hold */
  constructor(lake: Lake, graceMs: number) {
    this.#lake = lake;
    this.#graceMs = graceMs;
  }

  /** Keeps every file that is listed now, until the returned function is called. To be taken before the manifest is read. */
  hold(): () => void {
    const hold = { turn: this.#turn };
    this.#holds.add(hold);
    return () => void this.#holds.delete(hold);
  }

  /** Takes note of files that the manifest does not list any more, once that is committed. */
  add(paths: readonly string[], nowMs: number): void {
    this.#turn++;
    for (const path of paths) this.#files.push({ path, at: nowMs, turn: this.#turn });
  }

  /** Removes the files that are due. */
  remove(nowMs: number): void {
    const oldestHold = Math.min(...[...this.#holds].map(({ turn }) => turn));
    const isDue = ({ at, turn }: { at: number; turn: number }): boolean =>
      nowMs - at >= this.#graceMs && turn <= oldestHold;
    for (const file of this.#files.filter(isDue)) this.#unlink(file.path);
    this.#files = this.#files.filter((file) => !isDue(file));
  }

  /** Removes all of them: nobody reads any more. */
  close(): void {
    for (const { path } of this.#files.splice(0)) this.#unlink(path);
  }

  #unlink(path: string): void {
    rmSync(this.#lake.path(path), { force: true });
    failpoint("engine.lake.file_removed");
  }
}
