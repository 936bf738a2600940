import { timingSafeEqual } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { WeirError } from "@weir/contract";

interface KeyEntry<S> {
  readonly bytes: Buffer;
  readonly source: S;
}

/** Which source a write key belongs to. */
export class WriteKeys<S> {
  readonly #entries: KeyEntry<S>[] = [];

  /** @throws WeirError `invalid_source` if another source has the key already */
  add(key: string, source: S): void {
    const bytes = Buffer.from(key);
    if (this.#entries.some((entry) => entry.bytes.equals(bytes))) {
      throw new WeirError("invalid_source", "Two sources share a write key; records could belong to either.");
    }
    this.#entries.push({ bytes, source });
  }

  /** The source of a key. Takes the same time for every key of one length: all are compared, and none up to its first difference only. */
  find(key: string): S | undefined {
    const bytes = Buffer.from(key);
    let found: S | undefined;
    for (const entry of this.#entries) {
      if (entry.bytes.length === bytes.length && timingSafeEqual(entry.bytes, bytes)) found = entry.source;
    }
    return found;
  }
}

/**
 * The write key that a request shows, by the first of these that is there: `Authorization` (Bearer, or the user name of Basic),
 * the header `x-write-key`, the query parameter `writeKey`.
 */
export function shownKey(
  headers: IncomingHttpHeaders,
  query: URLSearchParams | undefined,
): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, scheme = "", credentials = ""] = /^(\w+) +(\S+) *$/.exec(authorization) ?? [];
    if (scheme.toLowerCase() === "bearer") return credentials;
    if (scheme.toLowerCase() !== "basic") return "";
    return Buffer.from(credentials, "base64").toString().split(":", 1)[0];
  }
  const header = headers["x-write-key"];
  if (typeof header === "string") return header;
  return query?.get("writeKey") ?? undefined;
}
