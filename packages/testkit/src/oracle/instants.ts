/** Calendar and clock arithmetic of the oracle, on BigInt. Proleptic Gregorian calendar, as RFC 3339 and SQL have it. */

const microsOfSecond = 1_000_000n;

/** Days from 1970-01-01 to a day of the calendar; also for years below 1 (0 is 1 BC). */
export function daysOf(year: number, month: number, day: number): bigint {
  const leaps = (y: number): number => Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400);
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const lengths = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  const inYear = lengths.slice(0, month - 1).reduce((sum, length) => sum + length, day - 1);
  // Days of all years before: 365 each and the leap days, both counted from the same end.
  const before = (y: number): number => 365 * y + leaps(y - 1);
  return BigInt(before(year) - before(1970) + inYear);
}

/** Days since 1970-01-01 of an RFC 3339 full-date. */
export function dateDays(text: string): bigint {
  const [year, month, day] = text.split("-").map(Number);
  return daysOf(year ?? 0, month ?? 1, day ?? 1);
}

/**
 * Microseconds since 1970-01-01T00:00:00Z of an RFC 3339 date-time. More than six digits of fraction are cut; a leap
 * second is the first instant of the next minute.
 */
export function instantUs(text: string): bigint {
  const match = /^(.{10}).(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(z|([+-])(\d\d):?(\d\d)?)$/i.exec(text);
  if (match === null) throw new Error(`no date-time: ${text}`);
  const [
    ,
    day = "",
    hour,
    minute,
    second,
    fraction = "",
    ,
    sign = "+",
    offsetHour = "0",
    offsetMinute = "0",
  ] = match;
  const minutes = BigInt(hour ?? 0) * 60n + BigInt(minute ?? 0);
  const offset = (BigInt(offsetHour) * 60n + BigInt(offsetMinute)) * (sign === "-" ? -1n : 1n);
  const seconds = dateDays(day) * 86_400n + (minutes - offset) * 60n + BigInt(second ?? 0);
  return seconds * microsOfSecond + BigInt(fraction.slice(0, 6).padEnd(6, "0"));
}
