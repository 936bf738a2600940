import { expect, test } from "vitest";
import { durationMs, maxDurationMs } from "./duration.ts";
import { WeirError } from "./errors.ts";

test("durations are milliseconds, or a whole number and a unit", () => {
  expect(["0s", "500ms", "30s", "30m", "24h", "7d", "4w", 0, 1500].map(durationMs)).toEqual([
    0, 500, 30_000, 1_800_000, 86_400_000, 604_800_000, 2_419_200_000, 0, 1500,
  ]);
  expect(durationMs(maxDurationMs)).toBe(maxDurationMs);
});

test("anything else is refused with the text and what to write", () => {
  const wrong = [
    "",
    "30",
    "m",
    "1.5h",
    "-1h",
    "+1h",
    "1 h",
    "1h30m",
    "1y",
    "1H",
    "1e3s",
    "٣s",
    "1h\n",
    -1,
    1.5,
    NaN,
    Infinity,
  ];
  for (const text of [...wrong, maxDurationMs + 1, "99999999999999999999ms", "36501d"]) {
    expect(() => durationMs(text)).toThrowError(WeirError);
    expect(() => durationMs(text)).toThrowError(/is not a duration/);
  }
  expect(() => durationMs("30 minutes")).toThrowError('"30 minutes" is not a duration.');
});
