import type { Clock } from "./clock.ts";

/** Passes by itself: worth another try. */
export class Passing extends Error {
  override readonly name = "Passing";
  /** The server asks to wait so long. */
  readonly afterMs: number | undefined;

  constructor(message: string, details: { cause?: unknown; afterMs?: number | undefined } = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.afterMs = details.afterMs;
  }
}

export interface RetryOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Between 0 and 1, as Math.random. */
  readonly random: () => number;
  /** How often to try in all. */
  readonly attempts: number;
  /** The first delay is between 0 and this, each next one between 0 and twice as much, up to `longestMs`. */
  readonly firstMs: number;
  readonly longestMs: number;
}

export const defaultRetries = { attempts: 8, firstMs: 500, longestMs: 60_000 } as const;

/**
 * Does the work until it does not throw Passing, with growing delays of random length ("full jitter"), so that clients that failed
 * together do not come back together.
 *
 * @throws the last Passing after so many attempts, or when the signal aborts; whatever else the work throws, at once
 */
export async function retrying<T>(options: RetryOptions, work: (attempt: number) => Promise<T>): Promise<T> {
  const { clock, signal, random, attempts, firstMs, longestMs } = options;
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (error) {
      if (!(error instanceof Passing) || attempt >= attempts || signal.aborted) throw error;
      const delayMs = random() * Math.min(longestMs, firstMs * 2 ** (attempt - 1));
      await clock.sleep(Math.max(delayMs, error.afterMs ?? 0), signal);
    }
  }
}

/** The wait that a Retry-After header asks for (RFC 9110, section 10.2.3), if it has one: seconds, or a date. */
export function retryAfterMs(headers: Headers, nowMs: number): number | undefined {
  const value = headers.get("retry-after");
  if (value === null) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
