import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isJsonObject } from "@weir/contract";

/** Requests by hour since the epoch. */
export type Hours = ReadonlyMap<number, number>;

/** Whose file live capture's is. */
export const liveReader = "live";

/**
 * What each reader of a source has sent: live capture, and backfills of intervals, which are processes of their own. A file each,
 * that its reader writes before a request is sent and the others read, so that together they keep within what the source may use.
 *
 * Not synced: a reader's cursor has its own requests too. Two readers that look at the same moment may each send one request too many.
 */
export class UsageFiles {
  readonly #directory: string;
  readonly #reader: string;

  /** @param stateDir of the source */
  constructor(stateDir: string, reader: string) {
    this.#directory = join(stateDir, "requests");
    this.#reader = reader;
  }

  own(): Hours {
    return this.#read(this.#fileOf(this.#reader));
  }

  write(hours: Hours): void {
    const path = this.#fileOf(this.#reader);
    mkdirSync(this.#directory, { recursive: true });
    writeFileSync(`${path}.new`, JSON.stringify(Object.fromEntries(hours)));
    renameSync(`${path}.new`, path);
  }

  /** Requests of the others since an hour; of those that have sent none since then, nothing is kept. */
  others(sinceHour: number): { live: number; backfills: number } {
    const found = { live: 0, backfills: 0 };
    for (const name of this.#names()) {
      const reader = name.slice(0, -".json".length);
      if (reader === this.#reader) continue;
      const path = this.#fileOf(reader);
      const sent = [...this.#read(path)].reduce((sum, [hour, n]) => (hour < sinceHour ? sum : sum + n), 0);
      if (reader === liveReader) found.live += sent;
      else if (sent > 0) found.backfills += sent;
      else rmSync(path, { force: true });
    }
    return found;
  }

  #names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => name.endsWith(".json"));
    } catch {
      return [];
    }
  }

  #fileOf(reader: string): string {
    return join(this.#directory, `${reader}.json`);
  }

  #read(path: string): Hours {
    try {
      const hours: unknown = JSON.parse(readFileSync(path, "utf8"));
      const entries = isJsonObject(hours) ? Object.entries(hours) : [];
      return new Map(entries.flatMap(([hour, n]) => (typeof n === "number" ? [[Number(hour), n]] : [])));
    } catch {
      return new Map();
    }
  }
}
