import { hash } from "node:crypto";

/**
 * Ids of log records, which have none of their own: the hash of a record's content and resource, and for the n-th equal record
 * of one request the number n.
 *
 * So a request that is sent again gives the same ids, and equal records of one request stay apart. What cannot be told apart
 * is an equal record in another request from the same record sent again: of these one stays. Records are equal if they agree in
 * everything, time (to the nanosecond, if the source says it) and resource included.
 */
export class LogIds {
  readonly #seen = new Map<string, number>();

  of(content: string): string {
    // 128 bits: with 10^12 records a collision is as likely as 1 in 10^14.
    const id = hash("sha256", content, "hex").slice(0, 32);
    const before = this.#seen.get(id) ?? 0;
    this.#seen.set(id, before + 1);
    return before === 0 ? id : `${id}-${before}`;
  }
}
