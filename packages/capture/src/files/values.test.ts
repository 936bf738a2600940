import { Type, contract, date, decimal, nullable, timestamp } from "@weir/contract";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { quotedEmpty } from "./csv-rows.ts";
import { fieldShapes } from "./field-shape.ts";
import { globTest } from "./glob.ts";
import { type TextRules, cellWriter } from "./text-value.ts";
import { bigEndian, dayOf, decimalOf, shortestFloat, timeOf } from "./typed-value.ts";
import { readZone, zonedTime } from "./zone.ts";

const shapes = fieldShapes(
  contract("row", {
    version: "1.0.0",
    owner: "tests",
    id: "text",
    time: "time",
    fields: Type.Object({
      text: Type.String(),
      time: timestamp(),
      integer: Type.Integer(),
      number: Type.Number(),
      decimal: decimal({ precision: 12, scale: 2 }),
      boolean: Type.Boolean(),
      date: Type.Optional(date()),
      list: Type.Optional(Type.Array(Type.Integer())),
      any: Type.Optional(Type.Unknown()),
      nullable: nullable(Type.Integer()),
      optional: Type.Optional(Type.Number()),
      both: Type.Optional(Type.Union([Type.String(), Type.Integer()])),
    }),
  }).schema,
);
const rules: TextRules = { nulls: new Set(["NULL"]), decimal: ".", timezone: undefined };
const german: TextRules = { ...rules, decimal: ",", timezone: readZone("Europe/Berlin") };

describe.each([
  ["with a point", rules],
  ["with a comma", german],
] as const)("numbers %s", (_, given) => {
  const local = (text: string): string =>
    given === rules ? text : text.replaceAll(/[.,]/g, (sign) => (sign === "." ? "," : "."));
  test.each<[field: string, cell: string, json: string | undefined]>([
    ["integer", "12", "12"],
    ["integer", " -0012 ", "-12"],
    ["integer", "+7", "7"],
    ["integer", "-0", "0"],
    ["integer", "12.00", "12"],
    ["integer", "12.5", '"12.5"'],
    ["integer", "9007199254740993", "9007199254740993"],
    ["integer", "1,234,567", "1234567"],
    ["integer", "1,23", '"1,23"'],
    ["integer", "twelve", '"twelve"'],
    ["number", "12.50", "12.50"],
    ["number", ".5", "0.5"],
    ["number", "-5.", "-5"],
    ["number", "007.0", "7.0"],
    ["number", "1e-3", "1e-3"],
    ["number", "1,234.5", "1234.5"],
    ["number", "12,34.5", '"12,34.5"'],
    ["number", "1.2.3", '"1.2.3"'],
    ["number", ".", '"."'],
    ["number", "NaN", '"NaN"'],
    ["number", "0x10", '"0x10"'],
    ["decimal", "12.50", '"12.50"'],
    ["decimal", "+.5", '"0.5"'],
    ["decimal", "1,234,567.89", '"1234567.89"'],
    ["decimal", "1e3", '"1e3"'],
    ["nullable", "", "null"],
    ["nullable", "NULL", "null"],
    ["nullable", "5", "5"],
    ["optional", "", undefined],
    ["optional", "NULL", undefined],
    ["integer", "", '""'],
  ])("%s %j is %s", (field, cell, json) => {
    const expected = json?.startsWith('"') === true && given !== rules ? undefined : json;
    const written = cellWriter(shapes.get(field), given)(local(cell));
    if (expected !== undefined || json === undefined) expect(written).toBe(expected);
    else if (field === "decimal" && /^"-?\d+(\.\d+)?"$/.test(json)) expect(written).toBe(json);
    else expect(written).toBe(JSON.stringify(local(cell)));
  });
});

test.each<[field: string, cell: string | typeof quotedEmpty, json: string | undefined]>([
  ["text", "12.50", '"12.50"'],
  ["text", " a ", '" a "'],
  ["text", "", '""'],
  ["boolean", "TRUE", "true"],
  ["boolean", "n", "false"],
  ["boolean", "1", "true"],
  ["boolean", "maybe", '"maybe"'],
  ["time", "2026-01-02T03:04:05Z", '"2026-01-02T03:04:05Z"'],
  ["time", "2026-01-02 03:04:05.5+01", '"2026-01-02T03:04:05.5+01:00"'],
  ["time", "2026-01-02 03:04:05 UTC", '"2026-01-02T03:04:05Z"'],
  ["time", "2026-01-02 03:04:05 +0530", '"2026-01-02T03:04:05+05:30"'],
  ["time", "2026-01-02 03:04:05", '"2026-01-02 03:04:05"'],
  ["date", "2026-01-02", '"2026-01-02"'],
  ["list", "[1, 2]", "[1,2]"],
  ["list", "{1,2}", '"{1,2}"'],
  ["any", "5", '"5"'],
  ["both", "5", '"5"'],
  ["none", "5", '"5"'],
  ["none", "", undefined],
  ["text", quotedEmpty, '""'],
  ["none", quotedEmpty, '""'],
  ["nullable", quotedEmpty, "null"],
  ["date", quotedEmpty, undefined],
])("%s %j is %s", (field, cell, json) => {
  expect(cellWriter(shapes.get(field), rules)(cell)).toBe(json);
});

