import type { LogStore, SegmentHead } from "@weir/log";
import { isWeirError } from "./messages.ts";

/**
 * Seals the open segments of writers that are dead and that nobody opens again: of a source that left the project, of
 * one collector among fewer now. Without it their last records, acknowledged, would wait for ever. Streams whose writer
 * lives are left alone.
 *
 * @param heads the streams to look at; those without an open segment are skipped
 * @returns how many segments were sealed
 */
export async function sealAbandoned(store: LogStore, heads: readonly SegmentHead[]): Promise<number> {
  let sealed = 0;
  for (const { source, writer, open } of heads) {
    if (open === undefined) continue;
    try {
      await (await store.openWriter(source, writer)).close();
      sealed += 1;
    } catch (error) {
      if (!isWeirError(error) || error.code !== "log_writer_locked") throw error;
    }
  }
  return sealed;
}

/** Far longer than a living writer leaves a segment open (250 ms) and than a collector takes to start again. */
const patienceMs = 3_000;

/**
 * Looks for abandoned segments every few seconds: an open segment that is the same in two looks. Taking a stream's
 * lock for the time of a look could make a collector that just starts fail once, hence the second look.
 */
export class AbandonedSegments {
  readonly #store: LogStore;
  readonly #onError: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  #before = new Map<string, number>();
  #looking: Promise<void> = Promise.resolve();
  #busy = false;

  constructor(store: LogStore, onError: (error: unknown) => void) {
    this.#store = store;
    this.#onError = onError;
    this.#timer = setInterval(() => {
      if (this.#busy) return;
      this.#busy = true;
      this.#looking = this.#look();
    }, patienceMs).unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  async #look(): Promise<void> {
    try {
      const heads = (await this.#store.heads()).filter((head) => head.open !== undefined);
      const same = heads.filter((head) => this.#before.get(`${head.source}/${head.writer}`) === head.open);
      this.#before = new Map(heads.map((head) => [`${head.source}/${head.writer}`, head.open ?? 0]));
      await sealAbandoned(this.#store, same);
    } catch (error) {
      this.#onError(error);
    } finally {
      this.#busy = false;
    }
  }
}
