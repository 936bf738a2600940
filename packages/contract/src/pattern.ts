/** The regular expressions of `pattern` and `patternProperties`: judged in time that the text cannot choose. */
import { automatonTest, maxPlaces } from "./pattern-automaton.ts";
import { parsePattern, shapeOf } from "./pattern-syntax.ts";
import type { PatternShape } from "./pattern-syntax.ts";

/** Most ways a backtracking engine may have to try at one position before the automaton is the better choice. */
const maxChoices = 8;

/** The test of a pattern: whether it matches anywhere in a text, exactly as `new RegExp(pattern, "u").test` says. */
export interface PatternTest {
  test(text: string): boolean;
}

/**
 * The test of a pattern, in time linear in the text, but for patterns with look-around or back references. JavaScript's own engine
 * runs the patterns on which it cannot lose its way, as it is the faster there; an automaton runs the others.
 *
 * The alternatives: refusing every pattern that can backtrack (refuses `^.*foo.*$` and the e-mail patterns of Zod and ArkType);
 * a time limit (needs a thread for each text); RE2 (native, or 1.5 MB of JavaScript whose classes differ from ECMA-262).
 *
 * @throws SyntaxError for what is no regular expression in Unicode mode.
 */
export function compilePattern(pattern: string): PatternTest {
  const native = new RegExp(pattern, "u");
  const node = parsePattern(pattern);
  if (node === undefined || isEasy(shapeOf(node))) return native;
  const test = automatonTest(node);
  return test === undefined ? native : { test };
}

/** Whether backtracking is linear in the text: no repetition, or one of a kind that can fail in one way only. */
function isEasy(shape: PatternShape): boolean {
  if (shape.isIrregular || shape.choices > maxChoices) return false;
  return shape.loops === 0 || (shape.loops === 1 && shape.isAnchored);
}

/** Why a pattern cannot be allowed, as some text could keep any engine here busy for years; undefined when it can. */
export function patternDanger(pattern: string): string | undefined {
  const node = parsePattern(pattern);
  if (node === undefined)
    return "A pattern has no inline modifiers, as in (?i:a), and groups at most 200 deep.";
  const shape = shapeOf(node);
  if (isEasy(shape)) return undefined;
  if (shape.isIrregular) {
    return shape.loopDepth < 2
      ? undefined
      : "A pattern with look-around or back references must not nest repetitions, as in (a+)*: some texts would take it years.";
  }
  return automatonTest(node) === undefined
    ? `The pattern is too large: with its repetitions written out it has more than ${maxPlaces} characters.`
    : undefined;
}
