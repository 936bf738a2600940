import { turn } from "../each-row.ts";
import { IdRun, IdRunWriter, entryBytes } from "./id-run.ts";
import type { HashColumns, KnownId } from "./id-run.ts";
import { mergeRuns } from "./merge-runs.ts";
import { RecentIds } from "./recent-ids.ts";
import type { IdColumns } from "./recent-ids.ts";

/**
 * Which ids are known: exact over the whole horizon, with memory of about 1.3 bytes an id and work that grows with
 * the batch, not with history.
 *
 * Ids of the last commits are in memory (`RecentIds`) and in a table that commits with them. When there are enough
 * they become a sorted run on disk; runs of like size are merged, so that there are few. Newer entries hide older
 * ones of the same id.
 *
 * Of two records with one id the one with the lesser (event time, content) counts, whichever came first: the
 * result depends on the set of records only. Mostly both are the same record sent twice. Where a record that came
 * later wins, the caller takes the earlier one back (`superseded`).
 *
 * Contents have a key since there is a vault. The same record, loaded before that and sent again, is a duplicate; of two different ones
 * with one id and one event time, of which one was loaded before, that counts whose number is the lesser.
 */
export interface BatchIds extends IdColumns {
  readonly size: number;
  /** Row keys of the batch. */
  readonly row: Float64Array;
}

export interface Superseded extends KnownId {
  /** The row of this batch that takes the place. */
  readonly row: number;
}

export interface Verdict {
  /** Rows of the batch that are duplicates. */
  readonly duplicates: number[];
  /** Rows of the batch that take the place of one loaded before, with what tells that one. */
  readonly superseded: Superseded[];
}

export interface RunInfo {
  readonly path: string;
  readonly count: number;
  readonly newestReceivedUs: number;
}

/** Ids judged between two looks at what else waits. */
const idsAtOnce = 1_000;
/** A number below this and a word of 32 bits fit a double's 53. */
const numbersAWord = 2 ** 21;
/** Entries sorted or written between two looks. */
const entriesAtOnce = 8_192;
/**
 * The event time of an id that is free again, as its record was erased: later than any, so that whatever record has the id
 * next counts, and takes nobody's place.
 */
export const forgottenTime = 2n ** 63n - 1n;

/** What the content of a record that was loaded before there was a vault is by its key. */
export type Keyed = (content: bigint) => bigint;

/** Whether a loaded record keeps its place whatever comes, by its event time in microseconds. */
export type KeepsPlace = (timeUs: bigint) => boolean;

/** Runs are merged when this many are of one size class; a class is this many times the one below. */
const fanIn = 8;

export class IdIndex {
  readonly #recent: RecentIds;
  /** Newest first. */
  #runs: { run: IdRun; info: RunInfo }[] = [];
  #batch = 0;
  readonly #keyed: Keyed | undefined;

  /**
   * @param newestFirst the runs of the manifest
   * @param recentIds how many ids become a run; room is made for half as many more, for the batch that gets there
   */
  constructor(newestFirst: readonly RunInfo[], recentIds = 0, keyed?: Keyed) {
    this.#keyed = keyed;
    this.#recent = new RecentIds(2 ** Math.max(16, Math.ceil(Math.log2(Math.max(1, recentIds * 1.5)))));
    this.#runs = newestFirst.map((info) => ({ run: IdRun.open(info.path), info }));
  }

  get recentCount(): number {
    return this.#recent.size;
  }

