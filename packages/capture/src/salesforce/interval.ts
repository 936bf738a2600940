import type { JsonObject } from "@weir/contract";
import { WeirError, isJsonObject } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import { changeRecord } from "../capture.ts";
import type { Interval, IntervalCapture, IntervalPart, PartPlace } from "../interval.ts";
import { loadedInterval, readParts } from "../interval.ts";
import { appendAll } from "../web/append.ts";
import { systemClock } from "../web/clock.ts";
import type { SalesforceCaptureOptions } from "./capture.ts";
import { Refusal, SalesforceClient } from "./client.ts";
import type { SpanPlace } from "./cursor.ts";
import type { SalesforceSource } from "./declare.ts";
import { readDeleted } from "./deleted.ts";
import { type Description, describe } from "./describe.ts";
import type { Shared } from "./object-capture.ts";
import { Quota } from "./quota.ts";
import { queryAddress, restPage } from "./rest-query.ts";
import { type ReadRow, backfillPass, deletion, rowChange } from "./row.ts";
import { type Span, countQuery } from "./soql.ts";
import { SpanReader } from "./span-reader.ts";
import { UsageFiles } from "./usage-files.ts";

/*
 * The rows of each object whose SystemModstamp is in an interval, as they are now, and what was deleted in it.
 *
 * Invariant: rows have the versions that live capture gives them (see row.ts): SystemModstamp first, so a later change wins, whoever reads
 * it. Of two readings at one stamp the one of the later pass wins; an interval is a pass, whose number is saved before a row of
 * the object is read. A run that goes on after a crash so writes the same records again, but for rows that have changed since, whose
 * stamps are later. Deletions have one version however they are learned of: they are the very records that live capture writes.
 *
 * The file of ids of live capture is not touched: it has one writer.
 */

export interface SalesforceIntervalOptions extends SalesforceCaptureOptions {
  /** Of the source's share of the organisation's quota, for all backfills of the source together. */
  readonly share: number;
}

/** Reads the rows that changed last in an interval. */
export function createSalesforceInterval(
  spec: SalesforceSource,
  interval: Interval,
  options: SalesforceIntervalOptions,
): IntervalCapture {
  return {
    unit: "objects",
    settleMs: spec.settleMs,
    parts: () => parts(spec, interval, options),
    run: (context) => run(spec, interval, options, context),
  };
}

/** Stamps have milliseconds at most, so that this is what is from `fromMs` on and before `toMs`. */
const spanOf = ({ fromMs, toMs }: Interval): Span => ({
  through: new Date(fromMs - 1).toISOString(),
  upTo: new Date(toMs - 1).toISOString(),
});

function connect(
  spec: SalesforceSource,
  { clock = systemClock, random = Math.random, idleMs = 120_000, share }: SalesforceIntervalOptions,
  log: CaptureContext["log"],
  usage?: UsageFiles,
): { quota: Quota; client: SalesforceClient } {
  const shares = { source: spec.quotaShare, backfills: share, ...(usage === undefined ? {} : { usage }) };
  const quota = new Quota(clock, shares, (state, why) => {
    if (state === "stopped") log("warn", `it waits: ${why}`, { code: "salesforce_quota_reached" });
  });
  return { quota, client: new SalesforceClient(spec, { clock, random, idleMs, quota }) };
}

async function parts(
  spec: SalesforceSource,
  interval: Interval,
  options: SalesforceIntervalOptions,
): Promise<IntervalPart[]> {
  const { client } = connect(spec, options, () => {});
  const { signal } = new AbortController();
  const found: IntervalPart[] = [];
  for (const name of spec.objects) {
    try {
      const description = await describe(client, name, signal);
      const page = await restPage(client, queryAddress(countQuery(description, spanOf(interval))), signal);
      found.push({ name, rows: page?.total ?? null });
    } catch (error) {
      if (!(error instanceof WeirError) || !isItsOwn(error)) throw error;
      found.push({ name, rows: null, leftOut: error.message });
    }
  }
  return found;
}

const isItsOwn = (error: WeirError): boolean =>
  error instanceof Refusal || error.code === "salesforce_object_unavailable";

