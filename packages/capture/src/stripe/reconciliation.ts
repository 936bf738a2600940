import type { JsonObject } from "@weir/contract";
import { WeirError } from "@weir/contract";
import type { CaptureContext, CapturedRecord } from "../capture.ts";
import { changeRecord } from "../capture.ts";
import { appendAll } from "../web/append.ts";
import type { Clock } from "../web/clock.ts";
import { type Page, type StripeApi, lastId } from "./api.ts";
import { fenceChange, listedSubject } from "./change.ts";
import { type StripeCursor, loadedCursor, savedCursor } from "./cursor.ts";
import type { StripeSource } from "./declare.ts";
import { listPath, objectPath } from "./objects.ts";
import { readingRecord } from "./reading.ts";
import { EventWindow, type Undecided } from "./window.ts";

/** Stripe keeps events for 30 days; the hour is for the time that reading the oldest takes. */
const keptSeconds = 30 * 86_400 - 3600;
/**
 * Events are read in windows, so that catching up saves its way and memory is bounded: of an hour, and while a window fits a
 * page the next is twice as long. A month without events is 10 requests so, and 720 by the hour.
 */
const windowSeconds = 3600;
/** The most that Stripe gives at once. */
const pageSize = 100;

/** One run of the capture: lists what has never been listed, then reads events as they come of age. */
export class Reconciliation {
  readonly #spec: StripeSource;
  readonly #api: StripeApi;
  readonly #clock: Clock;
  readonly #context: CaptureContext;
  /** Stripe's clock minus ours. */
  #aheadMs = 0;
  #cursor: StripeCursor;
  #windowSeconds = windowSeconds;
  /** Appended records are covered by the cursor here, but not yet by the saved one. */
  #isAhead = false;
  #counts = { events: 0, listed: 0, read_again: 0, undecided: 0 };
  /** Types that the key may not list. */
  readonly #skipped = new Set<string>();

  constructor(spec: StripeSource, api: StripeApi, clock: Clock, context: CaptureContext) {
    this.#spec = spec;
    this.#api = api;
    this.#clock = clock;
    this.#context = context;
    this.#cursor = loadedCursor(context.cursor) ?? { through: 0, listed: {} };
  }

