import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { WeirError } from "@weir/contract";
import type { Program, TableProgram } from "@weir/compile";
import type { ChangePosition } from "../changes/position.ts";
import { lastPosition, readChanges } from "../changes/read-changes.ts";
import type { TableChanges } from "../changes/read-changes.ts";
import type { Commits } from "../commits.ts";
import type { Snapshots } from "../snapshots.ts";
import { compareValues } from "./key-value.ts";
import type { KeyValue } from "./key-value.ts";
import { parseLookup } from "./lookup.ts";
import type { KeyLookup, LookupParameters, RangeLookup } from "./lookup.ts";
import { maskedRow, refuseMaskedKeys } from "./masked-rows.ts";
import { Mirror } from "./mirror.ts";
import type { MirrorStatus } from "./mirror.ts";
import { keyText, mostReplyBytes, readRange, sortColumns } from "./read-rows.ts";
import type { FoundRow } from "./read-rows.ts";
import type { RowRecord } from "./row-files.ts";
import type { RowStore } from "./row-store.ts";
import { Scans } from "./scans.ts";
import { TableShapes } from "./table-shape.ts";
import type { TableShape } from "./table-shape.ts";

export interface LookupResult {
  readonly table: string;
  /** The commit that all rows are of. Never less than in an earlier reply about this table. */
  readonly commit: number;
  /** JSON objects: named by key, in the order of the keys, without those that are not there; else sorted. */
  readonly rows: readonly Buffer[];
  /** Whether there are more rows than the limit. */
  readonly more: boolean;
}

export interface ServingOptions {
  readonly program: Program;
  readonly snapshots: Snapshots;
  readonly commits: Commits;
  /** Of its own. A folder a table that is looked up, so that it is at once after a restart too. */
  readonly directory: string;
  /** Most memory of the mirrors' indexes, in bytes. */
  readonly memoryBytes: number;
  /** A mirror that nobody asks for this long is given up. */
  readonly idleMs: number;
}

const noMasks: ReadonlySet<string> = new Set();
const rangeTimeoutMs = 60_000;
const defaultWaitMs = 5_000;
const longestWaitMs = 60_000;
/** A mirror that was given up is tried again after this time, if it is asked for. */
const retryMs = 60_000;
/** More rows of one prefix are read by DuckDB: a read of 2 us a row keeps everything else waiting. */
const mostOfGroup = 1_000;
/** Replies that are kept until the next commit, for others who ask the same. */
const mostRanges = 100;
const mostRangeBytes = 1024 * 1024;

interface Kept {
  readonly mirror: Mirror;
  readonly sinceMs: number;
  usedMs: number;
}

/**
 * Answers lookups and gives changes.
 *
 * Rows by key or prefix come from a mirror of the table, made when it is first asked for. Measured on two cores, 1 M rows,
 * CPU a lookup: mirror 0.01 ms; DuckDB by scan 3 to 50 ms (shared by all that wait, see scans.ts), by an ART index on the
 * key 1 ms and, batched, 0.4. The index would cost the merge of 20,000 rows 800 ms instead of 120; the mirror costs 60 ms
 * for the same rows, and only for tables that are looked up. A cache of the rows that were asked for lost because every
 * commit takes the busiest rows out of it, and each that misses needs the scan.
 *
 * Replies about one table never go back in time: what DuckDB answered waits until the mirror is there too.
 */
export class Serving {
  readonly #options: ServingOptions;
  readonly #shapes: TableShapes;
  readonly #scans: Scans;
  readonly #mirrors = new Map<string, Kept>();
  /** How many asked that a table has no mirror, by name. */
  readonly #paused = new Map<string, number>();
  readonly #ranges = new Map<string, Promise<LookupResult>>();
  #rangesOf = 0;
  #closed = false;

  constructor(options: ServingOptions) {
    this.#options = options;
    this.#shapes = new TableShapes(options.program, options.snapshots);
    this.#scans = new Scans(options.snapshots);
  }

