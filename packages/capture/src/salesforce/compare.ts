import type { Change } from "@weir/contract";
import { changeRecord } from "../capture.ts";
import { appendAll } from "../web/append.ts";
import { createJob, jobState, refusesObject, resultPage } from "./bulk.ts";
import { Refusal } from "./client.ts";
import type { Description } from "./describe.ts";
import type { IdJournal } from "./id-journal.ts";
import type { Shared } from "./object-capture.ts";
import { queryAddress, restPage, rowsOf } from "./rest-query.ts";
import { deletion, rowChange } from "./row.ts";
import { idsQuery, rowsQuery } from "./soql.ts";

/** Below this many rows a comparison deletes whatever it finds gone. */
const fewRows = 100;
const jobPollMs = 5000;
/** Rows read by their ids at once; each takes 24 bytes of the address. */
const rowsAtOnce = 100;

/**
 * Compares the ids that Salesforce has with those captured. What is gone without a trace is deleted; what was never captured,
 * because it became visible after its stamp had been passed or the user may see it only now, is read. Both get the stamp
 * `through`, up to which all rows have been read, unless their own is later; so they win over what is known of them, and
 * what happens from now on wins over them.
 *
 * So many rows that were never captured (`isUnclear`) are better read with all the others: that is for the caller.
 *
 * Not resumed after a crash but begun again, with equal outcomes.
 *
 * @throws what the client throws
 */
export async function compareIds(
  shared: Shared,
  description: Description,
  journal: IdJournal,
  at: { readonly through: string; readonly pass: number },
): Promise<{ missing: number; found: number; isUnclear: boolean }> {
  const { context, spec } = shared;
  const { name } = description;
  const isFirst = !journal.exists();
  const { missing, unknown, known } = await journal.compare(listIds(shared, description, at.through));
  const tooMany = missing.length > fewRows && missing.length > known * spec.compareMaxMissing;
  if (tooMany) {
    const message = `${missing.length} of ${known} rows of ${name} are gone without a trace; they are kept, as their number may mean lost permissions`;
    context.log("warn", message, { code: "salesforce_many_missing", object: name });
  } else {
    for (let i = 0; i < missing.length; i += 1000) {
      const ids = missing.slice(i, i + 1000);
      const gone = ids.map((id) => deletion(name, id, { stamp: at.through, at: at.through }));
      await append(shared, gone);
      journal.add(ids, "-");
    }
  }
  // Captured before ids were kept, or the file was lost: what is there now is what the next comparison begins with.
  if (isFirst)
    for (let i = 0; i < unknown.length; i += 10_000) journal.add(unknown.slice(i, i + 10_000), "+");
  const isUnclear = !isFirst && unknown.length > spec.bulkRows;
  let found = 0;
  const toRead = isFirst || isUnclear ? [] : unknown;
  for (let i = 0; i < toRead.length && !context.signal.aborted; i += rowsAtOnce) {
    found += await readRows(shared, description, journal, toRead.slice(i, i + rowsAtOnce), at);
  }
  await journal.compact();
  return { missing: tooMany ? 0 : missing.length, found, isUnclear };
}

async function append({ context }: Shared, changes: readonly Change[]): Promise<void> {
  const records = changes.map((change) => changeRecord(context.source, change));
  await appendAll(context, records);
}

/** Reads rows by their ids. Those that are deleted were never seen, and need not be. */
async function readRows(
  shared: Shared,
  description: Description,
  journal: IdJournal,
  ids: readonly string[],
  { through, pass }: { readonly through: string; readonly pass: number },
): Promise<number> {
  const { client, context } = shared;
  let found = 0;
  let address: string | undefined = queryAddress(rowsQuery(description, ids));
  while (address !== undefined) {
    const page = await restPage(client, address, context.signal);
    if (page === undefined) break;
    const rows = rowsOf(description, page).filter(({ isDeleted }) => !isDeleted);
    await append(
      shared,
      rows.map((row) => {
        const stamp = row.stamp > through ? row.stamp : through;
        return rowChange(description.name, row, { pass, op: "update", stamp });
      }),
    );
    journal.add(
      rows.map(({ id }) => id),
      "+",
    );
    found += rows.length;
    address = page.next;
  }
  return found;
}

/** All ids of the object's rows, also of those in the recycle bin. */
async function* listIds(
  shared: Shared,
  description: Description,
  through: string,
): AsyncGenerator<readonly string[]> {
  const { client, context, spec } = shared;
  const query = idsQuery(description, through);
  let address: string | undefined = queryAddress(`${query} ORDER BY Id`);
  for (let isFirst = true; address !== undefined; isFirst = false) {
    const page = await restPage(client, address, context.signal);
    if (page === undefined)
      throw new Refusal("INVALID_QUERY_LOCATOR", "A list of ids expired.", description.name);
    if (isFirst && page.total > spec.bulkRows && spec.mode !== "rest") {
      const job = await finishedJob(shared, query);
      if (job !== undefined) {
        yield* jobIds(shared, job);
        return;
      }
    }
    yield page.rows.flatMap(({ Id }) => (typeof Id === "string" ? [Id] : []));
    address = page.next;
  }
}

/** A job that has run; undefined if the Bulk API did not do it. */
async function finishedJob({ client, clock, context }: Shared, query: string): Promise<string | undefined> {
  const { signal } = context;
  let id: string;
  try {
    id = await createJob(client, query, signal);
  } catch (error) {
    if (error instanceof Refusal && refusesObject(error)) return undefined;
    throw error;
  }
  for (;;) {
    const { state } = await jobState(client, id, signal);
    if (state === "complete") return id;
    if (state !== "working") return undefined;
    await clock.sleep(jobPollMs, signal);
  }
}

async function* jobIds({ client, context }: Shared, id: string): AsyncGenerator<readonly string[]> {
  let locator: string | undefined;
  do {
    // An id is short, so a page of them is held in memory. A page that breaks off comes again; a set has each once.
    const ids = new Set<string>();
    const page = await resultPage(client, { id, locator, rows: 0 }, context.signal, (_header, rows) => {
      for (const [one] of rows) if (one !== undefined) ids.add(one);
      return Promise.resolve();
    });
    if (page === undefined) throw new Refusal("NOT_FOUND", "A list of ids expired.", "/jobs/query");
    yield [...ids];
    locator = page.next;
  } while (locator !== undefined);
}