  /** Until the signal aborts, or something fails; whatever was appended until then is covered by the cursor. */
  async run(): Promise<void> {
    try {
      await this.#run();
    } finally {
      if (this.#isAhead) await this.#save({});
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#context;
    while (!signal.aborted) {
      await this.#tellTime();
      const horizon = this.#horizon();
      this.#skipLost(horizon - keptSeconds);
      for (const type of this.#spec.objects) {
        if ((this.#cursor.listed[type] ?? 0) < horizon - keptSeconds) await this.#list(type);
      }
      while (!signal.aborted && this.#cursor.through < horizon) await this.#readWindow(horizon);
      this.#report();
      await this.#clock.sleep(this.#spec.reconcileMs ?? 0, signal);
    }
  }

  /** The last second whose events are all in the list. */
  #horizon(): number {
    return Math.floor((this.#clock.now() + this.#aheadMs - this.#spec.holdMs) / 1000) - 1;
  }

  async #tellTime(): Promise<void> {
    const page = await this.#api.list("/v1/events?limit=1", this.#context.signal);
    if (page !== undefined) this.#aheadMs = page.serverMs - this.#clock.now();
  }

  /** Events up to this second are no longer kept. What they said is in the listings that begin later. */
  #skipLost(second: number): void {
    const { through } = this.#cursor;
    if (through >= second) return;
    if (through > 0) {
      this.#context.log(
        "warn",
        "Stripe no longer keeps the events to go on with: all objects are listed again",
        {
          through: new Date(through * 1000).toISOString(),
        },
      );
    }
    this.#cursor = { ...this.#cursor, through: second, window: undefined };
  }

  #advance(change: Partial<StripeCursor>): void {
    this.#cursor = { ...this.#cursor, ...change };
    this.#isAhead = true;
  }

  async #save(change: Partial<StripeCursor>): Promise<void> {
    this.#advance(change);
    this.#isAhead = false;
    await this.#context.saveCursor(savedCursor(this.#cursor));
    this.#report();
  }

  /** Reads the events after `through`, a window of them, and nothing of what is younger than the horizon. */
  async #readWindow(horizon: number): Promise<void> {
    const { source, signal } = this.#context;
    const { through, window: begun } = this.#cursor;
    const to = begun?.to ?? Math.min(horizon, through + this.#windowSeconds);
    const window = new EventWindow(source, this.#spec.apiVersion);
    let pages = 0;
    for (let from = begun?.after; ;) {
      const page = await this.#api.list(eventsPath(through, to, from), signal);
      if (page === undefined) {
        // The event to go on after is no longer kept.
        await this.#save({ window: undefined });
        return;
      }
      pages++;
      const seconds = window.add(page.data);
      const last = lastId(page);
      if (last === undefined) seconds.push(...window.end());
      for (const { records, undecided, last: after } of seconds) {
        const readings: CapturedRecord[] = [];
        for (const one of undecided.filter((one) => !this.#isListed(one)))
          readings.push(...(await this.#readAgain(one)));
        // Events and the readings that decide between them go together, so that a place after the one is after the other.
        await appendAll(this.#context, [...records, ...readings]);
        this.#counts.events += records.length;
        this.#advance({ window: { to, after } });
      }
      if (last === undefined) break;
      from = last;
      if (seconds.length > 0) await this.#save({});
    }
    this.#windowSeconds = pages > 1 ? windowSeconds : this.#windowSeconds * 2;
    await this.#save({ through: to, window: undefined });
  }

  /** Whether a listing that began after the second has read the object, and so decided already. */
  #isListed({ subject, second }: Undecided): boolean {
    return second <= (this.#cursor.listed[subject.stream] ?? -1) && subject.account === undefined;
  }

  /** Reads an object as it is now, for a second whose events do not tell its state. */
  async #readAgain({ subject, second }: Undecided): Promise<CapturedRecord[]> {
    const path = subject.id === undefined ? undefined : objectPath(subject.stream, subject.id);
    const object = path === undefined ? undefined : await this.#getAllowed(path, subject.account);
    if (object === undefined) {
      // Its events' own order stands. If the object is gone, the event that says so decides.
      this.#counts.undecided++;
      return [];
    }
    const reading = {
      second,
      rank: 1,
      readMs: this.#clock.now(),
      apiVersion: this.#spec.apiVersion,
    } as const;
    this.#counts.read_again++;
    return [readingRecord(this.#context.source, subject, object, reading)];
  }

  /** Undefined if there is no such object, or the key may not read it. */
  async #getAllowed(path: string, account: string | undefined): Promise<JsonObject | undefined> {
    try {
      return (await this.#api.get(path, this.#context.signal, account))?.object;
    } catch (error) {
      if (error instanceof WeirError && error.code === "stripe_permission_missing") return undefined;
      throw error;
    }
  }

  /**
   * Reads all objects of a type, then fences off those that are no more; in this order, so that none is missing for a
   * while. If the key may not list the type it is known by its events only, and nothing is fenced off.
   */
  async #list(type: string): Promise<void> {
    const { source, signal } = this.#context;
    const begun = this.#cursor.listing?.type === type ? this.#cursor.listing : undefined;
    const at = begun?.at ?? this.#horizon();
    for (let after = begun?.after; ;) {
      const page = await this.#listPage(type, after);
      if (page === "forbidden") return;
      if (page === undefined) {
        // The object to go on after was deleted: from the start, as its place is not known.
        after = undefined;
        continue;
      }
      const reading = {
        second: at,
        rank: 3,
        readMs: this.#clock.now(),
        apiVersion: this.#spec.apiVersion,
      } as const;
      const records = page.data.map((object) =>
        readingRecord(source, listedSubject(object), object, reading),
      );
      after = lastId(page);
      if (after === undefined) records.push(changeRecord(source, fenceChange(type, at)));
      await appendAll(this.#context, records);
      this.#counts.listed += page.data.length;
      if (after === undefined) break;
      await this.#save({ listing: { type, at, after } });
      signal.throwIfAborted();
    }
    await this.#save({ listing: undefined, listed: { ...this.#cursor.listed, [type]: at } });
  }

  async #listPage(type: string, after: string | undefined): Promise<Page | "forbidden" | undefined> {
    try {
      return await this.#api.list(listPath(type, pageSize, after), this.#context.signal);
    } catch (error) {
      if (!(error instanceof WeirError) || error.code !== "stripe_permission_missing") throw error;
      const { code, message } = error;
      if (!this.#skipped.has(type)) {
        this.#context.log("warn", `objects of type ${type} are not listed: ${message}`, { code });
      }
      this.#skipped.add(type);
      return "forbidden";
    }
  }

  #report(): void {
    const { listing, through } = this.#cursor;
    this.#context.report({
      ...(through === 0 ? {} : { eventsThrough: new Date(through * 1000).toISOString() }),
      lagSeconds: Math.max(0, this.#horizon() - through),
      listing: listing?.type ?? null,
      notListed: [...this.#skipped].join(", ") || null,
      ...this.#counts,
      requests: this.#api.requests,
    });
  }
}

function eventsPath(through: number, to: number, after: string | undefined): string {
  const params = new URLSearchParams({
    limit: String(pageSize),
    "created[gt]": String(through),
    "created[lte]": String(to),
  });
  if (after !== undefined) params.set("starting_after", after);
  return `/v1/events?${params.toString()}`;
}