async function run(
  spec: SalesforceSource,
  interval: Interval,
  options: SalesforceIntervalOptions,
  context: CaptureContext,
): Promise<void> {
  const { clock = systemClock } = options;
  const usage = new UsageFiles(options.stateDir, `${interval.fromMs}-${interval.toMs}`);
  const { quota, client } = connect(spec, options, (...told) => context.log(...told), usage);
  quota.load(loadedInterval(context.cursor).kept["usage"]);
  await readParts(context, {
    names: spec.objects,
    read: (name, at) => new ObjectInterval({ spec, client, clock, context }, name, interval, at).read(),
    isItsOwn,
    kept: () => ({ usage: quota.save() }),
  });
}

type Reading = Pick<Shared, "spec" | "client" | "clock" | "context">;

/** One object's rows of an interval. */
class ObjectInterval {
  readonly #shared: Reading;
  readonly #name: string;
  readonly #interval: Interval;
  readonly #at: PartPlace;
  readonly #reader: SpanReader;
  #pass = 0;
  #place: SpanPlace = {};

  constructor(shared: Reading, name: string, interval: Interval, at: PartPlace) {
    this.#shared = shared;
    this.#name = name;
    this.#interval = interval;
    this.#at = at;
    this.#reader = new SpanReader(shared, name, { pages: 0, jobs: 0 });
  }

  async read(): Promise<void> {
    const { client, context } = this.#shared;
    const { pass, place } = this.#at.saved ?? {};
    // Its answer tells Salesforce's time.
    let description = await describe(client, this.#name, context.signal);
    this.#pass = typeof pass === "number" ? pass : backfillPass(client.serverNow());
    await this.#save(isJsonObject(place) ? place : {});
    try {
      await this.#readRows(description);
    } catch (error) {
      if (!(error instanceof Refusal) || error.reason !== "INVALID_FIELD") throw error;
      // A field was removed, or hidden from the user, since the fields were asked for.
      description = await describe(client, this.#name, context.signal);
      await this.#readRows(description);
    }
    if (description.isReplicateable) await this.#readDeletions();
  }

  async #readRows(description: Description): Promise<void> {
    const { clock, context } = this.#shared;
    const { signal } = context;
    for (;;) {
      const isDone = await this.#reader.read(description, spanOf(this.#interval), this.#place, {
        take: (rows) => this.#take(rows),
        advance: (place) => this.#save(place),
        save: (place) => this.#save(place),
      });
      signal.throwIfAborted();
      if (isDone) return;
      await clock.sleep(this.#reader.pollMs, signal);
      signal.throwIfAborted();
    }
  }

  async #take(rows: readonly ReadRow[]): Promise<void> {
    const { context } = this.#shared;
    const changes = rows.map((row) => rowChange(this.#name, row, { pass: this.#pass, op: "snapshot" }));
    await appendAll(
      context,
      changes.map((change) => changeRecord(context.source, change)),
    );
    this.#at.appended(rows.length);
  }

  /** Rows that were purged from the recycle bin are in no query, only in Salesforce's own list of deletions. */
  async #readDeletions(): Promise<void> {
    const { context } = this.#shared;
    const { fromMs, toMs } = this.#interval;
    // The list goes by whole minutes.
    const upTo = new Date(Math.ceil(toMs / 60_000) * 60_000).toISOString();
    const { told, hasGap } = await readDeleted(
      this.#shared,
      this.#name,
      new Date(fromMs).toISOString(),
      upTo,
    );
    context.signal.throwIfAborted();
    const within = told.filter(({ at }) => Date.parse(at) >= fromMs && Date.parse(at) < toMs);
    await appendAll(
      context,
      within.map(({ id, at }) => changeRecord(context.source, deletion(this.#name, id, { stamp: at, at }))),
    );
    this.#at.appended(within.length);
    if (!hasGap) return;
    const message = `${this.#name}: Salesforce tells of purged rows for 15 days only; those of before are found when ids are compared`;
    context.log("warn", message, { object: this.#name });
  }

  async #save(place: SpanPlace): Promise<void> {
    this.#place = place;
    // What is undefined is left out.
    const saved = JSON.parse(JSON.stringify({ pass: this.#pass, place })) as JsonObject;
    await this.#at.save(saved);
  }
}
