import { DuckDBInstance } from "@duckdb/node-api";
import type { DuckDBConnection } from "@duckdb/node-api";
import * as fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { portablePattern } from "./pattern.ts";
import { text } from "./sql.ts";

let connection: DuckDBConnection;
beforeAll(async () => {
  connection = await (await DuckDBInstance.create(":memory:", { threads: "1" })).connect();
  await connection.run("CREATE TABLE samples (i INTEGER, v VARCHAR)");
});

/** What RE2 says of each sample. */
async function re2Matches(pattern: string, samples: readonly string[]): Promise<boolean[]> {
  await connection.run("DELETE FROM samples");
  const appender = await connection.createAppender("samples");
  for (const [i, sample] of samples.entries()) {
    appender.appendInteger(i);
    appender.appendVarchar(sample);
    appender.endRow();
  }
  appender.closeSync();
  const reader = await connection.runAndReadAll(
    `SELECT regexp_matches(v, ${text(pattern)}) FROM samples ORDER BY i`,
  );
  return reader.getRows().map(([matches]) => matches === true);
}

/** Bits of patterns, apart by blanks: characters, classes (some of them not valid), what engines differ on, groups, counts. */
const pieces = String.raw`
  a Z 9 _ % a%b a_b - é \d \w \. \\ \$ \] \/ \- ' " / ]
  [a-z] [^a-z] [A-Z0-9_.+-] [^,] [\d.] [\w-] [^\d] [.*+?()] [\^$] [a\-z] [:alpha:]
  [] [^] [^^] [\]] [a-c-e] [z-a] [\d-z] [!-~] [é] [/] [[:alpha:]] [^-] [-a]
  . \s \S \D \W \b \B \p{L} \u0061 \x61 \n \t \0 \1 \cA \z \A \Q \C
  ^ $ | ( ) (?: (?= (?! (?<n> (?i) () (|a) (a|)
  * + ? {2} {1,3} {2,} {0} {0,0} {,2} { } *? +? ?? {2}? {3,1} ++ {999}`;
const piece = fc.constantFrom(" ", ...pieces.trim().split(/\s+/));

/** Soups of pieces (mostly not portable), and well-formed patterns (mostly portable). */
const pattern: fc.Arbitrary<string> = fc.oneof(
  fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
  fc.letrec<{ node: string; alternatives: string }>((tie) => ({
    alternatives: fc
      .array(
        fc.array(tie("node"), { maxLength: 4 }).map((p) => p.join("")),
        { minLength: 1, maxLength: 3 },
      )
      .map((p) => p.join("|")),
    node: fc
      .tuple(
        fc.oneof(
          { depthSize: "small" },
          {
            weight: 6,
            arbitrary: fc.constantFrom(
              "a",
              "b",
              "0",
              "-",
              "[a-z]",
              "[^a]",
              "[^a-z0-9]",
              "\\d",
              "\\w",
              "\\.",
              "^",
              "$",
            ),
          },
          { weight: 2, arbitrary: tie("alternatives").map((inner) => `(${inner})`) },
          { weight: 1, arbitrary: tie("alternatives").map((inner) => `(?:${inner})`) },
        ),
        fc.constantFrom("", "", "", "*", "+", "?", "{2}", "{1,2}", "{2,}", "*?", "??"),
      )
      .map((parts) => parts.join("")),
  })).alternatives,
);

const units = Array.from(
  "abczAZ09_%-.,\\$^]/'\"+(: \n\r\t\u0000\u0001\u007f\u0085\u00a0\u2028\u2029\ufeff\ufffdéßİſ\u212a\u0301١漢😀\u200d\u{10ffff}",
);
const unit = fc.constantFrom(...units);
const sample = fc.oneof(
  fc.string({ unit, maxLength: 6 }),
  fc.string({ unit: "binary", maxLength: 4 }).filter((s) => s.isWellFormed()),
);

describe("portable patterns", () => {
  test("have their anchors at the ends, as DuckDB takes `$a` for `a`", async () => {
    expect(await re2Matches("$a", ["a"])).toEqual([true]);
    for (const source of ["$a", "a^", "a$b", "(a^b)", "a(b$)c^"])
      expect(portablePattern(source), source).toBeUndefined();
    for (const source of ["^a", "a$", "(^a|b$)", "^", "$", "x|^$", "\\^a\\$b"])
      expect(portablePattern(source), source).toBeDefined();
  });

  test("mean the same to JavaScript and to RE2", async () => {
    let portable = 0;
    await fc.assert(
      fc.asyncProperty(
        pattern,
        fc.array(sample, { minLength: 20, maxLength: 30 }),
        async (source, random) => {
          const re2 = portablePattern(source);
          if (re2 === undefined) return;
          portable++;
          const samples = [...random, "", "a", "a\n", "\na", "\n", "é", "😀"];
          const js = new RegExp(source, "u");
          expect(await re2Matches(re2, samples), source).toEqual(samples.map((value) => js.test(value)));
        },
      ),
      { numRuns: 3000 },
    );
    expect(portable).toBeGreaterThan(500);
  });

  test("include those that people write", () => {
    const common = [
      "^[a-z]{3}-[0-9]+$",
      "^\\d{4}$",
      "foo",
      "^[A-Z]{2,4}$",
      "^\\w+$",
      "^(?:red|green|blue)$",
      "^(red|green|blue)$",
      "^[^,]+(,[^,]+)*$",
      "^$",
      "^a|b$",
      "\\.",
      "^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$",
      "^(0|[1-9]\\d*)$",
      "^#[0-9a-fA-F]{6}$",
      "^ord_[A-Za-z0-9]{16,}$",
    ];
    expect(common.filter((source) => portablePattern(source) === undefined)).toEqual([]);
  });

  test("leave out those that RE2 cannot compile, or only into something huge", () => {
    const heavy = [
      "a{999}{999}",
      "(a{50}){50}",
      "(?:a{50}){50}",
      "((a{99}b){99}c){99}",
      "\\w{0,999}".repeat(50),
    ];
    for (const source of [...heavy, "[a-z]{600}b{600}", "a".repeat(501)]) {
      expect(portablePattern(source), source).toBeUndefined();
    }
    expect(portablePattern("[a-z]{600}")).toBeDefined();
  });
});
