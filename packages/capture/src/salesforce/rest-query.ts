import type { Json, JsonObject } from "@weir/contract";
import { isJsonObject } from "@weir/contract";
import { Refusal, type SalesforceClient } from "./client.ts";
import type { Description } from "./describe.ts";
import { type ReadRow, readRow, restValue } from "./row.ts";

export interface RestPage {
  readonly rows: readonly JsonObject[];
  /** Of the whole query. */
  readonly total: number;
  /** Address of the next page; it is good for a while only. */
  readonly next: string | undefined;
}

/** Salesforce refuses addresses of more than 16,384 bytes; the host and the headers are not part of it. */
const maxAddress = 16_000;
/** The most that Salesforce gives; it may give less. */
const pageRows = 2000;

export const queryAddress = (soql: string): string => `/queryAll?q=${encodeURIComponent(soql)}`;

/** Whether a query can be sent as an address at all: hundreds of custom fields make one that is too long. */
export const fitsAddress = (soql: string): boolean => queryAddress(soql).length <= maxAddress;

/**
 * A page of a query, deleted and archived rows included.
 *
 * @returns undefined if the address of the page has expired: the query has to be asked again
 * @throws what the client throws
 */
export async function restPage(
  client: SalesforceClient,
  address: string,
  signal: AbortSignal,
): Promise<RestPage | undefined> {
  let reply: Json;
  try {
    reply = await client.json(address, signal, {
      headers: { "sforce-query-options": `batchSize=${pageRows}` },
    });
  } catch (error) {
    if (error instanceof Refusal && error.reason === "INVALID_QUERY_LOCATOR") return undefined;
    throw error;
  }
  const records = isJsonObject(reply) ? reply["records"] : undefined;
  if (!isJsonObject(reply) || !Array.isArray(records))
    throw new Refusal("", "The answer is no page of a query.", address.slice(0, 100));
  const { totalSize, done, nextRecordsUrl } = reply;
  const next = done === false && typeof nextRecordsUrl === "string" ? nextRecordsUrl : undefined;
  return { rows: records.filter(isJsonObject), total: typeof totalSize === "number" ? totalSize : 0, next };
}

/** The rows of a page, read; and how many were not rows of the object. */
export function rowsOf(description: Description, page: RestPage): ReadRow[] {
  return page.rows.flatMap((record) => {
    const row = readRow(description, (field) => restValue(field, record[field.name]));
    return row === undefined ? [] : [row];
  });
}
