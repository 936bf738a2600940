import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cellText, renderCsv, renderTable, spanText } from "./table.ts";
import type { Terminal } from "./terminal.ts";

const plain: Terminal = { json: false, colour: false, out: () => {}, note: () => {} };

describe("tables for people", () => {
  test("columns align; numbers to the right", () => {
    const text = renderTable(
      plain,
      ["name", "n"],
      [
        ["a", 1],
        ["日本", 1000],
        [null, null],
      ],
    );
    expect(text.split("\n")).toEqual(["name     n", "a        1", "日本  1000", "NULL  NULL"]);
  });

  test("no cell can control the terminal or break the line", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        // oxlint-disable-next-line no-control-regex -- what must not come out
        expect(cellText(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
      }),
    );
  });

  test("wide cells are cut between characters", () => {
    const [, row = ""] = renderTable(plain, ["c"], [["👩‍👩‍👧".repeat(100)]]).split("\n");
    expect(row.endsWith("👩‍👩‍👧…")).toBe(true);
  });
});

describe("CSV", () => {
  test("a reader of RFC 4180 gets the strings back", () => {
    const cell = fc.oneof(fc.string(), fc.stringMatching(/^[",\r\n a]*$/));
    fc.assert(
      fc.property(fc.array(fc.array(cell, { minLength: 2, maxLength: 2 })), (rows) => {
        expect(parseCsv(renderCsv(["a", "b"], rows))).toEqual([["a", "b"], ...rows]);
      }),
    );
  });

  test("NULL and the empty string differ", () => {
    expect(renderCsv(["a", "b"], [[null, ""]])).toBe('a,b\n,""');
  });
});

test("spans", () => {
  expect([300, 59_999, 90_000, 3_600_000 * 2.5, 86_400_000 * 3].map(spanText)).toEqual([
    "0.3 s",
    "60.0 s",
    "2 min",
    "2.5 h",
    "3 d",
  ]);
});

/** Fields separated by commas, records by LF; quoted fields double their quotes. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const field = /(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n|$)/gy;
  for (;;) {
    const match = field.exec(text);
    if (match === null) break;
    const [, quoted, bare = "", end] = match;
    rows.at(-1)?.push(quoted === undefined ? bare : quoted.replaceAll('""', '"'));
    if (end === "\n") rows.push([]);
    if (end === "") break;
  }
  return rows;
}
