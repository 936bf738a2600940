/**
 * The test of a pattern of file paths relative to a directory, with `/` between their parts: `*` and `?` stay within one part,
 * `**` is any number of parts, `{a,b}` one of several. Everything else stands for itself.
 */
export function globTest(pattern: string): (path: string) => boolean {
  const expression = new RegExp(`^${expressionOf(pattern)}$`, "su");
  return (path) => expression.test(path);
}

function expressionOf(pattern: string): string {
  let expression = "";
  let braces = 0;
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern[at]!;
    if (pattern.startsWith("**/", at)) {
      expression += "(?:[^/]+/)*";
      at += 2;
    } else if (pattern.startsWith("**", at)) {
      expression += ".*";
      at += 1;
    } else if (character === "*") expression += "[^/]*";
    else if (character === "?") expression += "[^/]";
    else if (character === "{" && pattern.includes("}", at)) {
      braces++;
      expression += "(?:";
    } else if (character === "}" && braces > 0) {
      braces--;
      expression += ")";
    } else if (character === "," && braces > 0) expression += "|";
    else expression += character.replace(/[\\^$.*+?()[\]{}|/]/u, "\\$&");
  }
  return expression;
}
