import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The streams of backfills; see docs/guide/backfill.md. */
const prefix = "backfill-";
/** Of the engine's time, where a backfill states none. */
export const defaultShare = 0.25;
const readAgainMs = 1_000;

export const isBackfill = (writer: string): boolean => writer.startsWith(prefix);

/** What share of the engine's time backfills may take: the greatest of those that wait. */
export class BackfillShares {
  readonly #directory: string;
  readonly #known = new Map<string, { share: number; atMs: number }>();

  /** @param dataDir its `backfill/<id>.json` states the share of the stream `backfill-<id>` */
  constructor(dataDir: string) {
    this.#directory = join(dataDir, "backfill");
  }

  of(writers: readonly string[], nowMs: number): number {
    return Math.max(0, ...writers.map((writer) => this.#of(writer, nowMs)));
  }

  #of(writer: string, nowMs: number): number {
    const known = this.#known.get(writer);
    if (known !== undefined && nowMs - known.atMs < readAgainMs) return known.share;
    const share = this.#read(writer.slice(prefix.length));
    this.#known.set(writer, { share, atMs: nowMs });
    return share;
  }

  #read(id: string): number {
    try {
      const { share } = JSON.parse(readFileSync(join(this.#directory, `${id}.json`), "utf8")) as {
        share?: unknown;
      };
      return typeof share === "number" && share > 0 && share <= 1 ? share : defaultShare;
    } catch {
      return defaultShare;
    }
  }
}
