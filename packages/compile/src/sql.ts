/** SQL text shared by every dialect: names and literals. */

/** A quoted identifier. */
export const ident = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A string literal. */
export const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A list of parts joined for a SELECT list or condition, one a line. */
export const lines = (parts: readonly string[], separator = ","): string => parts.join(`${separator}\n  `);

/** Conditions joined by AND; TRUE when there are none. */
export const all = (conditions: readonly string[]): string =>
  conditions.length === 0 ? "TRUE" : conditions.join(" AND ");
