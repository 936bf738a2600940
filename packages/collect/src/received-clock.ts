/** How far the fine clock may be from the wall clock before it is set again: steps by NTP, sleeps of a laptop. */
const maxDriftUs = 2000;

/**
 * Microseconds since the epoch. Follows the wall clock (whose resolution is a millisecond here) with the resolution of the
 * monotonic one.
 */
export function wallClockUs(): () => number {
  let wallUs = Date.now() * 1000;
  let startedMs = performance.now();
  return () => {
    const us = Math.floor(wallUs + (performance.now() - startedMs) * 1000);
    const nowUs = Date.now() * 1000;
    if (Math.abs(us - nowUs) <= maxDriftUs) return us;
    wallUs = nowUs;
    startedMs = performance.now();
    return nowUs;
  };
}

/** The clock, held back to never go down: records of a stream are stamped in the order of their lines. */
export function neverBack(clock: () => number): () => number {
  let last = 0;
  return () => (last = Math.max(last, clock()));
}
