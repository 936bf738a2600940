/** How long to wait before a process that ended is started again. */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly capMs: number;
  /** A process that was ready for this long has recovered: the next wait is the first one again. */
  readonly resetMs: number;
}

/**
 * First 100 ms: a restart after a single crash should not be felt. Cap 30 s: a disk that is full for an hour costs 120
 * starts, not a busy loop, and recovery is noticed within half a minute.
 */
export const restartBackoff: BackoffOptions = { firstMs: 100, capMs: 30_000, resetMs: 60_000 };

/**
 * Pure: the wait before restart number `failures + 1` of a row of failures, doubling from `firstMs` to `capMs`.
 *
 * @param failures failures in a row so far, this one included; at least 1
 */
export function restartDelayMs(failures: number, options: BackoffOptions = restartBackoff): number {
  // 2^30 firstMs is far beyond any cap, and keeps the power finite.
  return Math.min(options.capMs, options.firstMs * 2 ** Math.min(failures - 1, 30));
}

/** Pure: failures in a row after a process ended that had been ready for `readyMs` (0 when it never was). */
export function failuresAfter(
  before: number,
  readyMs: number,
  options: BackoffOptions = restartBackoff,
): number {
  return readyMs >= options.resetMs ? 1 : before + 1;
}
