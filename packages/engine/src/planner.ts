import type { LogStore, SegmentRef } from "@weir/log";
import { failpoint } from "@weir/log";
import { WeirError } from "@weir/contract";
import { text } from "@weir/compile";
import type { Sql } from "./database.ts";
import type { ResolvedSettings } from "./settings.ts";

/** The segments that one commit consumes. Batches are numbered without gaps; a batch's number is its commit's. */
export interface BatchPlan {
  readonly batch: number;
  readonly segments: readonly SegmentRef[];
}

interface Stream {
  readonly source: string;
  readonly writer: string;
  /** The last segment in a plan. */
  planned: number;
  /** Sealed segments that are not in a plan, in order. */
  waiting: SegmentRef[];
}

const maxSegmentsABatch = 512;
const streamsEveryMs = 1_000;

/**
 * Decides which segments a batch consumes, and writes that down before anything is done with them: a batch that a
 * crash interrupts runs again with exactly the same records and file names.
 *
 * Invariant: for each stream, plans cover consecutive segments, each segment is in one plan, and plans are
 * committed in order.
 */
export class Planner {
  readonly #store: LogStore;
  readonly #sql: Sql;
  readonly #settings: ResolvedSettings;
  readonly #streams = new Map<string, Stream>();
  #streamsAt = -Infinity;
  #next = 1;
  #unfinished: BatchPlan[] = [];
  #waitingSince: number | undefined;

  constructor(store: LogStore, sql: Sql, settings: ResolvedSettings) {
    this.#store = store;
    this.#sql = sql;
    this.#settings = settings;
  }

