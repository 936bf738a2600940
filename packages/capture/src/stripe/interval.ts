import type { JsonObject } from "@weir/contract";
import { WeirError } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import type { Interval, IntervalCapture, IntervalPart, PartPlace } from "../interval.ts";
import { readParts } from "../interval.ts";
import { appendAll } from "../web/append.ts";
import { type Clock, systemClock } from "../web/clock.ts";
import { Passing } from "../web/retry.ts";
import { type Page, StripeApi, lastId } from "./api.ts";
import type { StripeCaptureOptions } from "./capture.ts";
import { listedSubject } from "./change.ts";
import type { StripeSource } from "./declare.ts";
import { type CreatedIn, creationOf, listPath } from "./objects.ts";
import { readingRecord } from "./reading.ts";

/*
 * The objects of each listed type that were created in an interval, as they are now.
 *
 * Invariant: a reading has the version of a listing (see change.ts) that began `hold` before its page was asked for. By then
 * every event up to that second was part of what the page has, so the reading wins over these; whatever happens later has
 * an event of a later second, which wins over the reading.
 *
 * The stamp of a page (its second, and when it is read) is saved before the page is asked for. A run that was killed
 * between append and save so writes the same records again, the objects that have not changed; one that has was changed after the
 * stamp, so its event decides. A stamp of long ago is not used: events that came since would win over what is read only now.
 */

/** How long a saved stamp is good for. */
const stampMs = 60_000;
/** The most that Stripe gives at once. */
const pageSize = 100;

interface Stamp {
  readonly second: number;
  readonly readMs: number;
}

/** The page to be read next: after an object, under a stamp. */
interface Place {
  readonly after: string | undefined;
  readonly stamp: Stamp;
}

/**
 * Reads the objects that were created in an interval.
 *
 * @throws WeirError `interval_unavailable` without an API key
 */
export function createStripeInterval(
  spec: StripeSource,
  interval: Interval,
  options: StripeCaptureOptions = {},
): IntervalCapture {
  if (spec.apiKey === undefined) {
    throw new WeirError("interval_unavailable", "Without an apiKey the source's objects cannot be listed.", {
      remedy: "Give the source an apiKey that may read them.",
    });
  }
  return new StripeInterval(spec, interval, options);
}

class StripeInterval implements IntervalCapture {
  readonly unit = "types";
  readonly settleMs: number;
  readonly #spec: StripeSource;
  readonly #created: CreatedIn;
  readonly #api: StripeApi;
  readonly #clock: Clock;
  /** Stripe's clock minus ours. */
  #aheadMs = 0;

  constructor(spec: StripeSource, { fromMs, toMs }: Interval, options: StripeCaptureOptions) {
    const { clock = systemClock, random = Math.random, idleMs = 60_000 } = options;
    this.settleMs = spec.holdMs;
    this.#spec = spec;
    // Objects are created in whole seconds.
    this.#created = { from: Math.ceil(fromMs / 1000), to: Math.ceil(toMs / 1000) };
    this.#clock = clock;
    this.#api = new StripeApi(spec, { clock, random, idleMs });
  }

  parts(): Promise<readonly IntervalPart[]> {
    const leftOut = "its objects do not say when they were created";
    return Promise.resolve(
      this.#spec.objects.map((name) => {
        return { name, rows: null, ...(creationOf(name) === "unknown" ? { leftOut } : {}) };
      }),
    );
  }

  async run(context: CaptureContext): Promise<void> {
    await readParts(context, {
      names: this.#spec.objects.filter((type) => creationOf(type) !== "unknown"),
      read: (type, at) => this.#read(context, type, at),
      // That Stripe does not answer at all is about every type.
      isItsOwn: ({ code, cause }) =>
        code === "stripe_permission_missing" ||
        (code === "stripe_request_failed" && !(cause instanceof Passing)),
    });
  }

  async #read(context: CaptureContext, type: string, at: PartPlace): Promise<void> {
    const { source, signal } = context;
    // Tells the time, too: a stamp of our own clock could be ahead of Stripe's events.
    await this.#page(type, 1, undefined, signal);
    let place = this.#placeOf(at.saved);
    for (;;) {
      await at.save(savedPlace(place));
      signal.throwIfAborted();
      const { after, stamp } = place;
      const page = await this.#page(type, pageSize, after, signal);
      if (page === undefined) {
        // The object to go on after was deleted: from the start, as its place is not known.
        place = { after: undefined, stamp: this.#stamp() };
        continue;
      }
      const objects = page.data.filter((object) => this.#isWithin(object));
      const reading = { ...stamp, rank: 3, apiVersion: this.#spec.apiVersion } as const;
      await appendAll(
        context,
        objects.map((object) => readingRecord(source, listedSubject(object), object, reading)),
      );
      at.appended(objects.length);
      const last = lastId(page);
      if (last === undefined) return;
      place = { after: last, stamp: this.#stamp() };
    }
  }

  /** Undefined if there is no such object as `after` any more. */
  async #page(
    type: string,
    limit: number,
    after: string | undefined,
    signal: AbortSignal,
  ): Promise<Page | undefined> {
    const page = await this.#api.list(listPath(type, limit, after, this.#created), signal);
    if (page === undefined && after === undefined)
      throw new WeirError("stripe_request_failed", `Stripe has no list of type ${type}.`, { where: type });
    if (page !== undefined) this.#aheadMs = page.serverMs - this.#clock.now();
    return page;
  }

  #placeOf({ second, readMs, after }: JsonObject = {}): Place {
    const isFresh =
      typeof second === "number" &&
      typeof readMs === "number" &&
      Math.abs(this.#clock.now() - readMs) < stampMs;
    return {
      after: typeof after === "string" ? after : undefined,
      stamp: isFresh ? { second, readMs } : this.#stamp(),
    };
  }

  /** Of a page that is asked for now. */
  #stamp(): Stamp {
    const readMs = this.#clock.now();
    return { second: Math.floor((readMs + this.#aheadMs - this.#spec.holdMs) / 1000) - 1, readMs };
  }

  /** Lists that cannot be asked for an interval have all objects. Where they can, some objects do not tell it again. */
  #isWithin({ created }: JsonObject): boolean {
    return typeof created !== "number" || (created >= this.#created.from && created < this.#created.to);
  }
}

function savedPlace({ after, stamp: { second, readMs } }: Place): JsonObject {
  return { second, readMs, ...(after === undefined ? {} : { after }) };
}
