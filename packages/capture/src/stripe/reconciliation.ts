import type { JsonObject } from "@weir/contract";
import { WeirError } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import { changeRecord } from "../capture.ts";
import type { Clock } from "../web/clock.ts";
import type { Page, StripeApi } from "./api.ts";
import { fenceChange, listedSubject, readingChange } from "./change.ts";
import { type StripeCursor, loadedCursor, savedCursor } from "./cursor.ts";
import type { StripeSource } from "./declare.ts";
import { listPath, objectPath } from "./objects.ts";
import { EventWindow, type Undecided } from "./window.ts";

/** Stripe keeps events for 30 days; the hour is for the time that reading the oldest takes. */
const keptSeconds = 30 * 86_400 - 3600;
/** Events are read in windows of at most this, so that catching up saves its way and memory is bounded. */
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

  /** Until the signal aborts. */
  async run(): Promise<void> {
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

  async #save(change: Partial<StripeCursor>): Promise<void> {
    this.#cursor = { ...this.#cursor, ...change };
    await this.#context.saveCursor(savedCursor(this.#cursor));
    this.#report();
  }

  /** Reads the events after `through`, up to an hour of them, and nothing of what is younger than the horizon. */
  async #readWindow(horizon: number): Promise<void> {
    const { source, signal } = this.#context;
    const { through, window: begun } = this.#cursor;
    const to = begun?.to ?? Math.min(horizon, through + windowSeconds);
    const window = new EventWindow(source, this.#spec.apiVersion);
    for (let from = begun?.after; ;) {
      const page = await this.#api.list(eventsPath(through, to, from), signal);
      if (page === undefined) {
        // The event to go on after is no longer kept.
        await this.#save({ window: undefined });
        return;
      }
      const seconds = window.add(page.data);
      const last = lastId(page);
      if (last === undefined) seconds.push(...window.end());
      for (const { records, undecided } of seconds) {
        await this.#context.append(records);
        this.#counts.events += records.length;
        for (const one of undecided) await this.#readAgain(one);
      }
      if (last === undefined) break;
      from = last;
      const after = seconds.at(-1)?.last;
      if (after !== undefined) await this.#save({ window: { to, after } });
    }
    await this.#save({ through: to, window: undefined });
  }

  /** Reads an object as it is now, for a second whose events do not tell its state. */
  async #readAgain({ subject, second }: Undecided): Promise<void> {
    const path = subject.id === undefined ? undefined : objectPath(subject.stream, subject.id);
    const object = path === undefined ? undefined : await this.#getAllowed(path, subject.account);
    if (object === undefined) {
      // Its events' own order stands. If the object is gone, the event that says so decides.
      this.#counts.undecided++;
      return;
    }
    const reading = {
      second,
      rank: 1,
      readMs: this.#clock.now(),
      apiVersion: this.#spec.apiVersion,
    } as const;
    await this.#context.append([changeRecord(this.#context.source, readingChange(subject, object, reading))]);
    this.#counts.read_again++;
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
      const records = page.data.flatMap((object) => {
        const subject = listedSubject(object);
        return typeof subject === "string"
          ? []
          : [changeRecord(source, readingChange(subject, object, reading))];
      });
      await this.#context.append(records);
      this.#counts.listed += records.length;
      after = lastId(page);
      if (after === undefined) break;
      await this.#save({ listing: { type, at, after } });
      signal.throwIfAborted();
    }
    await this.#context.append([changeRecord(source, fenceChange(type, at))]);
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
      ...(through === 0 ? {} : { events_through: new Date(through * 1000).toISOString() }),
      lag_s: Math.max(0, this.#horizon() - through),
      listing: listing?.type ?? null,
      not_listed: [...this.#skipped].join(", ") || null,
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

/** The object that the next page begins after; undefined if this is the last page. */
function lastId({ data, hasMore }: Page): string | undefined {
  const last = data.at(-1)?.["id"];
  return hasMore && typeof last === "string" ? last : undefined;
}
