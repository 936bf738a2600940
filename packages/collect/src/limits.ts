import { WeirError } from "@weir/contract";
import type { RecordLimits } from "./scan.ts";

/** Bounds of one source. */
export interface SourceLimits extends RecordLimits {
  /** Records of one request. */
  readonly records: number;
  /** Requests and body bytes (as sent) a second for each write key, with bursts of one second; Infinity is no bound. */
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Bounds of one collector process. */
export interface CollectorLimits {
  /** Bytes of one request body, as sent and once decompressed. */
  readonly bodyBytes: number;
  /** Bytes of all request bodies that are held in memory, as sent and decompressed. */
  readonly inFlightBytes: number;
  readonly connections: number;
  /** From the first byte of a request to the end of its headers. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to its last. */
  readonly requestTimeoutMs: number;
  /** An idle connection is kept this long. Longer than the 60 s of common load balancers, which must be the first to hang up. */
  readonly keepAliveTimeoutMs: number;
  /** A stopping collector waits this long for requests under way. */
  readonly closeTimeoutMs: number;
}

export const defaultSourceLimits: SourceLimits = {
  recordBytes: 256 * 1024,
  depth: 64,
  records: 50_000,
  requestsPerSecond: Infinity,
  bytesPerSecond: Infinity,
};

export const defaultCollectorLimits: CollectorLimits = {
  bodyBytes: 10 * 1024 * 1024,
  inFlightBytes: 256 * 1024 * 1024,
  connections: 10_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 60_000,
  keepAliveTimeoutMs: 72_000,
  closeTimeoutMs: 10_000,
};

/** Depth is bounded for good: the scanner descends recursively, and so does whoever reads the log. */
const maxDepth = 512;

/**
 * The limits with defaults filled in.
 *
 * @throws WeirError `invalid_source` if one is not a positive number; `where` is the source or the collector
 */
export function withDefaults<L extends SourceLimits | CollectorLimits>(
  defaults: L,
  given: Partial<L> | undefined,
  where: string,
): L {
  const limits = { ...defaults, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (typeof value !== "number" || !(value > 0)) {
      throw new WeirError(
        "invalid_source",
        `limits.${name} is ${String(value)}; it must be a number above 0.`,
        { where },
      );
    }
  }
  if ("depth" in limits && limits.depth > maxDepth) {
    throw new WeirError(
      "invalid_source",
      `limits.depth is ${limits.depth}; it must not be above ${maxDepth}.`,
      { where },
    );
  }
  return limits;
}

/**
 * Allows `perSecond` units a second on average, and one second's worth at once. The size of a request is known only once it is
 * read, so a request is let in while there is anything left and may overdraw; the debt delays the next one.
 */
export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #filledMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = Math.max(perSecond, 1);
    this.#tokens = this.#burst;
    this.#filledMs = nowMs;
  }

  /** Milliseconds until at least `least` units are there; 0 if they are. */
  waitMs(least: number, nowMs: number): number {
    if (this.#perSecond === Infinity) return 0;
    const elapsedMs = Math.max(0, nowMs - this.#filledMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsedMs * this.#perSecond) / 1000);
    this.#filledMs = nowMs;
    return this.#tokens >= least ? 0 : Math.ceil(((least - this.#tokens) * 1000) / this.#perSecond);
  }

  take(units: number): void {
    if (this.#perSecond !== Infinity) this.#tokens -= units;
  }
}
