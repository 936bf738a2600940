import type { IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http";
import type { PushSource } from "./source.ts";

/** Seconds for which a browser may remember a preflight; Chromium's own maximum. */
const maxAgeS = "7200";

/**
 * CORS for `/v1` (the Fetch standard, section 3.2). Cookies are never looked at, so credentials are never allowed. A preflight
 * shows no write key, and an early refusal knows none, so both go by the origins of all sources; what a request
 * writes goes by those of its own source.
 */
export class Cors {
  readonly #all: ReadonlySet<string>;

  constructor(sources: readonly PushSource[]) {
    this.#all = new Set(sources.flatMap((source) => source.cors.origins));
  }

  /** Headers of an answer, of whatever status, so that the page may read it. */
  headers({ origin }: IncomingHttpHeaders): OutgoingHttpHeaders {
    if (origin === undefined) return {};
    const shared = { "access-control-expose-headers": "retry-after" };
    if (this.#all.has("*")) return { ...shared, "access-control-allow-origin": "*" };
    if (this.#all.has(origin)) return { ...shared, "access-control-allow-origin": origin, vary: "origin" };
    return { vary: "origin" };
  }

  /** Headers of the answer to a preflight. Any request header is allowed: none of them carries authority without a write key. */
  preflight(headers: IncomingHttpHeaders): OutgoingHttpHeaders {
    const requested = headers["access-control-request-headers"];
    return {
      ...this.headers(headers),
      "access-control-allow-methods": "POST",
      ...(requested === undefined ? {} : { "access-control-allow-headers": requested }),
      "access-control-max-age": maxAgeS,
    };
  }
}

/** Whether a page of this origin may write to the source. What is sent without an origin is no page. */
export function mayWrite({ cors }: PushSource, origin: string | undefined): boolean {
  return origin === undefined || cors.origins.includes("*") || cors.origins.includes(origin);
}