  get status(): MirrorStatus[] {
    return [...this.#mirrors.values()].map(({ mirror }) => mirror.status);
  }

  /** Begins to mirror the tables that were looked up before the restart. */
  start(): void {
    mkdirSync(this.#options.directory, { recursive: true });
    for (const name of readdirSync(this.#options.directory)) {
      const isTable = this.#options.program.tables.some((table) => table.name === name);
      if (isTable)
        void this.#shapes.get(name).then(
          (shape) => this.#mirrorOf(shape),
          () => undefined,
        );
      else rmSync(join(this.#options.directory, name), { recursive: true, force: true });
    }
  }

  /** @throws WeirError `not_found`, `lookup_invalid`, `commit_not_reached`, `invalid_usage`, `query_timeout` */
  async lookup(table: string, given: LookupParameters, masked = noMasks): Promise<LookupResult> {
    refuseNul(given);
    const shape = await this.#shapes.get(table);
    refuseMaskedKeys(shape, masked, given);
    const lookup = parseLookup(shape, given);
    const mirror = this.#mirrorOf(shape);
    if (given.minCommit !== undefined) await this.#wait(mirror, given.minCommit, given.timeoutMs);
    const result =
      lookup.by === "key"
        ? await this.#byKey(shape, lookup, mirror)
        : await this.#byRange(shape, lookup, mirror);
    const shown = masked.size === 0 ? result : withMasks(result, shape, masked);
    return given.select === undefined ? shown : selected(shown, given.select);
  }

  /** @throws WeirError `not_found`, `changes_gone`, `invalid_usage` */
  async changes(
    table: string,
    since: ChangePosition,
    limit: number,
    masked = noMasks,
  ): Promise<TableChanges> {
    const { shape, program } = await this.#followed(table);
    refuseMaskedKeys(shape, masked, undefined);
    const read = await this.#options.snapshots.run({ timeoutMs: rangeTimeoutMs, reads: "" }, (sql, commit) =>
      readChanges(sql, program, shape.columns, commit, since, limit),
    );
    if (masked.size === 0) return read;
    const changes = read.changes.map((change) =>
      change.row === undefined ? change : { ...change, row: maskedRow(shape, masked, change.row) },
    );
    return { ...read, changes };
  }

  /** Where to begin for what changes from now on. @throws WeirError `not_found` */
  async lastPosition(table: string): Promise<ChangePosition> {
    const { program } = await this.#followed(table);
    return await this.#options.snapshots.run({ timeoutMs: rangeTimeoutMs, reads: "" }, (sql, commit) =>
      lastPosition(sql, program, commit),
    );
  }

  async #followed(table: string): Promise<{ shape: TableShape; program: TableProgram }> {
    const shape = await this.#shapes.get(table);
    if (shape.program !== undefined) return { shape, program: shape.program };
    throw new WeirError("not_found", `${table} is a contract; only tables can be followed.`, {
      where: table,
    });
  }

  /** Resolves once lookups see the commit. */
  async reached(commit: number): Promise<void> {
    await Promise.all([...this.#mirrors.values()].map(({ mirror }) => mirror.reached(commit)));
  }

  /**
   * Gives the mirrors of tables up, and makes none, until what it gives is called: other tables take their place, which no
   * change tells of. Lookups read the tables meanwhile.
   */
  async pause(tables: readonly string[]): Promise<() => void> {
    for (const name of tables) this.#paused.set(name, (this.#paused.get(name) ?? 0) + 1);
    const given = tables.flatMap((name) => this.#mirrors.get(name) ?? []);
    for (const name of tables) this.#mirrors.delete(name);
    await Promise.all(given.map(({ mirror }) => mirror.close()));
    for (const name of tables) rmSync(join(this.#options.directory, name), { recursive: true, force: true });
    return () => {
      for (const name of tables) this.#paused.set(name, (this.#paused.get(name) ?? 1) - 1);
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#mirrors.values()].map(({ mirror }) => mirror.close()));
  }

  /** The table's mirror, begun if there is none; undefined where there can be none. */
  #mirrorOf(shape: TableShape): Mirror | undefined {
    if (shape.program?.stamped === undefined || shape.rowText === undefined || this.#closed) return undefined;
    if ((this.#paused.get(shape.name) ?? 0) > 0) return undefined;
    const kept = this.#mirrors.get(shape.name);
    const isOld = kept?.mirror.reason !== undefined && Date.now() - kept.sinceMs > retryMs;
    if (kept !== undefined && !isOld) {
      kept.usedMs = Date.now();
      return kept.mirror;
    }
    const { snapshots, commits, directory, memoryBytes, idleMs } = this.#options;
    const isIdle = (): boolean => {
      const { usedMs = Infinity } = this.#mirrors.get(shape.name) ?? {};
      return Date.now() - usedMs > idleMs;
    };
    const mirror = new Mirror(shape, {
      isIdle,
      directory: join(directory, shape.name, "rows"),
      snapshots,
      commits,
      hasRoom: () =>
        [...this.#mirrors.values()].reduce((sum, one) => sum + one.mirror.memoryBytes, 0) <= memoryBytes,
    });
    this.#mirrors.set(shape.name, { mirror, sinceMs: Date.now(), usedMs: Date.now() });
    void this.#forget(shape.name, mirror);
    return mirror;
  }

  /** Once nobody asks for a mirror any more, it is as if nobody had. */
  async #forget(name: string, mirror: Mirror): Promise<void> {
    await mirror.ended;
    if (this.#closed || mirror.reason !== undefined || this.#mirrors.get(name)?.mirror !== mirror) return;
    this.#mirrors.delete(name);
    rmSync(join(this.#options.directory, name), { recursive: true, force: true });
  }

  async #wait(mirror: Mirror | undefined, commit: number, timeoutMs = defaultWaitMs): Promise<void> {
    const { commits } = this.#options;
    const signal = AbortSignal.timeout(Math.min(timeoutMs, longestWaitMs));
    await commits.after(commit - 1, signal);
    await mirror?.reached(commit, signal);
    const reached = mirror?.live?.commit ?? commits.current;
    if (reached >= commit) return;
    throw new WeirError("commit_not_reached", `Commit ${commit} does not show yet; the last is ${reached}.`);
  }

  async #byKey(shape: TableShape, { keys }: KeyLookup, mirror: Mirror | undefined): Promise<LookupResult> {
    const texts = [...new Set(keys.map(keyText))];
    const live = mirror?.live;
    if (live !== undefined) {
      const rows = texts.flatMap((text) => live.store.get(text) ?? []);
      return resultOf(shape, live.commit, rows, texts.length);
    }
    const scanned = await this.#scans.find(shape, keys);
    if (!scanned.whole) throw tooLarge(shape);
    const rows = texts.flatMap((text) => scanned.rows.get(text) ?? []);
    await this.#settle(shape, scanned.commit);
    return resultOf(shape, scanned.commit, rows, texts.length);
  }

  async #byRange(shape: TableShape, lookup: RangeLookup, mirror: Mirror | undefined): Promise<LookupResult> {
    const live = mirror?.live;
    const grouped = live === undefined ? undefined : ofGroup(live.store, shape, lookup);
    if (live !== undefined && grouped !== undefined)
      return resultOf(shape, live.commit, grouped, lookup.limit);
    // Many ask for the same window: until the next commit it is read once.
    const { current } = this.#options.commits;
    if (this.#rangesOf !== current) this.#ranges.clear();
    this.#rangesOf = current;
    const text = JSON.stringify([shape.name, lookup]);
    const known = this.#ranges.get(text);
    if (known !== undefined) return await known;
    const reading = this.#readRange(shape, lookup);
    if (this.#ranges.size < mostRanges) this.#ranges.set(text, reading);
    const forget = (): void => {
      if (this.#ranges.get(text) === reading) this.#ranges.delete(text);
    };
    reading.catch(forget);
    const result = await reading;
    if (result.rows.reduce((sum, row) => sum + row.length, 0) > mostRangeBytes) forget();
    return result;
  }

  async #readRange(shape: TableShape, lookup: RangeLookup): Promise<LookupResult> {
    const { snapshots } = this.#options;
    const more = { ...lookup, limit: lookup.limit + 1 };
    const found = await snapshots.run(
      { timeoutMs: rangeTimeoutMs, reads: shape.name },
      async (sql, commit) => ({
        commit,
        ...(await readRange(sql, shape, more)),
      }),
    );
    await this.#settle(shape, found.commit);
    const result = resultOf(
      shape,
      found.commit,
      found.rows.map(({ row }: FoundRow) => row),
      lookup.limit,
    );
    return { ...result, more: result.more || !found.whole };
  }

  /** Lets nobody hear of a commit before all who ask hear of it. */
  async #settle(shape: TableShape, commit: number): Promise<void> {
    await this.#options.commits.after(commit - 1);
    await this.#mirrors.get(shape.name)?.mirror.reached(commit);
  }
}

function resultOf(
  { name }: TableShape,
  commit: number,
  rows: readonly Buffer[],
  limit: number,
): LookupResult {
  const shown = rows.slice(0, limit);
  return { table: name, commit, rows: shown, more: rows.length > limit };
}

/** Rows of a prefix out of a mirror, sorted; undefined where they are too many, or no prefix is given. */
function ofGroup(
  store: RowStore,
  shape: TableShape,
  { prefix, from, to }: RangeLookup,
): Buffer[] | undefined {
  const { order, time } = shape;
  const timeAt = time === undefined ? -1 : order.indexOf(time);
  if (prefix.length === 0 || order.length < 2 || (timeAt < 0 && (from ?? to) !== undefined)) return undefined;
  const found = store.group(keyText(prefix.slice(0, 1)), mostOfGroup);
  if (found === undefined) return undefined;
  const isIn = (values: readonly KeyValue[]): boolean => {
    if (!prefix.every((value, i) => values[i] === value)) return false;
    if (time === undefined || (from ?? to) === undefined) return true;
    const at = values[timeAt] ?? null;
    if (at === null || (from !== undefined && compareValues(time.type, at, from) < 0)) return false;
    return to === undefined || compareValues(time.type, at, to) < 0;
  };
  const places = sortColumns(shape, { from, to }).map((column) => order.indexOf(column));
  const compare = (a: readonly KeyValue[], b: readonly KeyValue[]): number => {
    for (const place of places) {
      const type = order[place]?.type;
      const compared = type === undefined ? 0 : compareValues(type, a[place] ?? null, b[place] ?? null);
      if (compared !== 0) return compared;
    }
    return 0;
  };
  return found
    .map((record) => ({ values: valuesOf(record), row: record.row }))
    .filter(({ values }) => isIn(values))
    .sort((a, b) => compare(a.values, b.values))
    .map(({ row }) => row);
}

const valuesOf = ({ key, order }: RowRecord): KeyValue[] =>
  JSON.parse(order === "" ? key : order) as KeyValue[];

function withMasks(result: LookupResult, shape: TableShape, masked: ReadonlySet<string>): LookupResult {
  const rows = result.rows.map((row) => Buffer.from(maskedRow(shape, masked, row.toString("utf8"))));
  return { ...result, rows };
}

/** The rows with some columns only. */
function selected(result: LookupResult, columns: readonly string[]): LookupResult {
  const rows = result.rows.map((row) => {
    const whole = JSON.parse(row.toString("utf8")) as Record<string, unknown>;
    return Buffer.from(JSON.stringify(Object.fromEntries(columns.map((name) => [name, whole[name]]))));
  });
  return { ...result, rows };
}

const tooLarge = ({ name }: TableShape): WeirError =>
  new WeirError("lookup_invalid", `The rows take more than ${mostReplyBytes} bytes.`, {
    where: name,
    remedy: "Ask for fewer keys at a time.",
  });

/** DuckDB would read a statement up to the NUL only; and no row has one. */
function refuseNul(given: LookupParameters): void {
  if (!JSON.stringify(given).includes("\\u0000")) return;
  throw new WeirError("invalid_usage", "A parameter has a NUL character.");
}
