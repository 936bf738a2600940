/**
 * Regular expressions that mean the same to JavaScript (flag `u`, as Ajv compiles `pattern`) and to RE2, which
 * DuckDB uses. Everything else goes to Ajv row by row.
 *
 * Left out on purpose, as the two differ: `.` (RE2 lets it match U+2028), `\s`, `\b`, `\S`, `\W`, `\D`
 * (Unicode), look-around, back references, named groups, `\u` and `\p` escapes, class set notation, lazy
 * quantifiers are kept as they only choose among matches, and a test asks only whether there is one.
 */
const literal = String.raw`[A-Za-z0-9 _@:;,#%&=~!<>"'/-]`;
const escaped = String.raw`\\[.\-*+?()[\]{}|^$\\/]`;
const set = String.raw`\[\^?(?:[A-Za-z0-9 _@:;,#%=~!<>"'/.+*?()]|\\[.\-\][\\^$/dw]|[A-Za-z0-9]-[A-Za-z0-9])+-?\]`;
const atom = String.raw`(?:${literal}|${escaped}|\\d|\\w|${set}|[()|^$]|\(\?:)`;
const quantifier = String.raw`(?:[*+?]|\{\d{1,3}(?:,(?:\d{1,3})?)?\})\??`;
const portable = new RegExp(`^(?:${atom}(?:${quantifier})?)*$`);

/** The pattern as RE2 reads it, or undefined when it might not mean the same there. */
export function portablePattern(pattern: string): string | undefined {
  if (pattern.length > 500 || !portable.test(pattern)) return undefined;
  // A quantifier after `(`, `|` or `^` is a syntax error to one of the two, and nested counts can exceed RE2's limit.
  if (/(?:^|[(|^$])(?:[*+?]|\{)/.test(pattern.replaceAll("(?:", "("))) return undefined;
  // DuckDB rewrites simple patterns to LIKE and then takes `$a` for `a`: anchors must stand at the ends.
  const bare = pattern.replaceAll(/\\.|\[\^/g, "x").replaceAll("(?:", "(");
  if (/[^(|]\^|\$[^)|]/.test(bare)) return undefined;
  if (/\)\??\{|\}\)?[*+?{]/.test(pattern)) return undefined;
  // RE2 writes counts out: 450 characters of `\w{0,999}` take it 17 s for one text of 5,000 characters.
  const counts = [...pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)];
  if (counts.reduce((sum, [, low, high]) => sum + Number(high === "" ? low : (high ?? low)), 0) > 1000) {
    return undefined;
  }
  try {
    void new RegExp(pattern, "u");
  } catch {
    return undefined;
  }
  return pattern;
}
