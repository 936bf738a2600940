import type { SeenRow, StandObject } from "./rows.ts";

export interface ParsedQuery {
  readonly fields: readonly string[];
  readonly object: string;
  /** It asks how many rows there are, not for the rows. */
  readonly isCount: boolean;
  readonly isOrdered: boolean;
  readonly keeps: (row: SeenRow) => boolean;
}

/** What a query is refused for. */
export class QueryRefused extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;
const conditions: readonly [RegExp, (match: RegExpExecArray) => (row: SeenRow) => boolean][] = [
  [
    new RegExp(String.raw`^\((\w+) > (${time}) OR \(\1 = \2 AND Id > '(\w+)'\)\)$`),
    ([, field = "", at = "", id = ""]) =>
      (row) =>
        valueOf(row, field) > at || (valueOf(row, field) === at && row.Id > id),
  ],
  [
    new RegExp(`^(\\w+) (>|<=) (${time})$`),
    ([, field = "", operator, at = ""]) =>
      (row) =>
        operator === ">" ? valueOf(row, field) > at : valueOf(row, field) <= at,
  ],
  [
    /^Id IN \(('\w+'(?:,'\w+')*)\)$/,
    ([, list = ""]) => {
      const ids = new Set(list.split(",").map((quoted) => quoted.slice(1, -1)));
      return (row) => ids.has(row.Id);
    },
  ],
];

/**
 * Reads a query of the shapes that the source sends: conditions on a time field, a place in the order of (stamp, Id), a list of ids. Refuses all
 * others, so that no query is taken for what it does not say.
 */
export function parseQuery(soql: string, find: (name: string) => StandObject | undefined): ParsedQuery {
  const match = /^SELECT (COUNT\(\)|[\w,]+) FROM (\w+)(?: WHERE (.+?))?(?: ORDER BY (\w+,Id|Id))?$/.exec(
    soql,
  );
  if (match === null) throw new QueryRefused("MALFORMED_QUERY", `unexpected token: ${soql.slice(0, 50)}`);
  const [, list = "", object = "", where, order] = match;
  const known = find(object);
  if (known === undefined)
    throw new QueryRefused("INVALID_TYPE", `sObject type '${object}' is not supported.`);
  const isCount = list === "COUNT()";
  const fields = isCount ? [] : list.split(",");
  for (const name of fields) {
    const field = known.fields.find((one) => one.name === name);
    if (field === undefined) {
      throw new QueryRefused("INVALID_FIELD", `No such column '${name}' on entity '${object}'.`);
    }
    if (field.type === "address" || field.type === "base64") {
      throw new QueryRefused("FEATURENOTENABLED", `Selecting ${field.type} fields not supported: ${name}`);
    }
  }
  const parts = where === undefined ? [] : splitAnd(where);
  const checks = parts.map((part) => {
    for (const [pattern, make] of conditions) {
      const found = pattern.exec(part);
      if (found !== null) return make(found);
    }
    throw new QueryRefused("MALFORMED_QUERY", `unexpected condition: ${part}`);
  });
  return {
    fields,
    object,
    isCount,
    isOrdered: order !== undefined,
    keeps: (row) => checks.every((check) => check(row)),
  };
}

/** Splits at the ANDs outside brackets. */
function splitAnd(where: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < where.length; i++) {
    if (where[i] === "(") depth++;
    else if (where[i] === ")") depth--;
    else if (depth === 0 && where.startsWith(" AND ", i)) {
      parts.push(where.slice(from, i));
      from = i + 5;
    }
  }
  return [...parts, where.slice(from)];
}

const valueOf = (row: SeenRow, field: string): string => {
  const value = row.values[field];
  return typeof value === "string" ? value : "";
};
