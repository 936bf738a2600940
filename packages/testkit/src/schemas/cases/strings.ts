import { quoted, table } from "./case.ts";
import type { CaseTable } from "./case.ts";

const noStrings = ["0", "null", "true", "[]", "{}"];

/** `minLength` and `maxLength` count characters, which are code points. */
export const lengthTables: readonly CaseTable[] = [
  table(
    "minLength 2",
    { type: "string", minLength: 2 },
    [
      ...quoted(["ab", "abc", "😀😀", "e\u0301", "\u0000\u0000", "\r\n"]),
      String.raw`"\u0061\u0062"`,
      String.raw`"\ud83d\ude00a"`,
    ],
    [
      ...quoted(["", "a", "😀", "é", "\u0000", "\u{10ffff}"]),
      String.raw`"\u0061"`,
      String.raw`"\ud83d\ude00"`,
      String.raw`"\n"`,
      ...noStrings,
    ],
  ),
  table(
    "maxLength 2",
    { type: "string", maxLength: 2 },
    [...quoted(["", "a", "ab", "😀😀", "é", "e\u0301", "\u0000"]), String.raw`"\ud83d\ude00\ud83d\ude00"`],
    [...quoted(["abc", "😀😀😀", "e\u0301x", "👩‍👩‍👧", "  \n"]), String.raw`"\u0000\u0000\u0000"`, ...noStrings],
  ),
  table(
    "minLength equals maxLength",
    { type: "string", minLength: 1, maxLength: 1 },
    quoted(["a", "😀", "\u{10ffff}", "\u2028", "\ufeff"]),
    quoted(["", "ab", "e\u0301", "🇩🇪"]),
  ),
  table("minLength 0", { type: "string", minLength: 0 }, quoted(["", "a"]), noStrings),
  table("maxLength 0", { type: "string", maxLength: 0 }, ['""'], quoted([" ", "\u0000", "\u200b"])),
  table(
    "minLength above maxLength",
    { type: "string", minLength: 3, maxLength: 2 },
    [],
    quoted(["", "ab", "abc"]),
  ),
  table("a length judges strings only", { minLength: 2 }, ["0", "null", "[]", "{}", '"ab"'], ['"a"']),
  table("a length written with a fraction", { type: "string", maxLength: 2.0 }, ['"ab"'], ['"abc"']),
];

const p = (pattern: string, valid: readonly string[], invalid: readonly string[]): CaseTable =>
  table(`pattern ${pattern}`, { type: "string", pattern }, quoted(valid), quoted(invalid));

/** `pattern` is a search by a regular expression of ECMA-262 in Unicode mode. */
export const patternTables: readonly CaseTable[] = [
  p("a", ["a", "ba", "ab\n"], ["", "A", "á", "а"]),
  p("^a$", ["a"], ["a\n", "\na", "aa", "", "a\r", "a\u2028"]),
  p("", ["", "a"], []),
  p("^$", [""], ["\n", " "]),
  p("^[a-z]{3}-[0-9]+$", ["abc-1", "abc-012"], ["ABC-1", "ab-1", "abc-", "abc-1\n", "abc-١"]),
  p("^\\d+$", ["0", "0123456789"], ["", "1.0", "١", "１", "1\n"]),
  p("^\\D$", ["a", "١", "\n", "😀"], ["1", "", "ab"]),
  p("^\\w+$", ["aZ_9"], ["é", "a b", "-", "\u017f", "\u212a", "a\u0301"]),
  p("^\\W$", ["-", "é", "\u017f", "\u212a", "😀", "\n"], ["a", "_", "0", ""]),
  p(
    "^\\s$",
    [
      " ",
      "\t",
      "\n",
      "\u000b",
      "\f",
      "\r",
      "\u00a0",
      "\u1680",
      "\u2000",
      "\u200a",
      "\u2028",
      "\u2029",
      "\u202f",
      "\u205f",
      "\u3000",
      "\ufeff",
    ],
    ["\u180e", "\u200b", "\u0085", "a", ""],
  ),
  p("^\\S$", ["a", "\u200b", "\u0085", "😀"], [" ", "\u00a0", "\ufeff", "\u2028"]),
  p("^.$", ["a", "😀", "\u0085", "\u0000", "\t", "\u000b"], ["\n", "\r", "\u2028", "\u2029", "e\u0301", ""]),
  p("^[^x]$", ["\n", "\u2028", "a", "😀"], ["x", "", "ab"]),
  p("^[\\s\\S]{2}$", ["\n\n", "😀\u0000"], ["😀", "abc"]),
  p("\\bfoo\\b", ["foo", "a foo.", "éfoo", "foo\n"], ["food", "a_foo", "1foo"]),
  p("^(?:red|green)$", ["red", "green"], ["redgreen", "Red", ""]),
  p("^a|b$", ["ax", "xb", "a", "b"], ["xa", "bx", ""]),
  p("^(a|b)*$", ["", "ab", "bbb"], ["c", "abc"]),
  p("^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]),
  p("^a{0}$", [""], ["a"]),
  p("^a{2,}?b$", ["aab", "aaaab"], ["ab", "b"]),
  p("^\\.\\*\\[\\]\\(\\)\\{\\}\\|\\^\\$\\\\\\/$", [".*[](){}|^$\\/"], ["a", ""]),
  p("^[.\\-\\]\\\\]+$", [".-]\\"], ["a", ""]),
  p("^[a\\-c]+$", ["a-c"], ["b"]),
  p("^\\t\\n\\v\\f\\r\\0$", ["\t\n\u000b\f\r\u0000"], ["tnvfr0"]),
  p("^\\x41\\u0042\\u{43}\\cJ$", ["ABC\n"], ["ABCJ", "x41"]),
  p("^\\u{1F600}$", ["😀"], ["😁", "u"]),
  p("^\\ud83d\\ude00$", ["😀"], ["\ufffd"]),
  p("^[😀-😂]$", ["😀", "😁", "😂"], ["😃", "a", "😀😀"]),
  p("^\\p{Lu}\\p{Ll}*$", ["A", "Ábc", "Ωω"], ["a", "1", "AB", "ǅ"]),
  p("^\\p{Script=Greek}+$", ["Ωω"], ["a", "O"]),
  p("^\\P{L}+$", ["1-2", "😀"], ["a", "漢"]),
  p("^é$", ["é"], ["e\u0301", "É", "e"]),
  p("^(?=.*[0-9])(?=.*[a-z]).{4,}$", ["abc1", "1abc", "a1😀x"], ["abc", "abcd", "1234", "a1"]),
  p("^(?!test)", ["", "tes", "atest"], ["test", "testing"]),
  p("(?<=\\$)\\d", ["$1", "a$9b"], ["1", "$"]),
  p("(?<!\\$)1", ["1", "$11"], ["$1", ""]),
  p("^(a|b)\\1$", ["aa", "bb"], ["ab", "a"]),
  p("^(?<q>['\"])x\\k<q>$", ["'x'", '"x"'], ["'x\"", "x"]),
  p("^(?:a+)+$", ["a", "aaaa"], ["", "aab"]),
  p("^\\$\\{[a-z]+\\}$", ["${x}"], ["$x", "${}"]),
  p("'; DROP TABLE x; --", ["'; DROP TABLE x; --"], ["'"]),
  table("a pattern judges strings only", { pattern: "^a$" }, ["0", "null", "[]", "{}", '"a"'], ['"b"']),
  table(
    "a pattern and a length",
    { type: "string", pattern: "^😀+$", maxLength: 2 },
    quoted(["😀", "😀😀"]),
    quoted(["😀😀😀", "", "a"]),
  ),
];
