import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join, relative, resolve, sep } from "node:path";
import type { Contract } from "@weir/contract";
import type { FilesSource } from "./declare.ts";
import { globTest } from "./glob.ts";
import { type FileStamp, stampOf } from "./open-file.ts";

/** A file that is there. */
export interface FoundFile {
  /** Relative to the source's directory, with `/`. */
  readonly path: string;
  readonly absolute: string;
  readonly stamp: FileStamp;
  readonly contract: Contract;
  /** What says that it is complete is there; undefined where the source does not ask for that. */
  readonly isReady: boolean | undefined;
}

/** Endings of files that are still being written, by the conventions of rsync, curl, browsers and many exporters. */
const unfinished = /(\.(tmp|temp|part|partial|filepart|crdownload|download|inprogress)|~)$/i;

const statsAtOnce = 64;

/** Lists what a source's patterns match. */
export class DropDirectory {
  readonly root: string;
  readonly #feeds: readonly { readonly contract: Contract; readonly matches: (path: string) => boolean }[];
  readonly #isDeep: boolean;
  readonly #ready: string | undefined;
  /** Where files that were read go. */
  readonly moved: string | undefined;

  constructor({ path, feeds, ready, after }: FilesSource, baseDir: string) {
    this.root = resolve(baseDir, path);
    this.#ready = ready;
    this.moved = typeof after === "object" ? resolve(this.root, after.move) : undefined;
    this.#isDeep = feeds.some(({ patterns }) => patterns.some((pattern) => /\/|\*\*/.test(pattern)));
    this.#feeds = feeds.map(({ patterns, contract }) => {
      const tests = patterns.map(globTest);
      return { contract, matches: (one) => tests.some((test) => test(one)) };
    });
  }

  /** All files that match, oldest change first. Hidden ones, and those that are still being written, are none. */
  async list(): Promise<FoundFile[]> {
    const names: string[] = [];
    await this.#walk(this.root, names);
    const all = new Set(names);
    const found: FoundFile[] = [];
    // A network file system answers each in its own time, and many at once.
    for (let at = 0; at < names.length; at += statsAtOnce) {
      const some = await Promise.all(names.slice(at, at + statsAtOnce).map((path) => this.#look(path, all)));
      for (const file of some) if (file !== undefined) found.push(file);
    }
    return found.sort(
      (a, b) => Number(BigInt(a.stamp.mtimeNs) - BigInt(b.stamp.mtimeNs)) || (a.path < b.path ? -1 : 1),
    );
  }

  /** The file, if it is one that a pattern matches. */
  async #look(path: string, all: ReadonlySet<string>): Promise<FoundFile | undefined> {
    if (this.#ready !== undefined && path.endsWith(this.#ready)) return undefined;
    const contract = this.#feeds.find(({ matches }) => matches(path))?.contract;
    if (contract === undefined) return undefined;
    const absolute = join(this.root, path);
    const stats = await stat(absolute, { bigint: true }).catch(() => undefined);
    // Gone since it was listed, or no file: a link to a directory, a pipe.
    if (stats === undefined || !stats.isFile()) return undefined;
    const isReady = this.#ready === undefined ? undefined : all.has(path + this.#ready);
    return { path, absolute, stamp: stampOf(stats), contract, isReady };
  }

  async #walk(directory: string, names: string[]): Promise<void> {
    let entries: Dirent[];
    try {
      entries = await readdir(directory, { withFileTypes: true });
    } catch (error) {
      // A subdirectory may go while its parent is listed.
      if (directory !== this.root && (error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    for (const entry of entries) {
      if (entry.name.startsWith(".") || unfinished.test(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) {
        if (this.#isDeep && path !== this.moved) await this.#walk(path, names);
      } else names.push(relative(this.root, path).replaceAll(sep, "/"));
    }
  }
}
