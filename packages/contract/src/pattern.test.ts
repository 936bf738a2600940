import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compilePattern, patternDanger } from "./pattern.ts";
import { automatonTest } from "./pattern-automaton.ts";
import { parsePattern, shapeOf } from "./pattern-syntax.ts";

/** Random patterns of the regular kind, in every notation. */
const character = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("a", "b", "1", "_", " ", "é", "😀", "-") },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      ".",
      "\\d",
      "\\D",
      "\\w",
      "\\W",
      "\\s",
      "\\S",
      "\\.",
      "\\n",
      "\\x61",
      "\\u0062",
      "\\u{1F600}",
      "\\ud83d\\ude00",
      "\\cJ",
      "\\0",
      "\\/",
      "\\\\",
      "\\p{L}",
      "\\P{Lu}",
      "[ab]",
      "[^a]",
      "[a-c1]",
      "[\\w-]",
      "[^\\s\\]]",
      "[😀-😂]",
      "[\\]\\\\]",
      "[.]",
      "[^]",
      "[]",
    ),
  },
);
const assertion = fc.constantFrom("^", "$", "\\b", "\\B");
const quantifier = fc.constantFrom(
  "",
  "",
  "",
  "*",
  "+",
  "?",
  "{2}",
  "{0}",
  "{1,}",
  "{1,3}",
  "{0,2}",
  "*?",
  "+?",
  "??",
  "{2,}?",
);

function patternOf(depth: number): fc.Arbitrary<string> {
  const atom =
    depth === 0 ? character : fc.oneof({ weight: 3, arbitrary: character }, groupOf(patternOf(depth - 1)));
  const term = fc.oneof(
    { weight: 1, arbitrary: assertion },
    { weight: 6, arbitrary: fc.tuple(atom, quantifier).map((parts) => parts.join("")) },
  );
  const sequence = fc.array(term, { maxLength: 3 }).map((terms) => terms.join(""));
  return fc.oneof(
    { weight: 2, arbitrary: sequence },
    fc.array(sequence, { minLength: 2, maxLength: 3 }).map((options) => options.join("|")),
  );
}

function groupOf(inner: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.constantFrom("(?:", "(", "(?<n>"), inner)
    .map(([opening, body]) => `${body.includes("(?<n>") ? "(" : opening}${body})`);
}

const pattern = patternOf(2);
const text = fc
  .array(
    fc.constantFrom("a", "b", "c", "1", "_", " ", "-", "é", "😀", "😃", "\n", "\u2028", ".", "]", "\\", "A"),
    { maxLength: 8 },
  )
  .map((units) => units.join(""));

function isPattern(source: string): boolean {
  try {
    void new RegExp(source, "u");
    return true;
  } catch {
    return false;
  }
}

