import type { Json, JsonObject } from "@weir/contract";
import { WeirError, isJsonObject } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { CaptureContext } from "./capture.ts";

/*
 * Reading a past interval of a source, beside the capture that follows the source, into a stream of its own.
 *
 * Invariant: what is read is versioned so that it wins over every change that it has seen and loses against every change that may
 * have come after. So it does not matter which of the two is in the log first, nor that neither knows of the other.
 *
 * State: the cursor, which says what parts are done, and the place in the one that is being read. It is saved only when
 * what it covers is durable in the log. Crash points, and what the next run does:
 *
 *   before the append of some rows   the place is before them: they are read and appended
 *   between append and save          the place is before them: they are read again, and are the same records where nothing has changed
 *   after the save                   the place is behind them
 *   all parts done                   nothing is read any more; the same interval is the same backfill, and it is done
 */

/** A past interval of a source, in milliseconds since the epoch: `fromMs` is in it, `toMs` is not. */
export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

/** What is read on its own: a type of objects, an object, a table. */
export interface IntervalPart {
  readonly name: string;
  /** Rows that it has at the moment; null where they cannot be counted without reading them. */
  readonly rows: number | null;
  /** Why it is not read; undefined if it is. */
  readonly leftOut?: string;
}

/** Reads a past interval of a source, once. */
export interface IntervalCapture {
  /** What its parts are called. */
  readonly unit: "types" | "objects" | "tables";
  /** An interval may end at this time before now at the latest, as what is younger may not be visible yet. Milliseconds. */
  readonly settleMs: number;
  /**
   * What there is to read; changes nothing.
   *
   * @throws WeirError when the source cannot be asked
   */
  parts(): Promise<readonly IntervalPart[]>;
  /**
   * Resolves when all of it is durable, and the cursor says so. A part that cannot be read costs itself alone: it is
   * reported, and tried again by the next run.
   *
   * @throws what ends it before, as the signal does when it aborts
   */
  run(context: CaptureContext): Promise<void>;
}

/** How the parts of an interval are read. */
export interface PartReader {
  readonly names: readonly string[];
  /** Reads a part to its end, from a place that it has saved on; resolves when all of it is durable. */
  read(name: string, at: PartPlace): Promise<void>;
  /** Whether an error is about this part alone. */
  isItsOwn(error: WeirError): boolean;
  /** What else the cursor keeps, over all parts. */
  readonly kept?: () => JsonObject;
}

/** The place in a part. */
export interface PartPlace {
  readonly saved: JsonObject | undefined;
  /** Makes it the place to go on from; everything before it is durable. */
  save(place: JsonObject): Promise<void>;
  /** Rows that were appended. */
  appended(rows: number): void;
}

interface IntervalCursor {
  readonly done: readonly string[];
  readonly part: string | undefined;
  readonly place: JsonObject | undefined;
  readonly kept: JsonObject;
}

const format = 1;

/** What was saved; the beginning for nothing, and for what this version did not write. */
export function loadedInterval(saved: Json | undefined): IntervalCursor {
  const cursor = isJsonObject(saved) && saved["format"] === format ? saved : {};
  const { done, part, place, kept } = cursor;
  return {
    done: Array.isArray(done) ? done.filter((name) => typeof name === "string") : [],
    part: typeof part === "string" ? part : undefined,
    place: isJsonObject(place) ? place : undefined,
    kept: isJsonObject(kept) ? kept : {},
  };
}

/**
 * Reads the parts one after the other, and keeps the cursor: what `run` of an interval does.
 *
 * @throws WeirError `interval_unavailable` without parts; what a part fails with that is not about it alone
 */
export async function readParts(context: CaptureContext, reader: PartReader): Promise<void> {
  if (reader.names.length === 0) {
    throw new WeirError("interval_unavailable", `${context.source} has nothing that could be read.`, {
      remedy: "The same command with --plan tells why not.",
    });
  }
  await new PartsRun(context, reader).run();
}

class PartsRun {
  readonly #context: CaptureContext;
  readonly #reader: PartReader;
  readonly #before: IntervalCursor;
  readonly #done: Set<string>;
  readonly #failed = new Map<string, string>();
  #rows = 0;
  /** Where the part that is being read is. */
  #at: { readonly part: string; readonly place: JsonObject } | undefined;

  constructor(context: CaptureContext, reader: PartReader) {
    this.#context = context;
    this.#reader = reader;
    this.#before = loadedInterval(context.cursor);
    const { done, part, place } = this.#before;
    this.#done = new Set(done);
    if (part !== undefined && place !== undefined) this.#at = { part, place };
  }

  async run(): Promise<void> {
    const { names, kept } = this.#reader;
    const { signal } = this.#context;
    this.#report();
    // A part that was begun is finished first, as there is one place.
    const begun = names.filter((name) => name === this.#before.part);
    try {
      for (const name of new Set([...begun, ...names])) await this.#read(name);
    } finally {
      // What is kept over all parts goes on to change between two places.
      if (signal.aborted && kept !== undefined) await this.#save();
    }
  }

  async #read(name: string): Promise<void> {
    const { signal } = this.#context;
    signal.throwIfAborted();
    if (this.#done.has(name)) return;
    try {
      await this.#reader.read(name, {
        saved: name === this.#before.part ? this.#before.place : undefined,
        save: async (place) => {
          this.#at = { part: name, place };
          await this.#save();
        },
        appended: (rows) => {
          this.#rows += rows;
          this.#report();
        },
      });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof WeirError) || !this.#reader.isItsOwn(error)) throw error;
      this.#fail(name, error);
      return;
    }
    signal.throwIfAborted();
    this.#done.add(name);
    this.#at = undefined;
    await this.#save();
    failpoint("backfill.part.done");
  }

  #fail(name: string, { code, message }: WeirError): void {
    this.#failed.set(name, `${code}: ${message}`);
    this.#context.log("error", `${name} is not read: ${message}`, { code });
    this.#report();
  }

  async #save(): Promise<void> {
    const kept = this.#reader.kept?.() ?? this.#before.kept;
    await this.#context.saveCursor({ format, done: [...this.#done], ...this.#at, kept });
    this.#report();
  }

  #report(): void {
    const { names } = this.#reader;
    this.#context.report({
      parts: names.length,
      partsDone: names.filter((name) => this.#done.has(name)).length,
      partsFailed: this.#failed.size,
      rows: this.#rows,
      problem: [...this.#failed.values()][0] ?? null,
    });
  }
}