test("whatever a cell holds becomes JSON", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...shapes.keys(), "none"),
      fc.string({ unit: "binary" }),
      fc.boolean(),
      (field, cell, comma) => {
        const json = cellWriter(shapes.get(field), comma ? german : rules)(cell);
        if (json !== undefined) JSON.parse(json);
      },
    ),
    { numRuns: 2000 },
  );
});

test("a number keeps its value, whatever its form", () => {
  const number = fc.tuple(fc.bigInt(), fc.nat(6)).map(([unscaled, scale]) => decimalOf(unscaled, scale).text);
  fc.assert(
    fc.property(number, fc.constantFrom("", "+", "000", " "), (text, before) => {
      const cell = text.startsWith("-") || before === "" ? text : before + text;
      expect(cellWriter(shapes.get("decimal"), rules)(cell)).toBe(`"${text}"`);
    }),
  );
});

test.each([
  ["2026-01-02 03:04", "Europe/Berlin", "2026-01-02T03:04:00+01:00"],
  ["2026-07-02 03:04:05.678", "Europe/Berlin", "2026-07-02T03:04:05.678+02:00"],
  ["2026-07-02T03:04:05", "UTC", "2026-07-02T03:04:05Z"],
  ["2026-07-02 03:04:05", "-03:30", "2026-07-02T03:04:05-03:30"],
  ["2026-07-02 03:04:05", "Asia/Kolkata", "2026-07-02T03:04:05+05:30"],
  ["2026-07-02 03:04:05", "America/New_York", "2026-07-02T03:04:05-04:00"],
  // Clocks that skip, and clocks that show a time twice.
  ["2026-03-29 02:30:00", "Europe/Berlin", undefined],
  ["2026-03-29 01:59:59", "Europe/Berlin", "2026-03-29T01:59:59+01:00"],
  ["2026-03-29 03:00:00", "Europe/Berlin", "2026-03-29T03:00:00+02:00"],
  ["2026-10-25 02:30:00", "Europe/Berlin", undefined],
  ["2026-10-25 01:59:59", "Europe/Berlin", "2026-10-25T01:59:59+02:00"],
  ["2026-10-25 03:00:00", "Europe/Berlin", "2026-10-25T03:00:00+01:00"],
  ["2026-02-30 03:00:00", "UTC", undefined],
  ["2026-01-02", "UTC", undefined],
  ["02.01.2026 03:00", "UTC", undefined],
])("%s in %s is %s", (text, zone, expected) => {
  expect(zonedTime(text, readZone(zone))).toBe(expected);
});

test("a local time of any zone is the instant whose clocks show it", () => {
  const instants = fc.integer({ min: Date.UTC(1975, 0), max: Date.UTC(2035, 0) });
  fc.assert(
    fc.property(
      instants,
      fc.constantFrom("Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Tehran"),
      (ms, name) => {
        const shown = new Intl.DateTimeFormat("sv", {
          timeZone: name,
          dateStyle: "short",
          timeStyle: "medium",
        }).format(ms);
        const zoned = zonedTime(shown, readZone(name));
        if (zoned !== undefined) expect(Date.parse(zoned)).toBe(Math.floor(ms / 1000) * 1000);
      },
    ),
    { numRuns: 500 },
  );
});

test.each<[pattern: string, yes: string[], no: string[]]>([
  ["*.csv", ["a.csv", ".csv"], ["a.csv.gz", "d/a.csv", "acsv"]],
  ["**/*.csv", ["a.csv", "d/a.csv", "d/e/a.csv"], ["a.txt"]],
  ["in/**", ["in/a", "in/b/c"], ["a", "out/in/a"]],
  ["pay-?.{csv,json}{,.gz}", ["pay-1.csv", "pay-2.json.gz"], ["pay-12.csv", "pay-1.xml"]],
  ["a+(b)[c].csv", ["a+(b)[c].csv"], ["ab.csv"]],
])("the pattern %s", (pattern, yes, no) => {
  const test = globTest(pattern);
  expect(yes.filter((path) => !test(path))).toEqual([]);
  expect(no.filter(test)).toEqual([]);
});

test("times and numbers as files store them", () => {
  expect(timeOf(-1n, "micro", true)?.text).toBe("1969-12-31T23:59:59.999999Z");
  expect(timeOf(1_500n, "milli", false)?.text).toBe("1970-01-01T00:00:01.500");
  expect(timeOf(1n, "nano", true)?.text).toBe("1970-01-01T00:00:00.000000001Z");
  expect(timeOf(2n ** 62n, "milli", true)).toBeUndefined();
  expect(dayOf(-1)).toBe("1969-12-31");
  expect(dayOf(2 ** 31 - 1)).toBe(2 ** 31 - 1);
  expect(bigEndian(Buffer.from("ff", "hex"))).toBe(-1n);
  expect(bigEndian(Buffer.from("00ff", "hex"))).toBe(255n);
  expect(bigEndian(Buffer.alloc(0))).toBe(0n);
  expect([0.1, 16777217, 3.4e38, 1e-45].map((value) => shortestFloat(Math.fround(value)))).toEqual([
    0.1, 16777216, 3.4e38, 1e-45,
  ]);
});
