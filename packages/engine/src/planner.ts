import type { LogStore, SegmentRef } from "@weir/log";
import { failpoint } from "@weir/log";
import { WeirError } from "@weir/contract";
import { text } from "@weir/compile";
import { defaultShare, isBackfill } from "./backfill-shares.ts";
import type { BackfillShares } from "./backfill-shares.ts";
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
  readonly isBackfill: boolean;
  /** The last segment in a plan. */
  planned: number;
  /** Sealed segments that are not in a plan, in order. */
  waiting: SegmentRef[];
}

/** Without a live record for this long there is nothing to spare the engine for. */
const liveIdleMs = 5_000;
const idleShare = 4;
/** What a byte costs before any was measured: 20 MB a second. */
const firstMsPerByte = 1 / 20_000;
const maxSegmentsABatch = 512;
const streamsEveryMs = 1_000;

/**
 * Decides which segments a batch consumes, and writes that down before anything is done with them: a batch that a
 * crash interrupts runs again with exactly the same records and file names.
 *
 * Invariant: for each stream, plans cover consecutive segments, each segment is in one plan, and plans are
 * committed in order.
 *
 * Live streams come first. A backfill's segments are no reason for a batch before its time, and a batch takes so many of them as
 * the engine works off in the backfill's share of the time between two batches, by what bytes cost it lately; one at least, so that
 * the backfill ends. Where no live record came for a while, they may have a quarter of a batch, at once: the next live record waits no
 * longer than that takes.
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
  readonly #shares: Pick<BackfillShares, "of">;
  #liveAt = -Infinity;
  #msPerByte = firstMsPerByte;

  constructor(
    store: LogStore,
    sql: Sql,
    settings: ResolvedSettings,
    shares: Pick<BackfillShares, "of"> = { of: () => defaultShare },
  ) {
    this.#store = store;
    this.#sql = sql;
    this.#settings = settings;
    this.#shares = shares;
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
    const all = [...this.#streams.values()].filter(({ waiting }) => waiting.length > 0);
    const live = all.filter((stream) => !stream.isBackfill);
    const backfills = all.filter((stream) => stream.isBackfill);
    if (all.length === 0) {
      this.#waitingSince = undefined;
      return undefined;
    }
    if (live.length > 0) this.#liveAt = nowMs;
    this.#waitingSince ??= nowMs;
    const { batchBytes, commitAgeMs } = this.#settings;
    const isIdle = nowMs - this.#liveAt >= liveIdleMs;
    const idleBytes = batchBytes / idleShare;
    const due =
      hurry ||
      bytesOf(live) >= batchBytes ||
      nowMs - this.#waitingSince >= commitAgeMs ||
      (isIdle && bytesOf(backfills) >= idleBytes);
    if (!due) return undefined;
    this.#waitingSince = undefined;
    const share = this.#shares.of(
      backfills.map(({ writer }) => writer),
      nowMs,
    );
    const backfillBytes = isIdle ? idleBytes : Math.min(idleBytes, (share * commitAgeMs) / this.#msPerByte);
    return await this.#record([...this.#take(live, batchBytes), ...this.#take(backfills, backfillBytes)]);
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

  /** Takes note of what the engine did with a batch, in ms of work. */
  spent({ segments }: BatchPlan, timings: Readonly<Record<string, number>>): void {
    const ms = Object.values(timings).reduce((sum, one) => sum + one, 0);
    const bytes = segments.reduce((sum, segment) => sum + segment.bytes, 0);
    // Of small batches most of the time goes into what each one takes, whatever its size.
    if (bytes < this.#settings.batchBytes / 256) return;
    this.#msPerByte += (ms / bytes - this.#msPerByte) / 4;
  }

  /** Takes segments from streams in turn, oldest first within each, up to so many bytes and the bounds of a batch; one at least. */
  #take(streams: readonly Stream[], mostBytes: number): SegmentRef[] {
    const segments: SegmentRef[] = [];
    let bytes = 0;
    let records = 0;
    for (let took = true; took;) {
      took = false;
      for (const stream of streams) {
        const ref = stream.waiting[0];
        if (ref === undefined || segments.length >= maxSegmentsABatch) continue;
        const fits = bytes + ref.bytes <= mostBytes && records + ref.records <= this.#settings.batchRecords;
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
    const stream: Stream = { source, writer, isBackfill: isBackfill(writer), planned: 0, waiting: [] };
    this.#streams.set(key, stream);
    return stream;
  }
}

const bytesOf = (streams: readonly Stream[]): number =>
  streams.reduce((sum, { waiting }) => sum + waiting.reduce((bytes, ref) => bytes + ref.bytes, 0), 0);

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