  /** Reads where the state stands and which plans a crash left open. @throws WeirError `segment_missing`, `segment_corrupt` */
  async recover(): Promise<void> {
    const { last } = await this.#sql.row<{ last: number }>(
      `SELECT coalesce(max("commit"), 0)::DOUBLE AS last FROM db.weir.commits`,
    );
    this.#next = last + 1;
    const offsets = await this.#sql.rows<{ source: string; writer: string; number: number }>(
      "SELECT source, writer, number::DOUBLE AS number FROM db.weir.offsets",
    );
    for (const { source, writer, number } of offsets) this.#stream(source, writer).planned = number;
    const plans = await this.#sql.rows<PlanRow>(
      `SELECT batch::DOUBLE AS batch, source, writer, first_number::DOUBLE AS first, last_number::DOUBLE AS last
       FROM db.weir.plans ORDER BY batch, source, writer`,
    );
    for (const batch of new Set(plans.map((plan) => plan.batch))) {
      const segments: SegmentRef[] = [];
      for (const plan of plans.filter((row) => row.batch === batch))
        segments.push(...(await this.#segmentsOf(plan)));
      this.#unfinished.push({ batch, segments });
      this.#next = batch + 1;
    }
    await this.#checkHeads();
  }

  /**
   * A log that ends before what is committed was emptied or replaced: its next segments would get numbers that the state
   * takes for consumed, and be passed over.
   */
  async #checkHeads(): Promise<void> {
    const heads = new Map(
      (await this.#store.heads()).map((head) => [`${head.source}/${head.writer}`, head.sealed]),
    );
    for (const [key, { planned }] of this.#streams) {
      const sealed = heads.get(key) ?? 0;
      if (sealed >= planned) continue;
      throw new WeirError(
        "segment_missing",
        `The log of ${key} ends at segment ${sealed}; ${planned} is committed.`,
        {
          where: key,
          remedy:
            "Restore the log, or move the state away to build it anew from the log that is there. New records would be passed over.",
        },
      );
    }
  }

  async #segmentsOf({ source, writer, first, last }: PlanRow): Promise<SegmentRef[]> {
    const segments = await this.#store.sealedAfter(source, writer, first - 1, last - first + 1);
    const found = segments.findIndex(({ number }, at) => number !== first + at);
    const missing = first + (found < 0 ? segments.length : found);
    if (missing <= last) {
      // If it is there and damaged, this says so: a list ends before a segment that cannot be described.
      await this.#store.sealedAfter(source, writer, missing - 1, 1);
      throw new WeirError(
        "segment_missing",
        `Segment ${missing} of ${source}/${writer} is not in the log. It is in a batch that was planned (segments ${first} to ${last}) and not committed.`,
        { where: `${source}/${writer}/${missing}` },
      );
    }
    this.#stream(source, writer).planned = last;
    return segments;
  }

  /** Records and bytes that are sealed but in no plan. */
  get waiting(): { segments: number; records: number; bytes: number; oldestReceivedUs: number | undefined } {
    const all = [...this.#streams.values()].flatMap((stream) => stream.waiting);
    return {
      segments: all.length,
      records: all.reduce((sum, ref) => sum + ref.records, 0),
      bytes: all.reduce((sum, ref) => sum + ref.bytes, 0),
      oldestReceivedUs: all.length === 0 ? undefined : Math.min(...all.map((ref) => ref.firstReceivedUs)),
    };
  }

  /**
   * The next batch, if it is time for one: a plan that a crash left, or enough bytes, or records that have waited
   * for the commit age, or any at all when `hurry`.
   */
  async next(nowMs: number, hurry: boolean): Promise<BatchPlan | undefined> {
    const unfinished = this.#unfinished.shift();
    if (unfinished !== undefined) return unfinished;
    await this.#look(nowMs);
    const { segments, bytes } = this.waiting;
    if (segments === 0) {
      this.#waitingSince = undefined;
      return undefined;
    }
    this.#waitingSince ??= nowMs;
    const due =
      hurry || bytes >= this.#settings.batchBytes || nowMs - this.#waitingSince >= this.#settings.commitAgeMs;
    if (!due) return undefined;
    this.#waitingSince = undefined;
    return await this.#record(this.#take());
  }

  /** Whether a crash left plans that were not given out yet. */
  get hasUnfinished(): boolean {
    return this.#unfinished.length > 0;
  }

  /**
   * Gives the next number to a commit that consumes no segments, while no plan waits for its commit. It needs no plan: of one that a
   * crash interrupts nothing is there, and the number is the next one's.
   *
   * @param commit tells whether it committed
   */
  async own(commit: (batch: number) => Promise<boolean>): Promise<void> {
    if (await commit(this.#next)) this.#next++;
  }

  async #look(nowMs: number): Promise<void> {
    if (nowMs - this.#streamsAt >= streamsEveryMs) {
      for (const { source, writer } of await this.#store.streams()) this.#stream(source, writer);
      this.#streamsAt = nowMs;
    }
    for (const stream of this.#streams.values()) {
      const after = stream.waiting.at(-1)?.number ?? stream.planned;
      const room = maxSegmentsABatch - stream.waiting.length;
      if (room > 0)
        stream.waiting.push(...(await this.#store.sealedAfter(stream.source, stream.writer, after, room)));
    }
  }

  /** Takes segments from the streams in turn, oldest first within each, up to the bounds of a batch. */
  #take(): SegmentRef[] {
    const segments: SegmentRef[] = [];
    let bytes = 0;
    let records = 0;
    for (let took = true; took;) {
      took = false;
      for (const stream of this.#streams.values()) {
        const ref = stream.waiting[0];
        if (ref === undefined || segments.length >= maxSegmentsABatch) continue;
        const fits =
          bytes + ref.bytes <= this.#settings.batchBytes &&
          records + ref.records <= this.#settings.batchRecords;
        if (segments.length > 0 && !fits) continue;
        stream.waiting.shift();
        stream.planned = ref.number;
        segments.push(ref);
        bytes += ref.bytes;
        records += ref.records;
        took = true;
      }
    }
    return segments;
  }

  async #record(segments: readonly SegmentRef[]): Promise<BatchPlan> {
    const batch = this.#next++;
    const ranges = rangesOf(segments).map(
      ({ source, writer, first, last }) => `(${batch}, ${text(source)}, ${text(writer)}, ${first}, ${last})`,
    );
    failpoint("engine.plan.before_record");
    await this.#sql.run(`INSERT INTO db.weir.plans VALUES ${ranges.join(", ")}`);
    failpoint("engine.plan.recorded");
    return { batch, segments };
  }

  #stream(source: string, writer: string): Stream {
    const key = `${source}/${writer}`;
    const known = this.#streams.get(key);
    if (known !== undefined) return known;
    const stream: Stream = { source, writer, planned: 0, waiting: [] };
    this.#streams.set(key, stream);
    return stream;
  }
}

interface PlanRow extends Record<string, string | number> {
  batch: number;
  source: string;
  writer: string;
  first: number;
  last: number;
}

export interface SegmentRange {
  readonly source: string;
  readonly writer: string;
  readonly first: number;
  readonly last: number;
}

/** The segments of each stream as ranges; within a batch they are consecutive. */
export function rangesOf(segments: readonly SegmentRef[]): SegmentRange[] {
  const ranges = new Map<string, SegmentRange>();
  for (const { source, writer, number } of segments) {
    const key = `${source}/${writer}`;
    const range = ranges.get(key);
    ranges.set(
      key,
      range === undefined ? { source, writer, first: number, last: number } : { ...range, last: number },
    );
  }
  return [...ranges.values()];
}
