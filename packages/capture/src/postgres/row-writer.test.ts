import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { LineBuffer } from "../line-buffer.ts";
import { changeLine, columnPrefixes, keyText, rowText } from "./row-text.ts";
import { RowWriter } from "./row-writer.ts";
import type { Wire } from "./wire.ts";

const wire = { paused: false, pause: () => {}, resume: () => {} } as unknown as Wire;

/** A text as COPY writes it (PostgreSQL, "COPY", "Text Format"). */
const copied = (value: string | null): string =>
  value === null
    ? "\\N"
    : value.replaceAll(
        /[\\\b\f\n\r\t\v]/g,
        (c) => `\\${{ "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t", "\v": "v" }[c]}`,
      );

const value = fc.oneof(
  fc.constantFrom(
    null,
    "",
    "null",
    "\\N",
    "\u0001",
    'say "x"',
    "a\\b",
    "tab\there",
    "\u007f",
    "é—😀",
    "x".repeat(70),
  ),
  fc.string({ unit: "grapheme" }).map((text) => text.replaceAll("\0", "")),
  fc.integer().map(String),
);

const table = fc.integer({ min: 1, max: 5 }).chain((columns) =>
  fc.record({
    names: fc.uniqueArray(
      fc.oneof(fc.constantFrom("id", 'a"b', "ä", "\u0001"), fc.string({ minLength: 1 })),
      {
        minLength: columns,
        maxLength: columns,
      },
    ),
    keyAt: fc.uniqueArray(fc.nat({ max: columns - 1 })),
    rows: fc.array(fc.array(value, { minLength: columns, maxLength: columns }), {
      minLength: 1,
      maxLength: 8,
    }),
  }),
);

test("a row is the line that its values make, whichever way it goes", async () => {
  await fc.assert(
    fc.asyncProperty(table, async ({ names, keyAt, rows }) => {
      const lines: string[] = [];
      const writer = new RowWriter({
        wire,
        source: "db",
        append: ({ lines: { bytes } }: LineBuffer) => {
          lines.push(...Buffer.from(bytes).toString().split("\n").slice(0, -1));
          return Promise.resolve();
        },
        unencoded: false,
        stream: 'public."\u0001kkkkkkkkkkkkkk"',
        names,
        keyAt,
        version: "v",
        at: "2026-01-02T03:04:05Z",
      });
      for (const row of rows) {
        const copy = Buffer.from(`??${row.map(copied).join("\t")}\n`);
        writer.data(copy, 2, copy.length);
      }
      await writer.end();
      const prefixes = columnPrefixes(names);
      const expected = rows.map((row) => {
        const key = keyText(keyAt, row);
        const stream = JSON.stringify('public."\u0001kkkkkkkkkkkkkk"');
        const { text } = changeLine({
          id: `v/public."\u0001kkkkkkkkkkkkkk"/${key}`,
          at: "2026-01-02T03:04:05Z",
          stream,
          op: "snapshot",
          key,
          version: "v",
          row: rowText(prefixes, row),
        });
        return `db\t7\t0\t\t${text}`;
      });
      expect(lines.map((line) => line.replace(/^\d{16}\t/, ""))).toEqual(expected);
      expect(writer.last(names)).toEqual(rows.at(-1)!.map((one) => one ?? ""));
    }),
    { numRuns: 500 },
  );
});
