import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parse } from "csv-parse";
import type { Json } from "@weir/contract";
import { isJsonObject } from "@weir/contract";
import type { Reply } from "../web/exchange.ts";
import { Passing } from "../web/retry.ts";
import { NotTheAnswer, Refusal, type SalesforceClient } from "./client.ts";

export type JobState = "working" | "complete" | "failed" | "gone";

/** Rows of one page of results. Smaller pages cost more requests, larger ones are lost whole when a connection breaks. */
const pageRows = 50_000;
/** Rows, and characters of them, handed over at once. */
const batchRows = 1000;
const batchCharacters = 4 * 1024 * 1024;

/**
 * Makes a query job (Bulk API 2.0), deleted and archived rows included. Sent twice, as after a lost reply, it makes two jobs, of which one is
 * never looked at again; Salesforce removes it after 7 days.
 *
 * @returns its id
 * @throws what the client throws
 */
export async function createJob(
  client: SalesforceClient,
  soql: string,
  signal: AbortSignal,
): Promise<string> {
  const body = {
    operation: "queryAll",
    query: soql,
    contentType: "CSV",
    columnDelimiter: "COMMA",
    lineEnding: "LF",
  };
  const job = await client.json("/jobs/query", signal, { method: "POST", body });
  const id = isJsonObject(job) ? job["id"] : undefined;
  if (typeof id !== "string") throw new Refusal("", "The new job has no id.", "/jobs/query");
  return id;
}

/** Whether a new job was refused because of what it asks for, and not because there are too many jobs, say: pages may do. */
export function refusesObject({ reason }: Refusal): boolean {
  return reason !== "INVALID_FIELD" && !/LIMIT|QUOTA|EXCEED|TOO_?MANY/i.test(reason);
}

/** How a job is doing, and Salesforce's words if it failed. */
export async function jobState(
  client: SalesforceClient,
  id: string,
  signal: AbortSignal,
): Promise<{ state: JobState; message: string }> {
  let job: Json;
  try {
    job = await client.json(`/jobs/query/${encodeURIComponent(id)}`, signal);
  } catch (error) {
    if (isGone(error)) return { state: "gone", message: "the job is no more" };
    throw error;
  }
  const { state, errorMessage } = isJsonObject(job) ? job : {};
  const message = typeof errorMessage === "string" ? errorMessage.slice(0, 500) : "";
  if (state === "JobComplete") return { state: "complete", message };
  if (state === "Failed" || state === "Aborted") return { state: "failed", message: message || state };
  return { state: "working", message };
}

export interface ResultPage {
  /** Where the next page begins; undefined after the last. */
  readonly next: string | undefined;
  readonly rows: number;
}

/**
 * Reads a page of a finished job's results. `take` gets a header and some rows below it, several times, in order. If the page breaks off
 * it is read again, and the rows that `take` got are passed over: results are a file, and do not change.
 *
 * @param job `rows`: how many rows of the page were taken before, by another process say
 * @returns undefined if the results are no more (they are kept for 7 days)
 * @throws what `take` throws; what the client throws
 */
export async function resultPage(
  client: SalesforceClient,
  job: { readonly id: string; readonly locator: string | undefined; readonly rows: number },
  signal: AbortSignal,
  take: TakeRows,
): Promise<ResultPage | undefined> {
  const locator = job.locator === undefined ? "" : `&locator=${encodeURIComponent(job.locator)}`;
  const path = `/jobs/query/${encodeURIComponent(job.id)}/results?maxRecords=${pageRows}${locator}`;
  const progress = { rows: job.rows };
  try {
    return await client.read(path, signal, { headers: { accept: "text/csv" } }, (reply) =>
      readPage(reply, progress, take),
    );
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Takes rows; `taken` is how many rows of the page that makes. */
export type TakeRows = (
  header: readonly string[],
  rows: readonly (readonly string[])[],
  taken: number,
) => Promise<void>;

async function readPage(reply: Reply, progress: { rows: number }, take: TakeRows): Promise<ResultPage> {
  const parser = parse({ bom: true, relax_column_count: false });
  const feeding = pipeline(Readable.from(reply.chunks()), parser);
  // Its failure arrives through the parser, too.
  feeding.catch(() => {});
  let header: readonly string[] | undefined;
  let batch: (readonly string[])[] = [];
  let rows = 0;
  let characters = 0;
  const flush = async (): Promise<void> => {
    if (header === undefined || batch.length === 0) return;
    try {
      await take(header, batch, rows);
    } catch (error) {
      throw new NotTheAnswer(error);
    }
    progress.rows = rows;
    batch = [];
    characters = 0;
  };
  for await (const record of parser as AsyncIterable<readonly string[]>) {
    if (header === undefined) {
      header = record;
      continue;
    }
    rows++;
    if (rows <= progress.rows) continue;
    batch.push(record);
    for (const text of record) characters += text.length;
    if (batch.length >= batchRows || characters >= batchCharacters) await flush();
  }
  await feeding;
  // A reply that ends early between two lines is a valid, shorter CSV.
  const said = reply.headers.get("sforce-numberofrecords");
  if (said !== null && Number(said) !== rows) throw new Passing(`the page has ${rows} of ${said} rows`);
  await flush();
  const next = reply.headers.get("sforce-locator");
  return { next: next === null || next === "null" || next === "" ? undefined : next, rows };
}

/** Salesforce's ways to say that there is no such job, or no longer its results. */
function isGone(error: unknown): boolean {
  return (
    error instanceof Refusal &&
    ["NOT_FOUND", "INVALIDJOB", "INVALID_JOB", "404", "410"].includes(error.reason)
  );
}
