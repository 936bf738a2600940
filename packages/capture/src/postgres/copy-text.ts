/**
 * Values of a row as `COPY ... TO STDOUT` in text format writes it (PostgreSQL, "COPY", section "Text Format").
 *
 * @param line the row without its line feed
 */
export function copyValues(line: string): (string | null)[] {
  const values: (string | null)[] = line.split("\t");
  if (!line.includes("\\")) return values;
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (value === "\\N") values[i] = null;
    else if (value?.includes("\\") === true) values[i] = value.replaceAll(/\\(.)/gs, unescaped);
  }
  return values;
}

const escapes: Readonly<Record<string, string>> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };
const unescaped = (_: string, letter: string): string => escapes[letter] ?? letter;
