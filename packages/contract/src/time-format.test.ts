import * as fc from "fast-check";
import { expect, test } from "vitest";
import { isDate, isDateTime, isTime } from "./time-format.ts";

test("dates are the days that Date has", () => {
  const pad = (value: number, width: number): string => String(value).padStart(width, "0");
  fc.assert(
    fc.property(fc.nat(9999), fc.nat(13), fc.nat(32), (year, month, day) => {
      const date = new Date(0);
      date.setUTCFullYear(year, month - 1, day);
      const exists =
        date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
      expect(isDate(`${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`)).toBe(exists);
    }),
    { numRuns: 5000 },
  );
});

test("every instant that Date writes is a date-time, at every offset", () => {
  const offset = fc.tuple(
    fc.constantFrom("+", "-"),
    fc.integer({ min: 0, max: 23 }),
    fc.integer({ min: 0, max: 59 }),
  );
  fc.assert(
    fc.property(
      fc.date({
        min: new Date("0000-01-01T00:00:00Z"),
        max: new Date("9999-12-31T23:59:59Z"),
        noInvalidDate: true,
      }),
      offset,
      (date, [sign, hour, minute]) => {
        const text = date.toISOString();
        const zone = `${sign}${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`;
        expect(isDateTime(text)).toBe(true);
        expect(isDateTime(text.replace("Z", zone))).toBe(true);
        expect(isDateTime(text.toLowerCase())).toBe(true);
        expect(isTime(text.slice(11))).toBe(true);
        expect(isDateTime(text.slice(0, -1))).toBe(false);
        expect(isDateTime(`${text}Z`)).toBe(false);
      },
    ),
  );
});

test("second 60 is where a leap second can be, in every time zone", () => {
  for (let offset = -1439; offset <= 1439; offset++) {
    const local = (23 * 60 + 59 + offset + 2880) % 1440;
    const pad = (value: number): string => String(value).padStart(2, "0");
    const zone = `${offset < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(offset) / 60))}:${pad(Math.abs(offset) % 60)}`;
    const at = (minute: number): string => `${pad(Math.floor(minute / 60))}:${pad(minute % 60)}:60${zone}`;
    expect(isTime(at(local)), at(local)).toBe(true);
    expect(isTime(at((local + 1) % 1440))).toBe(false);
    expect(isTime(at((local + 720) % 1440))).toBe(false);
  }
});
