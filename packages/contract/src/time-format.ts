/** The formats `time` and `date-time`, exactly as RFC 3339 section 5.6 has them. */

const timePattern =
  /^([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:[zZ]|([+-])([01]\d|2[0-3]):([0-5]\d))$/;

/**
 * RFC 3339 `full-time`: `hh:mm:ss[.fraction]` and `Z` or `±hh:mm`, letters in either case. Second 60 is allowed where a leap
 * second can be, at 23:59:60 UTC, on any day.
 *
 * Not the `time` of ajv-formats: where a time is out of range it asks only whether it could be a leap second, so that it
 * accepts 24:59:05+01:00 and 23:99:60+00:40; and it accepts +0530 and +05.
 */
export function isTime(text: string): boolean {
  const match = timePattern.exec(text);
  if (match === null) return false;
  const [, hour = "", minute = "", second = "", sign = "+", offsetHour = "0", offsetMinute = "0"] = match;
  if (second !== "60") return true;
  const offset = (Number(offsetHour) * 60 + Number(offsetMinute)) * (sign === "-" ? -1 : 1);
  const utcMinute = Number(hour) * 60 + Number(minute) - offset;
  return (utcMinute + 1440) % 1440 === 1439;
}

/** RFC 3339 `date-time`: a full-date, `T` or `t`, a full-time. Years go from 0000 to 9999. */
export function isDateTime(text: string): boolean {
  const separator = text.charAt(10);
  return (separator === "T" || separator === "t") && isDate(text.slice(0, 10)) && isTime(text.slice(11));
}

/** RFC 3339 `full-date`: a day that the Gregorian calendar has. */
export function isDate(text: string): boolean {
  const match = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text);
  if (match === null) return false;
  const [year, month, day] = [Number(match[1]), Number(match[2]), Number(match[3])];
  return day >= 1 && day <= daysIn(year, month);
}

/** 0 for what is no month. */
function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [31, 0, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1] ?? 0;
}
