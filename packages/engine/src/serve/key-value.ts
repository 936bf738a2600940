import { DuckDBDecimalType, DuckDBTypeId } from "@duckdb/node-api";
import type { DuckDBType } from "@duckdb/node-api";
import { text } from "@weir/compile";
import { WeirError } from "@weir/contract";

/**
 * A value of a key column in its one canonical form: what queries give, doubles as String writes them; null for NULL. Values are equal when these are.
 */
export type KeyValue = string | null;

const bits = new Map<DuckDBTypeId, [bits: number, signed: boolean]>([
  [DuckDBTypeId.TINYINT, [8, true]],
  [DuckDBTypeId.SMALLINT, [16, true]],
  [DuckDBTypeId.INTEGER, [32, true]],
  [DuckDBTypeId.BIGINT, [64, true]],
  [DuckDBTypeId.HUGEINT, [128, true]],
  [DuckDBTypeId.UTINYINT, [8, false]],
  [DuckDBTypeId.USMALLINT, [16, false]],
  [DuckDBTypeId.UINTEGER, [32, false]],
  [DuckDBTypeId.UBIGINT, [64, false]],
]);

export const isDouble = ({ typeId }: DuckDBType): boolean =>
  typeId === DuckDBTypeId.DOUBLE || typeId === DuckDBTypeId.FLOAT;

/** Whether rows can be found by values of the type. */
export function isKeyType(type: DuckDBType): boolean {
  return (
    bits.has(type.typeId) ||
    isDouble(type) ||
    type instanceof DuckDBDecimalType ||
    [
      DuckDBTypeId.VARCHAR,
      DuckDBTypeId.BOOLEAN,
      DuckDBTypeId.TIMESTAMP,
      DuckDBTypeId.DATE,
      DuckDBTypeId.UUID,
    ].includes(type.typeId)
  );
}

/**
 * The canonical form of what a client wrote.
 *
 * @throws WeirError `lookup_invalid` where it is not a value of the type
 */
export function keyValue(column: string, type: DuckDBType, written: string): string {
  const value = parse(type, written);
  if (value !== undefined) return value;
  throw new WeirError(
    "lookup_invalid",
    `${JSON.stringify(written.slice(0, 100))} is not a ${type.toString()}, which ${column} is.`,
    { where: column, remedy: `Write ${example(type)}. In an address, + is %2B.` },
  );
}

/** The canonical form of what `value::VARCHAR` gave. */
export function storedValue(type: DuckDBType, stored: KeyValue): KeyValue {
  if (stored === null) return null;
  // DuckDB writes .50 where a decimal has no place before the point.
  if (type instanceof DuckDBDecimalType) return stored.replace(/^(-?)\./, (_, sign) => `${sign}0.`);
  return isDouble(type) ? (parseDouble(stored, type.typeId === DuckDBTypeId.FLOAT) ?? stored) : stored;
}

/** A value as an SQL literal of its type. */
export const keyLiteral = (type: DuckDBType, value: KeyValue): string =>
  value === null ? `NULL::${type.toString()}` : `${text(value)}::${type.toString()}`;

function parse(type: DuckDBType, written: string): string | undefined {
  const range = bits.get(type.typeId);
  if (range !== undefined) return parseInteger(written, ...range);
  if (type instanceof DuckDBDecimalType) return parseDecimal(written, type.width, type.scale);
  if (isDouble(type)) return parseDouble(written, type.typeId === DuckDBTypeId.FLOAT);
  const { typeId } = type;
  if (typeId === DuckDBTypeId.BOOLEAN) return written === "true" || written === "false" ? written : undefined;
  if (typeId === DuckDBTypeId.TIMESTAMP) return parseTimestamp(written);
  if (typeId === DuckDBTypeId.DATE)
    return /^\d{4}-\d\d-\d\d$/.test(written) && parseTimestamp(written) !== undefined ? written : undefined;
  if (typeId === DuckDBTypeId.UUID)
    return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(written) ? written.toLowerCase() : undefined;
  return written;
}

function parseInteger(written: string, width: number, signed: boolean): string | undefined {
  if (!/^-?\d{1,40}$/.test(written)) return undefined;
  const value = BigInt(written);
  const fits = (signed ? BigInt.asIntN(width, value) : BigInt.asUintN(width, value)) === value;
  return fits ? value.toString() : undefined;
}

function parseDecimal(written: string, width: number, scale: number): string | undefined {
  const match = /^(-?)0*(\d{1,38})(?:\.(\d*?)0*)?$/.exec(written);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = ""] = match;
  if (fraction.length > scale || (whole !== "0" && whole.length > width - scale)) return undefined;
  const value = scale === 0 ? whole : `${whole}.${fraction.padEnd(scale, "0")}`;
  return /[1-9]/.test(value) ? sign + value : value;
}

function parseDouble(written: string, single: boolean): string | undefined {
  if (!/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(written)) return undefined;
  const value = single ? Math.fround(Number(written)) : Number(written);
  return Number.isFinite(value) ? String(value + 0) : undefined;
}

const timestamp =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?$/i;

/** RFC 3339, or as queries give it; UTC where no offset is named. Canonical: `2026-01-15 10:00:00.5`. */
function parseTimestamp(written: string): string | undefined {
  const match = timestamp.exec(written);
  if (match === null) return undefined;
  const [, year, month, day, hour = "00", minute = "00", second = "00", digits = "", offset = "Z"] = match;
  const fraction = digits.replace(/0+$/, "");
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${offset.toUpperCase()}`);
  // Date.parse takes the 31st of every month.
  const isDay = new Date(`${year}-${month}-${day}T00:00:00Z`).getUTCDate() === Number(day);
  if (Number.isNaN(ms) || !isDay || fraction.length > 6) return undefined;
  const utc = new Date(ms).toISOString();
  return /^\d{4}-/.test(utc)
    ? `${utc.slice(0, 10)} ${utc.slice(11, 19)}${fraction === "" ? "" : `.${fraction}`}`
    : undefined;
}

function example(type: DuckDBType): string {
  if (bits.has(type.typeId)) return "a whole number in its range, such as 42";
  if (type instanceof DuckDBDecimalType) return `a number with at most ${type.scale} decimal places`;
  if (isDouble(type)) return "a number, such as 1.5";
  if (type.typeId === DuckDBTypeId.BOOLEAN) return "true or false";
  if (type.typeId === DuckDBTypeId.TIMESTAMP) return "a time such as 2026-01-15T10:00:00Z";
  return type.typeId === DuckDBTypeId.DATE ? "a date such as 2026-01-15" : "a UUID";
}

/** Orders values as `ORDER BY ... NULLS FIRST` does. */
export function compareValues(type: DuckDBType, a: KeyValue, b: KeyValue): number {
  if (a === b) return 0;
  if (a === null) return -1;
  if (b === null) return 1;
  if (bits.has(type.typeId)) return BigInt(a) < BigInt(b) ? -1 : 1;
  if (type instanceof DuckDBDecimalType) return BigInt(digitsOf(a)) < BigInt(digitsOf(b)) ? -1 : 1;
  if (isDouble(type)) return Number(a) - Number(b);
  if (type.typeId === DuckDBTypeId.VARCHAR) return Buffer.compare(Buffer.from(a), Buffer.from(b));
  return a < b ? -1 : 1;
}

/** All decimals of a column have the same number of places. */
const digitsOf = (decimal: string): string => decimal.replace(".", "");