  stats(): { recent: number; known: number; runs: number; memoryBytes: number } {
    const known = this.#runs.reduce((total, { run }) => total + run.count, this.#recent.size);
    const memory = this.#runs.reduce((total, { run }) => total + run.memoryBytes, this.#recent.bytes);
    return { recent: this.#recent.size, known, runs: this.#runs.length, memoryBytes: memory };
  }

  /** Loads an id that an earlier process committed; later calls for one id win. */
  restore(h0: number, h1: number, h2: number, h3: number, time: bigint, content: bigint): void {
    const entry = this.#recent.find(h0, h1, h2, h3);
    if (entry >= 0) this.#recent.set(entry, time, content);
    else this.#recent.add(h0, h1, h2, h3, time, content);
  }

  /**
   * What is known of many ids: the event time of each, as it was restored last; NaN of an id that is not known. Gives way to other
   * work about every millisecond.
   */
  async findTimes(ids: HashColumns, size: number): Promise<Float64Array> {
    const times = new Float64Array(size).fill(Number.NaN);
    for (let from = 0; from < size; from += numbersAWord)
      await this.#findSome(ids, from, Math.min(size, from + numbersAWord), times);
    return times;
  }

  async #findSome(ids: HashColumns, from: number, to: number, times: Float64Array): Promise<void> {
    const { h0, h1, h2, h3 } = ids;
    const missing = new Float64Array(to - from);
    let left = 0;
    for (let i = from; i < to; i++) {
      if (i % idsAtOnce === idsAtOnce - 1) await turn();
      const entry = this.#recent.find(h0[i] as number, h1[i] as number, h2[i] as number, h3[i] as number);
      if (entry >= 0) times[i] = Number(this.#recent.timeOf(entry));
      // The number of an id fits beside its first word: see sortedEntries.
      else missing[left++] = (h0[i] as number) * numbersAWord + (i - from);
    }
    if (left === 0 || this.#runs.length === 0) return;
    const sorted = missing.subarray(0, left).sort();
    const order = new Uint32Array(left);
    for (const { run } of this.#runs) {
      await turn();
      let asked = 0;
      for (let k = 0; k < left; k++) {
        const i = from + ((sorted[k] as number) % numbersAWord);
        if (!Number.isNaN(times[i])) continue;
        if (run.mayHave(h1[i] as number, h2[i] as number, h3[i] as number)) order[asked++] = i;
      }
      await turn();
      run.findMany(ids, order.subarray(0, asked), (i, time) => {
        times[i] = time;
      });
    }
  }

  /** Runs on disk, newest first. */
  get runs(): RunInfo[] {
    return this.#runs.map(({ info }) => info);
  }

  /** Frees an id whose record was erased; the state has it with {@link forgottenTime}. */
  forget(h0: number, h1: number, h2: number, h3: number): void {
    this.restore(h0, h1, h2, h3, forgottenTime, 0n);
  }

  /**
   * Judges a batch and takes its ids in. Must be followed by the commit of the batch: if that fails, this index is
   * ahead of the state and has to be built anew. Gives way to other work about every millisecond; nothing else may touch
   * the index meanwhile.
   *
   * @param keepsPlace of which loaded records none takes the place
   */
  async take(ids: BatchIds, keepsPlace: KeepsPlace = () => false): Promise<Verdict> {
    this.#batch++;
    const duplicates: number[] = [];
    const superseded = new Map<number, Superseded>();
    for (let i = 0; i < ids.size; i++) {
      if (i % idsAtOnce === idsAtOnce - 1) await turn();
      const h0 = ids.h0[i] as number;
      const h1 = ids.h1[i] as number;
      const h2 = ids.h2[i] as number;
      const h3 = ids.h3[i] as number;
      const row = ids.row[i] as number;
      const entry = this.#recent.find(h0, h1, h2, h3);
      if (entry >= 0) {
        this.#meet(entry, ids, i, row, duplicates, superseded, keepsPlace);
        continue;
      }
      const known = this.#findInRuns(h0, h1, h2, h3);
      if (known !== undefined && (!this.#isLess(ids, i, known) || keepsPlace(known.time))) {
        duplicates.push(row);
        continue;
      }
      const added = this.#recent.add(h0, h1, h2, h3, ids.time[i] as bigint, ids.content[i] as bigint);
      this.#recent.mark(added, this.#batch, row);
      if (known !== undefined && known.time !== forgottenTime) superseded.set(added, { ...known, row });
    }
    return { duplicates, superseded: [...superseded.values()] };
  }

  /** A record meets a recent entry with its id. */
  #meet(
    entry: number,
    ids: BatchIds,
    i: number,
    row: number,
    duplicates: number[],
    superseded: Map<number, Superseded>,
    keepsPlace: KeepsPlace,
  ): void {
    const known = { time: this.#recent.timeOf(entry), content: this.#recent.contentOf(entry) };
    const rival = this.#recent.rowIn(entry, this.#batch);
    if (!this.#isLess(ids, i, known) || (rival < 0 && keepsPlace(known.time))) {
      duplicates.push(row);
      return;
    }
    if (rival >= 0) {
      // The rival is of this batch and not loaded yet: it just becomes the duplicate. If it took the place of a
      // loaded record, this one does now.
      duplicates.push(rival);
      const place = superseded.get(entry);
      if (place !== undefined) superseded.set(entry, { ...place, row });
    } else if (known.time !== forgottenTime) superseded.set(entry, { ...known, row });
    this.#recent.set(entry, ids.time[i] as bigint, ids.content[i] as bigint);
    this.#recent.mark(entry, this.#batch, row);
  }

  #isLess(ids: BatchIds, i: number, known: KnownId): boolean {
    const time = ids.time[i] as bigint;
    const content = ids.content[i] as bigint;
    if (time !== known.time) return time < known.time;
    return content < known.content && this.#keyed?.(known.content) !== content;
  }

  #findInRuns(h0: number, h1: number, h2: number, h3: number): KnownId | undefined {
    for (const { run } of this.#runs) {
      if (!run.mayHave(h1, h2, h3)) continue;
      const known = run.find(h0, h1, h2, h3);
      if (known !== undefined) return known;
    }
    return undefined;
  }

  /** Writes the recent ids as a run; nothing else may touch the index meanwhile. The caller records it, then calls `flushed`. */
  async flush(path: string): Promise<void> {
    const { columns, size } = { columns: this.#recent.columns, size: this.#recent.size };
    const writer = new IdRunWriter(path, size);
    const order = await sortedEntries(columns, size);
    const out = Buffer.alloc(Math.min(size, entriesAtOnce) * entryBytes);
    let filled = 0;
    for (const entry of order) {
      writeEntry(out, filled, columns, entry);
      filled += entryBytes;
      if (filled === out.length) {
        writer.write(out);
        filled = 0;
        await turn();
      }
    }
    writer.write(out.subarray(0, filled));
    await writer.finish();
  }

  flushed(info: RunInfo): void {
    this.listed(info);
    this.#recent.clear();
  }

  /** Asks a run before all others. */
  listed(info: RunInfo): void {
    this.#runs.unshift({ run: IdRun.open(info.path), info });
  }

  /** Neighbouring runs of one size class that should become one, newest first; undefined while there are few. */
  mergeable(largest: number): RunInfo[] | undefined {
    const classOf = (count: number): number => Math.floor(Math.log(Math.max(1, count)) / Math.log(fanIn));
    let start = 0;
    for (let end = 1; end <= this.#runs.length; end++) {
      const first = this.#runs[start];
      const next = this.#runs[end];
      if (first !== undefined && next !== undefined && classOf(next.run.count) <= classOf(first.run.count))
        continue;
      const group = this.#runs.slice(start, end).map(({ info }) => info);
      const total = group.reduce((sum, info) => sum + info.count, 0);
      if (group.length >= fanIn && total <= largest) return group;
      start = end;
    }
    return undefined;
  }

  /** Writes the merge of runs. The caller records it, then calls `merged`. */
  async merge(group: readonly RunInfo[], path: string): Promise<number> {
    const paths = new Set(group.map((info) => info.path));
    const runs = this.#runs.filter(({ info }) => paths.has(info.path)).map(({ run }) => run);
    const writer = new IdRunWriter(
      path,
      group.reduce((sum, info) => sum + info.count, 0),
    );
    await mergeRuns(runs, writer);
    await writer.finish();
    return writer.count;
  }

  merged(group: readonly RunInfo[], info: RunInfo): void {
    const paths = new Set(group.map((member) => member.path));
    const at = this.#runs.findIndex(({ info: { path } }) => paths.has(path));
    for (const { run, info: old } of this.#runs) if (paths.has(old.path)) run.close();
    const rest = this.#runs.filter(({ info: { path } }) => !paths.has(path));
    rest.splice(at, 0, { run: IdRun.open(info.path), info });
    this.#runs = rest;
  }

  /** Forgets runs whose every id was received before `us`; returns them. */
  forgetBefore(us: number): RunInfo[] {
    const old = this.#runs.filter(({ info }) => info.newestReceivedUs < us);
    for (const { run } of old) run.close();
    this.#runs = this.#runs.filter(({ info }) => info.newestReceivedUs >= us);
    return old.map(({ info }) => info);
  }

  close(): void {
    for (const { run } of this.#runs) run.close();
    this.#runs = [];
  }
}

function writeEntry(out: Buffer, at: number, columns: IdColumns, entry: number): void {
  out.writeUInt32LE(columns.h0[entry] as number, at);
  out.writeUInt32LE(columns.h1[entry] as number, at + 4);
  out.writeUInt32LE(columns.h2[entry] as number, at + 8);
  out.writeUInt32LE(columns.h3[entry] as number, at + 12);
  out.writeBigInt64LE(columns.time[entry] as bigint, at + 16);
  out.writeBigUInt64LE(columns.content[entry] as bigint, at + 24);
}

/**
 * Entry numbers in the order of their hashes: cut into parts by the top bits of h0, each part sorted as doubles of (h0,
 * entry), then ties put right. A million at once would keep everybody waiting for a tenth of a second.
 */
async function sortedEntries(columns: IdColumns, size: number): Promise<Uint32Array> {
  // h0 has 32 bits and an entry number fewer than 21 in practice: together they fit a double's 53.
  const shift = numbersAWord;
  if (size > shift) throw new RangeError(`too many recent ids for one run: ${size}`);
  const bits = Math.max(0, Math.ceil(Math.log2(Math.max(1, size / entriesAtOnce))));
  const partOf = (h0: number): number => (bits === 0 ? 0 : h0 >>> (32 - bits));
  const ends = new Uint32Array(2 ** bits + 1);
  for (let entry = 0; entry < size; entry++) {
    const part = partOf(columns.h0[entry] as number) + 1;
    ends[part] = (ends[part] as number) + 1;
  }
  for (let part = 1; part < ends.length; part++)
    ends[part] = (ends[part] as number) + (ends[part - 1] as number);
  await turn();
  const keys = new Float64Array(size);
  const filled = ends.slice();
  for (let entry = 0; entry < size; entry++) {
    if (entry % entriesAtOnce === entriesAtOnce - 1) await turn();
    const h0 = columns.h0[entry] as number;
    const part = partOf(h0);
    const at = filled[part] as number;
    filled[part] = at + 1;
    keys[at] = h0 * shift + entry;
  }
  const order = new Uint32Array(size);
  for (let part = 0; part + 1 < ends.length; part++) {
    const [from, to] = [ends[part] as number, ends[part + 1] as number];
    keys.subarray(from, to).sort();
    for (let i = from; i < to; i++) order[i] = (keys[i] as number) % shift;
    await turn();
  }
  for (let i = 1; i < size; i++) {
    if (i % (entriesAtOnce * 8) === 0) await turn();
    for (let j = i; j > 0 && isBefore(columns, order[j] as number, order[j - 1] as number); j--) {
      [order[j], order[j - 1]] = [order[j - 1] as number, order[j] as number];
    }
  }
  return order;
}

function isBefore(columns: IdColumns, a: number, b: number): boolean {
  const difference = (columns.h0[a] as number) - (columns.h0[b] as number);
  if (difference !== 0) return difference < 0;
  if (columns.h1[a] !== columns.h1[b]) return (columns.h1[a] as number) < (columns.h1[b] as number);
  if (columns.h2[a] !== columns.h2[b]) return (columns.h2[a] as number) < (columns.h2[b] as number);
  return (columns.h3[a] as number) < (columns.h3[b] as number);
}
