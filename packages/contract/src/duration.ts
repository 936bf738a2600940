import { WeirError } from "./errors.ts";

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

export type DurationUnit = keyof typeof unitMs;

/** A length of time: whole milliseconds, or a whole number and a unit, as in "500ms", "30s", "30m", "24h", "7d", "4w". */
export type Duration = number | `${number}${DurationUnit}`;

/** The longest duration accepted: 100 years of 365 days. Longer ones are typing errors, and sums of them stay exact. */
export const maxDurationMs = 36_500 * unitMs.d;

/**
 * A duration in milliseconds. A day is 24 hours and a week is 7 days; there are no months.
 *
 * @throws WeirError `duration_invalid` for anything but a whole number of milliseconds or `<whole number><unit>`, for a
 *   negative one, and for one above 100 years.
 */
export function durationMs(duration: string | number): number {
  const ms = typeof duration === "number" ? duration : textMs(duration);
  if (!Number.isInteger(ms) || ms < 0 || ms > maxDurationMs) {
    throw new WeirError("duration_invalid", `${JSON.stringify(duration)} is not a duration.`);
  }
  return ms;
}

function textMs(text: string): number {
  const match = /^(\d{1,16})(ms|s|m|h|d|w)$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * unitMs[match[2] as DurationUnit];
}