describe("the automaton", () => {
  test("agrees with the engine on random patterns and texts", () => {
    let matches = 0;
    let total = 0;
    fc.assert(
      fc.property(
        pattern.filter(isPattern),
        fc.array(text, { minLength: 10, maxLength: 10 }),
        (source, texts) => {
          const native = new RegExp(source, "u");
          const node = parsePattern(source);
          expect(node, source).toBeDefined();
          const run = node === undefined ? undefined : automatonTest(node);
          if (run === undefined) return;
          for (const item of texts) {
            // V8 finds \B between the halves of a surrogate pair, where ECMA-262 has no position.
            if (source.includes("\\B") && item.length > Array.from(item).length) continue;
            total++;
            if (native.test(item)) matches++;
            expect(run(item), `${source} on ${JSON.stringify(item)}`).toBe(native.test(item));
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(total).toBeGreaterThan(15_000);
    expect(matches / total).toBeGreaterThan(0.2);
    expect(matches / total).toBeLessThan(0.95);
  });

  test("keeps agreeing when it has to forget", () => {
    // (a|b)*a(a|b){12} needs 8192 states, and every character below its own step.
    const source = "(?:a|b)*a[^]{12}x|é";
    const run = automatonTest(parsePattern(source) ?? expect.unreachable());
    const native = new RegExp(source, "u");
    const unit = fc.oneof(
      fc.constantFrom("a", "b", "x"),
      fc.integer({ min: 0xe0, max: 0xd000 }).map((n) => String.fromCodePoint(n)),
    );
    fc.assert(
      fc.property(fc.array(unit, { minLength: 200, maxLength: 2000 }), (units) => {
        const item = units.join("");
        expect(run?.(item)).toBe(native.test(item));
      }),
      { numRuns: 100 },
    );
  });
});

/** Patterns that people and libraries write, with a text on which backtracking takes long. */
const hostile: [string, string][] = [
  ["^(a+)+$", `${"a".repeat(100_000)}!`],
  ["^(a|a)*$", `${"a".repeat(100_000)}!`],
  ["^(a*)*b$", "a".repeat(100_000)],
  ["a+$", `${"a".repeat(100_000)}!`],
  ["^.*a.*b.*c$", "ab".repeat(50_000)],
  ["(?:x+x+)+y", "x".repeat(100_000)],
  ["^(?:a?){30}a{30}$", "a".repeat(29)],
  ["\\s+$", `${" ".repeat(100_000)}x`],
  [
    "^(?:[A-Za-z0-9_'+\\-]+\\.)*[A-Za-z0-9_'+\\-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$",
    `${"a".repeat(100_000)}@`,
  ],
  ["^[\\w%+.-]+@[\\d.A-Za-z-]+\\.[A-Za-z]{2,}$", `a@${"a.".repeat(50_000)}!`],
  ["^(([a-z])+.)+[A-Z]([a-z])+$", "a".repeat(100_000)],
];

describe("compilePattern", () => {
  test.each(hostile)("%s takes time linear in the text", (source, item) => {
    const compiled = compilePattern(source);
    const started = performance.now();
    expect(compiled.test(item)).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });

  test("leaves easy patterns to the engine", () => {
    const easy = ["^[a-z]{3}-[0-9]+$", "^\\d{4}$", "foo", "^(?:red|green|blue)$", "^\\S+$", "", "^a|b$"];
    for (const source of easy) expect(compilePattern(source), source).toBeInstanceOf(RegExp);
    const hard = ["a+", "^a+b+$", "^(?:a?){9}$", "^(a+)+$"];
    for (const source of hard) expect(compilePattern(source), source).not.toBeInstanceOf(RegExp);
  });

  test("runs irregular patterns and those it does not read as they are", () => {
    for (const source of [
      "^(?=a)a+b+",
      "(?<!a)b+c+",
      "^(a+)b+\\1$",
      "(?<n>a+)b+\\k<n>",
      `^${"(".repeat(300)}a+b+${")".repeat(300)}`,
      "^(?:a{100}){100}b+c+$",
    ]) {
      expect(compilePattern(source), source).toBeInstanceOf(RegExp);
    }
  });

  test("refuses what is no pattern", () => {
    expect(() => compilePattern("(")).toThrowError(SyntaxError);
    expect(() => compilePattern("a\\-b")).toThrowError(SyntaxError);
  });
});

test("a pattern that nothing here could run safely is refused", () => {
  expect(patternDanger("^(?=x)(a+)+$")).toMatch(/must not nest repetitions/);
  expect(patternDanger("^(?:(\\w+)\\s?)*\\1$")).toMatch(/must not nest repetitions/);
  expect(patternDanger("^(?:a{0,100}){0,100}$")).toMatch(/too large: .* more than 2000/);
  expect(patternDanger(`${"(".repeat(201)}a${")".repeat(201)}`)).toMatch(/at most 200 deep/);
  const safe = [
    "^(a+)+$",
    "^(?=.*[0-9])(?=.*[a-z]).{8,}$",
    "^(['\"]).*\\1$",
    "(?<=a+)b",
    "^(?!a{2}){3}b+$",
    "^[a-z]{5000}$",
  ];
  for (const source of safe) expect(patternDanger(source), source).toBeUndefined();
});

test("the shape of a pattern counts what makes backtracking slow", () => {
  const shape = (source: string) => shapeOf(parsePattern(source) ?? expect.unreachable());
  expect(shape("^a(b|c)?d{2,4}$")).toEqual({
    isIrregular: false,
    isAnchored: true,
    loops: 0,
    loopDepth: 0,
    choices: 4,
  });
  expect(shape("(?:^a+|^b*){2}")).toEqual({
    isIrregular: false,
    isAnchored: true,
    loops: 4,
    loopDepth: 1,
    choices: 2,
  });
  expect(shape("((a+)*b)+")).toMatchObject({ isAnchored: false, loopDepth: 3 });
  expect(shape("^(a|b)*")).toMatchObject({ loops: 1, choices: Infinity });
  expect(shape("(?:^)*a")).toMatchObject({ isAnchored: false });
});
