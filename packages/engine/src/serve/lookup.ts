import { WeirError } from "@weir/contract";
import { isDouble, isKeyType, keyValue } from "./key-value.ts";
import type { KeyValue } from "./key-value.ts";
import type { Column } from "./row-json.ts";
import type { TableShape } from "./table-shape.ts";

/** Which rows of a table a client wants, in its words. Values are texts. */
export interface LookupParameters {
  /** Keys, each the value of the key column; where there are several, a JSON array of their values. At most 1,000. */
  readonly key?: readonly string[];
  /** One key by the names of its columns. */
  readonly columns?: Readonly<Record<string, string | null>>;
  /** Values of the first of the columns that the table is sorted by. */
  readonly prefix?: Readonly<Record<string, string | null>>;
  /** Event time, inclusive. */
  readonly from?: string;
  /** Event time, exclusive. */
  readonly to?: string;
  /** Most rows given back where they are not named by key; 1 to 10,000, default 100. */
  readonly limit?: number;
  /** Columns of the rows given back; all where there are none. */
  readonly select?: readonly string[];
  /** Wait until this commit shows. */
  readonly minCommit?: number;
  /** Longest wait for `minCommit`; default 5 s, at most a minute. */
  readonly timeoutMs?: number;
}

/** Rows by their keys. */
export interface KeyLookup {
  readonly by: "key";
  readonly keys: readonly (readonly KeyValue[])[];
}

/** Rows by values of the first order columns and by event time. */
export interface RangeLookup {
  readonly by: "range";
  readonly prefix: readonly KeyValue[];
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly limit: number;
}

const mostKeys = 1_000;
const mostRows = 10_000;
const defaultRows = 100;

/**
 * What is meant by the parameters.
 *
 * @throws WeirError `lookup_invalid`, naming the columns by which the table's rows are found
 */
export function parseLookup(shape: TableShape, given: LookupParameters): KeyLookup | RangeLookup {
  checkColumns(shape, given);
  const { key, columns, prefix } = given;
  const isWindow = given.from !== undefined || given.to !== undefined;
  const forms = [key, columns, prefix].filter((form) => form !== undefined).length + Number(isWindow);
  if (key !== undefined) {
    if (forms > 1) throw invalid(shape, "key cannot be combined with other conditions");
    return { by: "key", keys: key.map((text) => parseKey(shape, text)) };
  }
  if (columns !== undefined) {
    if (forms > 1) throw invalid(shape, "a key by columns cannot be combined with other conditions");
    return parseColumns(shape, columns);
  }
  if (forms === 0) {
    if (shape.key.length === 0) return { by: "key", keys: [[]] };
    throw invalid(shape, "the request names no rows");
  }
  return {
    by: "range",
    prefix: prefix === undefined ? [] : parsePrefix(shape, prefix),
    from: parseTime(shape, given.from),
    to: parseTime(shape, given.to),
    limit: given.limit ?? defaultRows,
  };
}

function checkColumns(shape: TableShape, { key, limit, select }: LookupParameters): void {
  const wrong = [...shape.key, ...shape.order].find(({ type }) => !isKeyType(type));
  if (wrong !== undefined)
    throw invalid(shape, `rows cannot be found by ${wrong.name}, which is a ${wrong.type.toString()}`);
  if (key !== undefined && (key.length > mostKeys || key.length === 0))
    throw invalid(shape, `a request takes 1 to ${mostKeys} keys, and has ${key.length}`);
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 1 && limit <= mostRows))
    throw invalid(shape, `limit must be a whole number from 1 to ${mostRows}`);
  const unknown = select?.find((name) => !shape.columns.some((column) => column.name === name));
  if (unknown !== undefined) {
    const names = shape.columns.map(({ name }) => name).join(", ");
    throw invalid(shape, `there is no column ${quoted(unknown)} to give back; the columns are ${names}`);
  }
}

function parseKey(shape: TableShape, text: string): KeyValue[] {
  if (shape.key.length === 1) return shape.key.map(({ name, type }) => keyValue(name, type, text));
  const values = parseJson(text);
  if (!Array.isArray(values) || values.length !== shape.key.length)
    throw invalid(shape, `${quoted(text)} is not a JSON array of ${shape.key.length} values`);
  return shape.key.map(({ name, type }, i) => {
    const value: unknown = values[i];
    if (value === null) return null;
    // JSON.parse has rounded it by now.
    if (typeof value === "number" && !isDouble(type) && /\d{16}|e/.test(String(value).replace(".", "")))
      throw invalid(shape, "a number of more than 15 digits must be written as a string");
    if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean")
      throw invalid(shape, `${quoted(JSON.stringify(value))} is no value of ${name}`);
    return keyValue(name, type, String(value));
  });
}

function parseColumns(
  shape: TableShape,
  given: Readonly<Record<string, string | null>>,
): KeyLookup | RangeLookup {
  if (isSame(shape.key, given)) return { by: "key", keys: [valuesOf(shape.key, given)] };
  if (isSame(shape.order, given))
    return {
      by: "range",
      prefix: valuesOf(shape.order, given),
      from: undefined,
      to: undefined,
      limit: defaultRows,
    };
  const other = Object.keys(given).find(
    (name) => ![...shape.key, ...shape.order].some((column) => column.name === name),
  );
  throw invalid(
    shape,
    other === undefined ? `the key is not whole` : `${quoted(other)} is neither a parameter nor a key column`,
  );
}

function parsePrefix(shape: TableShape, given: Readonly<Record<string, string | null>>): KeyValue[] {
  const leading = shape.order.slice(0, Object.keys(given).length);
  if (isSame(leading, given)) return valuesOf(leading, given);
  throw invalid(
    shape,
    `${Object.keys(given).map(quoted).join(", ")} are not the first columns it is sorted by`,
  );
}

const isSame = (columns: readonly Column[], given: Readonly<Record<string, string | null>>): boolean =>
  columns.length === Object.keys(given).length && columns.every(({ name }) => Object.hasOwn(given, name));

const valuesOf = (columns: readonly Column[], given: Readonly<Record<string, string | null>>): KeyValue[] =>
  columns.map(({ name, type }) => {
    const value = given[name] ?? null;
    return value === null ? null : keyValue(name, type, value);
  });

function parseTime(shape: TableShape, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  if (shape.time === undefined) throw invalid(shape, "its rows have no event time to find them by");
  return keyValue(shape.time.name, shape.time.type, text);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const quoted = (text: string): string => JSON.stringify(text.slice(0, 100));

const listed = (columns: readonly Column[]): string =>
  columns.length === 0 ? "none" : columns.map(({ name, type }) => `${name} (${type.toString()})`).join(", ");

function invalid(shape: TableShape, what: string): WeirError {
  const { name, key, order, time } = shape;
  const sorted = key === order ? "" : `; it is sorted by ${listed(order)}`;
  const window = time === undefined ? "" : `; its event time is ${time.name}`;
  return new WeirError(
    "lookup_invalid",
    `Of ${name}, ${what}. Its key columns are ${listed(key)}${sorted}${window}.`,
    {
      where: name,
      remedy:
        "Ask by key=..., by the key columns' names, by prefix.<column>=... (the first of them), or by from= and to=.",
    },
  );
}
