import { WeirError } from "@weir/contract";
import { createJob, jobState, refusesObject, resultPage } from "./bulk.ts";
import { Refusal } from "./client.ts";
import type { Job, SpanPlace } from "./cursor.ts";
import type { Description } from "./describe.ts";
import type { Shared } from "./object-capture.ts";
import { fitsAddress, queryAddress, restPage, rowsOf } from "./rest-query.ts";
import { type ReadRow, csvValue, readRow } from "./row.ts";
import { type Span, bulkQuery, pageQuery } from "./soql.ts";

/** A job is looked at again after this, and half as much longer each time. */
const pollMs = { first: 2000, longest: 60_000 };
/** Jobs that fail before a span is read by the REST API. */
const maxFailedJobs = 3;

/** Who takes the rows of a span. */
export interface SpanTaker {
  /** Resolves when they are durable. */
  take(rows: readonly ReadRow[]): Promise<void>;
  /** What is taken reaches up to there. Called between the rows of a page of a job's results. */
  advance(place: SpanPlace): void | Promise<void>;
  /** The same, and it has to be durable before reading goes on. */
  save(place: SpanPlace): Promise<void>;
}

/** Reads the rows of an object whose stamps are in a span: by pages of the REST API, or by a job of the Bulk API. */
export class SpanReader {
  readonly #shared: Pick<Shared, "client" | "context" | "spec">;
  readonly #name: string;
  readonly #counts: { pages: number; jobs: number };
  #pollMs = pollMs.first;
  #failedJobs = 0;
  /** The Bulk API does not take the object. */
  #isRestOnly = false;

  constructor(
    shared: Pick<Shared, "client" | "context" | "spec">,
    name: string,
    counts: { pages: number; jobs: number },
  ) {
    this.#shared = shared;
    this.#name = name;
    this.#counts = counts;
  }

  /** When to come back after a read that is not done. */
  get pollMs(): number {
    return this.#pollMs;
  }

  /** Another span comes: jobs may be tried again. */
  begin(): void {
    this.#failedJobs = 0;
  }

  /**
   * Reads as far as there is something to read. Tells whether the span is done; it is not while a job runs, or when the signal aborts.
   *
   * @param from the last place that was saved
   * @throws what the client throws; `salesforce_object_unavailable` where neither API takes the query
   */
  async read(description: Description, span: Span, from: SpanPlace, to: SpanTaker): Promise<boolean> {
    return from.job === undefined
      ? await this.#readPages(description, span, from, to)
      : await this.#readJob(description, from.job, to);
  }

  /** Reads by pages of the REST API, or finds that the span is one for the Bulk API. */
  async #readPages(description: Description, span: Span, from: SpanPlace, to: SpanTaker): Promise<boolean> {
    const { client, context, spec } = this.#shared;
    let { place } = from;
    for (;;) {
      const query = pageQuery(description, span, place);
      const fits = fitsAddress(query);
      const mayJob = !this.#isRestOnly && spec.mode !== "rest" && this.#failedJobs < maxFailedJobs;
      if (place === undefined && mayJob && (spec.mode === "bulk" || !fits)) {
        if (await this.#startJob(description, span, to)) return false;
        continue;
      }
      if (!fits) {
        const message = `The query of ${this.#name} is too long for the REST API, and the Bulk API does not take it.`;
        throw new WeirError("salesforce_object_unavailable", message, { where: this.#name });
      }
      for (let address: string | undefined = queryAddress(query); address !== undefined;) {
        const page = await restPage(client, address, context.signal);
        if (page === undefined) break;
        if (place === undefined && mayJob && page.total > spec.bulkRows) {
          if (await this.#startJob(description, span, to)) return false;
        }
        const rows = rowsOf(description, page);
        await to.take(rows);
        this.#counts.pages++;
        const last = rows.at(-1);
        if (page.next === undefined) return true;
        if (last !== undefined) place = { stamp: last.stamp, id: last.id };
        await to.save(place === undefined ? {} : { place });
        if (context.signal.aborted) return false;
        address = page.next;
      }
      // The address of the next page has expired: asked again, from the last row on.
    }
  }

  /** False if the Bulk API does not take the object. */
  async #startJob(description: Description, span: Span, to: SpanTaker): Promise<boolean> {
    const { client, context } = this.#shared;
    let id: string;
    try {
      id = await createJob(client, bulkQuery(description, span), context.signal);
    } catch (error) {
      if (!(error instanceof Refusal) || !refusesObject(error)) throw error;
      context.log("info", `the Bulk API does not take ${this.#name}: ${error.reason}`, {
        object: this.#name,
      });
      this.#isRestOnly = true;
      return false;
    }
    this.#counts.jobs++;
    this.#pollMs = pollMs.first;
    await to.save({ job: { id } });
    return true;
  }

  /** Looks at a job and reads its results, if it is finished. */
  async #readJob(description: Description, job: Job, to: SpanTaker): Promise<boolean> {
    const { client, context } = this.#shared;
    const { state, message } = await jobState(client, job.id, context.signal);
    if (state === "working") {
      this.#pollMs = Math.min(pollMs.longest, this.#pollMs * 1.5);
      return false;
    }
    if (state !== "complete") return await this.#dropJob(to, message, state === "failed");
    for (let at: Job = job; ;) {
      const { id, locator, rows = 0 } = at;
      const page = await resultPage(
        client,
        { id, locator, rows },
        context.signal,
        async (header, some, taken) => {
          await to.take(csvRows(description, header, some));
          await to.advance({ job: { id, locator, rows: taken } });
        },
      );
      if (page === undefined) return await this.#dropJob(to, "its results are no more", false);
      this.#counts.pages++;
      if (page.next === undefined) return true;
      at = { id, locator: page.next };
      await to.save({ job: at });
      if (context.signal.aborted) return false;
    }
  }

  /** Begins reading anew, after a job came to nothing. */
  async #dropJob(to: SpanTaker, message: string, isFailure: boolean): Promise<boolean> {
    const { context } = this.#shared;
    if (isFailure) this.#failedJobs++;
    context.log("warn", `a bulk job of ${this.#name} is given up: ${message}`, { object: this.#name });
    this.#pollMs = pollMs.first;
    await to.save({});
    return false;
  }
}

function csvRows(
  description: Description,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): ReadRow[] {
  const places = new Map(header.map((name, i) => [name, i]));
  return rows.flatMap((values) => {
    const row = readRow(description, (field) => csvValue(field, values[places.get(field.name) ?? -1] ?? ""));
    return row === undefined ? [] : [row];
  });
}
