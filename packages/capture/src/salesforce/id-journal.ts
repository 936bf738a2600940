import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { WeirError } from "@weir/contract";

/** Ids of a partition are held in memory together: 64 of them keep ten million ids at 20 MB. */
const partitions = 64;

export interface Difference {
  /** Known, and not there. */
  readonly missing: readonly string[];
  /** There, and not known. */
  readonly unknown: readonly string[];
  readonly known: number;
}

/**
 * The ids of an object's rows that have been captured, in a file: lines `+id` and `-id`, of which the last counts. Only with it can rows be
 * found that are gone without a trace, and deletions be left out that were captured already. If it is lost, a comparison fills it anew.
 */
export class IdJournal {
  readonly #path: string;

  constructor(stateDir: string, object: string) {
    this.#path = join(stateDir, `${object}.ids`);
  }

  exists(): boolean {
    return existsSync(this.#path);
  }

  /**
   * Durable when it returns. Adding none only makes sure that there is a file.
   *
   * @throws WeirError `state_disk_full`, `capture_failed`
   */
  add(ids: readonly string[], sign: "+" | "-"): void {
    if (ids.length === 0 && this.exists()) return;
    try {
      mkdirSync(dirname(this.#path), { recursive: true });
      const file = openSync(this.#path, "a");
      try {
        writeFileSync(file, ids.map((id) => `${sign}${id}\n`).join(""));
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (cause) {
      const isFull = (cause as NodeJS.ErrnoException).code === "ENOSPC";
      const message = "The file of captured ids cannot be written.";
      throw new WeirError(isFull ? "state_disk_full" : "capture_failed", message, {
        where: this.#path,
        cause,
      });
    }
  }

  /** Those of the ids that were captured and not deleted since; all of them if there is no file to tell. */
  async known(ids: readonly string[]): Promise<Set<string>> {
    if (ids.length === 0 || !this.exists()) return new Set(ids);
    const asked = new Set(ids);
    const known = new Set<string>();
    await this.#each((lines) => {
      for (const line of lines) {
        const id = line.slice(1);
        if (!asked.has(id)) continue;
        if (line.startsWith("+")) known.add(id);
        else known.delete(id);
      }
      return Promise.resolve();
    });
    return known;
  }

  /**
   * Compares with the ids that there are.
   *
   * @param listed all ids, in any order, in batches
   */
  async compare(listed: AsyncIterable<readonly string[]>): Promise<Difference> {
    const scratch = new Scratch(`${this.#path}.compare`);
    try {
      await scratch.open();
      for await (const ids of listed)
        await scratch.write(
          "listed",
          ids.map((id) => `+${id}`),
        );
      if (existsSync(this.#path)) await this.#each((lines) => scratch.write("known", lines));
      return await scratch.difference();
    } finally {
      await scratch.remove();
    }
  }

  /** Writes the file anew, without what later lines took back. Durable when it resolves. */
  async compact(): Promise<void> {
    if (!existsSync(this.#path)) return;
    const scratch = new Scratch(`${this.#path}.compare`);
    const draft = `${this.#path}.new`;
    try {
      await scratch.open();
      await this.#each((lines) => scratch.write("known", lines));
      const file = await open(draft, "w");
      try {
        for (let p = 0; p < partitions; p++) {
          const ids = await scratch.ids("known", p);
          await file.write([...ids].map((id) => `+${id}\n`).join(""));
        }
        await file.sync();
      } finally {
        await file.close();
      }
      renameSync(draft, this.#path);
    } finally {
      await scratch.remove();
    }
  }

  async #each(take: (lines: readonly string[]) => Promise<void>): Promise<void> {
    const file = await open(this.#path, "r");
    try {
      let batch: string[] = [];
      for await (const line of file.readLines({ autoClose: false })) {
        // A line that a crash cut short names no row; its rows are read again.
        if (line.length === 19) batch.push(line);
        if (batch.length === 10_000) {
          await take(batch);
          batch = [];
        }
      }
      await take(batch);
    } finally {
      await file.close();
    }
  }
}

/** Lines by partition, on disk, for the time of one comparison. */
class Scratch {
  readonly #directory: string;
  readonly #files = new Map<string, FileHandle>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async open(): Promise<void> {
    // What an interrupted comparison left.
    rmSync(this.#directory, { recursive: true, force: true });
    mkdirSync(this.#directory, { recursive: true });
    for (const side of ["known", "listed"]) {
      for (let p = 0; p < partitions; p++) {
        this.#files.set(`${side} ${p}`, await open(join(this.#directory, `${side}-${p}`), "w+"));
      }
    }
  }

  /** Takes lines, each a sign and an id. */
  async write(side: "known" | "listed", lines: readonly string[]): Promise<void> {
    const parts: string[][] = Array.from({ length: partitions }, () => []);
    for (const line of lines) parts[partitionOf(line)]?.push(line);
    for (const [p, part] of parts.entries()) {
      if (part.length > 0) await this.#files.get(`${side} ${p}`)?.write(`${part.join("\n")}\n`);
    }
  }

  async ids(side: "known" | "listed", partition: number): Promise<Set<string>> {
    const ids = new Set<string>();
    const file = this.#files.get(`${side} ${partition}`);
    if (file === undefined) return ids;
    for await (const line of file.readLines({ start: 0, autoClose: false })) {
      if (line.startsWith("+")) ids.add(line.slice(1));
      else ids.delete(line.slice(1));
    }
    return ids;
  }

  async difference(): Promise<Difference> {
    const missing: string[] = [];
    const unknown: string[] = [];
    let count = 0;
    for (let p = 0; p < partitions; p++) {
      const known = await this.ids("known", p);
      const listed = await this.ids("listed", p);
      count += known.size;
      for (const id of known) if (!listed.has(id)) missing.push(id);
      for (const id of listed) if (!known.has(id)) unknown.push(id);
    }
    return { missing, unknown, known: count };
  }

  async remove(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
    this.#files.clear();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** By the last characters of the id (before the three that only check it), which count up. */
function partitionOf(line: string): number {
  const end = line.length - 4;
  return (line.charCodeAt(end) * 31 + line.charCodeAt(end - 1) * 7 + line.charCodeAt(end - 2)) % partitions;
}
