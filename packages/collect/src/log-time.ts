const nsPerSecond = 1_000_000_000n;
/** The last whole second that was written, since most records of a request share it. */
let lastSecond = -1;
let lastText = "";

/** Nanoseconds since the epoch (0 to 2^64-1) as RFC 3339 in UTC, with as many digits of fraction as say something. */
export function nanosecondsText(ns: bigint): string {
  const second = Number(ns / nsPerSecond);
  if (second !== lastSecond) {
    lastSecond = second;
    lastText = new Date(second * 1000).toISOString().slice(0, 19);
  }
  const fraction = Number(ns % nsPerSecond);
  if (fraction === 0) return `${lastText}Z`;
  const digits = String(fraction).padStart(9, "0");
  return `${lastText}.${fraction % 1_000_000 === 0 ? digits.slice(0, 3) : fraction % 1000 === 0 ? digits.slice(0, 6) : digits}Z`;
}
