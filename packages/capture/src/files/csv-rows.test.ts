import { parse } from "csv-parse/sync";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type Cell, CsvSplitter, quotedEmpty } from "./csv-rows.ts";
import { ByteWindow } from "./window.ts";

interface Split {
  readonly rows: (readonly string[] | string)[];
  readonly lines: number[];
}

async function* chunksOf(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer, void, undefined> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[i % sizes.length]!);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

/** Rows, or why and what of the bytes of those that cannot be read; the line that each begins in. */
async function split(text: string | Buffer, sizes: readonly number[] = [], rowBytes = 1000): Promise<Split> {
  const window = new ByteWindow(chunksOf(Buffer.from(text as string), sizes), 0);
  const splitter = new CsvSplitter(",", '"', rowBytes);
  const result: Split = { rows: [], lines: [] };
  let line = 1;
  await window.more();
  for (;;) {
    splitter.reset();
    while (window.start < window.end) {
      const row = splitter.next(window.bytes, window.start, window.end, window.isEnd);
      if (row === undefined) break;
      result.lines.push(line);
      line += row.lines;
      if ("fault" in row) {
        result.rows.push(
          `${row.detail}: ${window.bytes.toString("latin1", window.start, row.end).trimEnd()}`,
        );
      } else result.rows.push(row.cells.map((cell: Cell) => (cell === quotedEmpty ? "" : cell)));
      window.advance(row.end);
    }
    if (!(await window.more()) && window.start === window.end) return result;
  }
}

test.each<[what: string, text: string | Buffer, rows: Split["rows"], lines?: number[]]>([
  [
    "plain rows",
    "a,b\n1,2\n",
    [
      ["a", "b"],
      ["1", "2"],
    ],
    [1, 2],
  ],
  [
    "CRLF, and no line break at the end",
    "a,b\r\n1,2",
    [
      ["a", "b"],
      ["1", "2"],
    ],
  ],
  ["empty cells", ",\n,,\n\n", [["", ""], ["", "", ""], [""]]],
  ["quotes", '"a","b""c",""\n', [["a", 'b"c', ""]]],
  [
    "a line break between quotes",
    '"a\nb",c\r\nd,e\n',
    [
      ["a\nb", "c"],
      ["d", "e"],
    ],
    [1, 3],
  ],
  ["a carriage return that is content", '"a\r",b\r\n', [["a\r", "b"]]],
  ["a quote within a cell", '5" pipe,b\n', [['5" pipe', "b"]]],
  ["a quote as the last byte", 'a,"b"', [["a", "b"]]],
  [
    "characters behind a closing quote",
    '1,2\n"a"b,c\n3,4\n',
    [["1", "2"], 'characters behind a closing quote: "a"b,c', ["3", "4"]],
    [1, 2, 3],
  ],
  [
    "a quote that is not closed",
    '1,2\n"a,b\n3,4\n5,6\n',
    [["1", "2"], 'a quote is not closed: "a,b', ["3", "4"], ["5", "6"]],
    [1, 2, 3, 4],
  ],
  [
    "two broken lines",
    '"a,b\n3,4\n"c,d\n5,6\n',
    ['characters behind a closing quote: "a,b', ["3", "4"], 'a quote is not closed: "c,d', ["5", "6"]],
  ],
  [
    "a quote that is not closed for longer than a row",
    `"a\n${"x,y\n".repeat(500)}`,
    ['a quote is not closed: "a', ...Array.from({ length: 500 }, () => ["x", "y"])],
  ],
  [
    "bytes that are not UTF-8",
    Buffer.from('a,\xff\n"\xe9",b\nc,é\n', "latin1"),
    [
      "bytes that are not UTF-8: a,\xff",
      'bytes that are not UTF-8: "\xe9",b',
      "bytes that are not UTF-8: c,\xe9",
    ],
  ],
  ["text of any script", "é,ж,\u{1f600}\n", [["é", "ж", "\u{1f600}"]]],
])("%s", async (_, text, rows, lines) => {
  const whole = await split(text);
  expect(whole.rows).toEqual(rows);
  if (lines !== undefined) expect(whole.lines).toEqual(lines);
  for (const sizes of [[1], [2, 3], [7]]) expect(await split(text, sizes)).toEqual(whole);
});

const cell = fc.oneof(fc.string({ unit: "grapheme" }), fc.stringMatching(/^[a",\r\n é]{0,6}$/));
const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { maxLength: 8 });

/** As RFC 4180 says, with quotes where they must be, and now and then where they need not. */
const written = (rows: readonly (readonly string[])[], everywhere: boolean, end: string): string =>
  rows
    .map((row) =>
      row
        .map((text) => (everywhere || /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text))
        .join(","),
    )
    .join(end);

test("any table that is written as RFC 4180 says comes back, in whatever pieces its bytes come", async () => {
  await fc.assert(
    fc.asyncProperty(
      table,
      fc.boolean(),
      fc.constantFrom("\n", "\r\n"),
      fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 5 }),
      async (rows, everywhere, end, sizes) => {
        expect((await split(written(rows, everywhere, end), sizes, 1_000_000)).rows).toEqual(rows);
      },
    ),
  );
});

test("any text: what csv-parse takes is the same here; the pieces do not matter; every byte is in one row", async () => {
  const pieces = fc.array(fc.constantFrom('"', '""', ",", "\n", "\r\n", "a", "b c", "é", ',"', '",'), {
    maxLength: 20,
  });
  await fc.assert(
    fc.asyncProperty(pieces, fc.integer({ min: 1, max: 9 }), async (parts, size) => {
      const text = parts.join("");
      const whole = await split(text);
      expect(await split(text, [size])).toEqual(whole);
      let theirs: string[][] | undefined;
      try {
        theirs = parse(text, { relax_column_count: true, record_delimiter: ["\r\n", "\n"] });
      } catch {
        theirs = undefined;
      }
      if (theirs !== undefined) expect(whole.rows).toEqual(theirs);
    }),
    { numRuns: 500 },
  );
});
