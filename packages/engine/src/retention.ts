import { WeirError } from "@weir/contract";
import type { LogStore, SegmentRef } from "@weir/log";
import type { Sql } from "./database.ts";
import type { ResolvedSettings } from "./settings.ts";

const page = 1_024;

/**
 * Removes consumed segments from the log, oldest first: those received longer ago than the retention, and however
 * young, those past the bytes that consumed segments may take. What is not committed is never removed.
 */
export class LogRetention {
  readonly #store: LogStore;
  readonly #settings: ResolvedSettings;
  /** Consumed segments that are still there, by stream, oldest first. */
  readonly #kept = new Map<string, SegmentRef[]>();
  #bytes = 0;

  constructor(store: LogStore, settings: ResolvedSettings) {
    this.#store = store;
    this.#settings = settings;
  }

  /** Finds the consumed segments that an earlier process left. */
  async recover(sql: Sql): Promise<void> {
    const offsets = await sql.rows<{ source: string; writer: string; number: number }>(
      "SELECT source, writer, number::DOUBLE AS number FROM db.weir.offsets",
    );
    for (const { source, writer, number } of offsets) {
      for (let after = 0; after < number;) {
        const refs = await this.#sealedAfter(source, writer, after);
        if (refs === undefined) {
          after++;
          continue;
        }
        const consumed = refs.filter((ref) => ref.number <= number);
        this.consumed(consumed);
        after = refs.at(-1)?.number ?? number;
      }
    }
  }

  /**
   * Undefined where the first segment is damaged. It was consumed and the raw zone has its records: it must not keep
   * the engine from starting. It goes when a younger one of its stream is removed.
   */
  async #sealedAfter(source: string, writer: string, after: number): Promise<SegmentRef[] | undefined> {
    try {
      return await this.#store.sealedAfter(source, writer, after, page);
    } catch (error) {
      if (error instanceof WeirError && error.code === "segment_corrupt") return undefined;
      throw error;
    }
  }

  /** Takes note of segments that a commit consumed. */
  consumed(refs: readonly SegmentRef[]): void {
    for (const ref of refs) {
      const key = `${ref.source}/${ref.writer}`;
      const stream = this.#kept.get(key);
      if (stream === undefined) this.#kept.set(key, [ref]);
      else stream.push(ref);
      this.#bytes += ref.bytes;
    }
  }

  /** Whether a consumed segment is still there, or may be. */
  has(source: string, writer: string, number: number): boolean {
    const oldest = this.#kept.get(`${source}/${writer}`)?.[0];
    return oldest !== undefined && oldest.number <= number;
  }

  get keptBytes(): number {
    return this.#bytes;
  }

  async run(nowMs: number): Promise<void> {
    const before = (nowMs - this.#settings.logRetentionMs) * 1000;
    for (const stream of this.#kept.values()) {
      let last: SegmentRef | undefined;
      for (let first = stream[0]; first !== undefined; first = stream[0]) {
        if (first.lastReceivedUs >= before && this.#bytes <= this.#settings.logRetentionBytes) break;
        last = first;
        stream.shift();
        this.#bytes -= first.bytes;
      }
      if (last !== undefined) await this.#store.remove(last);
    }
  }
}
