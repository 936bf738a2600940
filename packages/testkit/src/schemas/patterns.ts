/** Regular expressions for contracts, with strings that are at or near a match. */

export interface PatternSample {
  readonly pattern: string;
  readonly samples: readonly string[];
}

/** Patterns that regular expression engines agree on, mostly. */
export const commonPatterns: readonly PatternSample[] = [
  { pattern: "^[a-z]{3}-[0-9]+$", samples: ["abc-1", "abc-", "abc-12\n", "ABC-1", "xabc-1", "abc-١"] },
  { pattern: "^\\d{4}$", samples: ["2026", "202", "20266", "２０２６"] },
  { pattern: "foo", samples: ["foo", "a foo b", "fo", "FOO", "f\noo"] },
  { pattern: "^[A-Z]{2,4}$", samples: ["AB", "A", "ABCDE", "ÄB"] },
  { pattern: "^\\w+$", samples: ["a_1", "", "é", "a b", "a-b"] },
  { pattern: "[0-9]$", samples: ["a1", "1a", "1\n"] },
  { pattern: "^(?:red|green|blue)$", samples: ["red", "reda", "blue", ""] },
  { pattern: "^[^,]+(,[^,]+)*$", samples: ["a", "a,b", ",a", "a,", "a,,b"] },
  { pattern: "^$", samples: ["", " ", "\n"] },
  { pattern: "", samples: ["", "a"] },
  { pattern: "^a|b$", samples: ["ab", "ax", "xb", "xa"] },
  { pattern: "\\.", samples: [".", "a", "a.b"] },
  { pattern: "^[a-z0-9._%+-]+@[a-z0-9.-]+\\.[a-z]{2,}$", samples: ["a@b.co", "a@b", "A@b.co", "a@b.co\n"] },
  { pattern: "^[^a]$", samples: ["b", "a", "\n", "😀", "\u2028", ""] },
  { pattern: "^(a+)?b*?$", samples: ["", "aab", "ba", "b"] },
];

/** Patterns that engines differ on, or that only a backtracking engine can run. */
export const peculiarPatterns: readonly PatternSample[] = [
  { pattern: "^.{2,5}$", samples: ["ab", "a", "abcdef", "a\n", "\u2028a", "a\r", "😀😀", "a\u0085"] },
  { pattern: "^.$", samples: ["😀", "a", "\n", "\r", "\u2028", "e\u0301", "\u0085"] },
  { pattern: "^\\S+$", samples: ["a", "\u00a0", "a b", "\ufeff", "\u2003"] },
  { pattern: "\\s", samples: [" ", "\u00a0", "\u000b", "\ufeff", "\u180e", "\u2028", "a"] },
  { pattern: "\\bfoo\\b", samples: ["foo", "a foo", "éfoo", "foobar"] },
  { pattern: "^\\p{Lu}", samples: ["A", "É", "a", "Ω", "ǅ"] },
  { pattern: "^\\P{L}+$", samples: ["1-2", "a", "漢"] },
  { pattern: "^[\\u4e00-\\u9fff]+$", samples: ["漢字", "a", "漢a"] },
  { pattern: "[😀-😂]", samples: ["😁", "😃", "a"] },
  { pattern: "^\\u{1F600}$", samples: ["😀", "😁"] },
  { pattern: "^(?=.*[0-9])(?=.*[a-z]).{4,}$", samples: ["abc1", "abcd", "1234", "a1"] },
  { pattern: "^(?!test)", samples: ["a", "test", "testing", "tes"] },
  { pattern: "(?<=a)b", samples: ["ab", "b", "cb"] },
  { pattern: "^(a|b)\\1$", samples: ["aa", "ab", "bb"] },
  { pattern: "^(?<q>['\"]).*\\k<q>$", samples: ["'a'", "'a\"", '"a"'] },
  { pattern: "^\\D*$", samples: ["abc", "a1", "١"] },
  { pattern: "^\\W$", samples: ["-", "a", "é", "_"] },
  { pattern: "^\\u0000$", samples: ["\u0000", "0", ""] },
  { pattern: "^\\cJ$", samples: ["\n", "J"] },
  { pattern: "^[\\d\\-]+$", samples: ["1-2", "a", "-"] },
  { pattern: "^[\\]\\\\]+$", samples: ["]", "\\", "a"] },
  { pattern: "^\\/x$", samples: ["/x", "x"] },
  { pattern: "^a{0}b{2}$", samples: ["bb", "abb", "b"] },
  { pattern: "^(?:a{1,3}){2}$", samples: ["aa", "a", "aaaaaa", "aaaaaaa"] },
];
