import type { EntityType } from "../entity-model.ts";
import { text } from "../sql.ts";
import { sqlType } from "./leaf.ts";

/**
 * Values of captured columns: from the text that a database writes for them, or the JSON value of another source, to the
 * type that a table declares. What does not fit the type is NULL, never a value near it: `1.5` is no integer, and a
 * decimal with more digits than the type has is not rounded.
 */

/** The SQL type of a declared column. Objects and maps stay JSON: a database that sends text has no structs. */
export function columnType(type: EntityType): string {
  switch (type.kind) {
    case "bytes":
      return "BLOB";
    case "object":
    case "map":
    case "json":
      return "JSON";
    case "array":
      return isListed(type) ? `${sqlType(type.items.type)}[]` : "JSON";
    case "string":
    case "integer":
    case "number":
    case "decimal":
    case "boolean":
    case "timestamp":
    case "date":
      return sqlType(type);
  }
}

/** Whether every text fits. */
export const takesAnything = (type: EntityType): boolean =>
  ["string", "json", "object", "map"].includes(type.kind) || (type.kind === "array" && !isListed(type));

type ArrayType = EntityType & { readonly kind: "array" };

const isListed = (type: ArrayType): boolean =>
  !["array", "object", "map", "json"].includes(type.items.type.kind);

const matches = (value: string, pattern: string): string => `regexp_full_match(${value}, ${text(pattern)})`;
const where = (condition: string, value: string): string => `CASE WHEN ${condition} THEN ${value} END`;

/** PostgreSQL's output: a blank for RFC 3339's T, seconds in an offset, years past 9999, and BC. */
const clock = String.raw`\d\d:\d\d(:\d\d(\.\d+)?)?`;
const offset = String.raw`(Z|z|[+-]\d\d(:?\d\d(:?\d\d)?)?)`;
const day = String.raw`\d{4,6}-\d\d-\d\d`;

/**
 * A text as a value of the type; NULL where it does not fit, and for NULL.
 *
 * @param value SQL of a VARCHAR: the text of a string, the JSON text of anything else
 */
export function columnValue(value: string, type: EntityType): string {
  switch (type.kind) {
    case "string":
      return value;
    case "integer":
      return where(matches(value, String.raw`[+-]?\d+(\.0+)?`), `TRY_CAST(${value} AS BIGINT)`);
    case "number":
      return numberValue(value);
    case "decimal": {
      const whole = String.raw`0*\d{0,${type.precision - type.scale}}`;
      const fraction = String.raw`(\.\d{0,${type.scale}}0*)?`;
      return where(
        `${matches(value, `[+-]?${whole}${fraction}`)} AND ${matches(value, String.raw`.*\d.*`)}`,
        `TRY_CAST(${value} AS ${sqlType(type)})`,
      );
    }
    case "boolean":
      return `CASE WHEN ${value} IN ('t', 'true') THEN TRUE WHEN ${value} IN ('f', 'false') THEN FALSE END`;
    case "timestamp":
      return timestampValue(value);
    case "date":
      return where(matches(value, `${day}( BC)?`), `TRY_CAST(${beforeChrist(value)} AS DATE)`);
    case "bytes":
      return bytesValue(value, type.encoding);
    case "array":
      return isListed(type) ? listValue(value, type) : jsonValue(value);
    case "object":
    case "map":
    case "json":
      return jsonValue(value);
  }
}

/** Databases have NaN and infinities of their own; a number too great for a double does not fit. */
function numberValue(value: string): string {
  const cast = `TRY_CAST(${value} AS DOUBLE)`;
  const digits = matches(value, String.raw`[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?`);
  const named = matches(value, "NaN|[+-]?Infinity");
  return `(CASE WHEN ${digits} THEN CASE WHEN isfinite(${cast}) THEN ${cast} END WHEN ${named} THEN ${cast} END + 0)`;
}

/** A string that holds JSON is that JSON, as databases write it; any other string is itself. */
const jsonValue = (value: string): string => `coalesce(TRY_CAST(${value} AS JSON), to_json(${value}))`;

const beforeChrist = (value: string): string =>
  `regexp_replace(${value}, ${text(`^(${day})(.*) BC$`)}, '\\1 (BC)\\2')`;

/** Without an offset it is UTC. */
function timestampValue(value: string): string {
  const known = beforeChrist(value);
  return (
    `CASE WHEN ${matches(value, `${day}[T ]${clock}${offset}( BC)?`)} THEN TRY_CAST(${known} AS TIMESTAMPTZ)::TIMESTAMP ` +
    `WHEN ${matches(value, `${day}[T ]${clock}( BC)?`)} THEN TRY_CAST(${known} AS TIMESTAMP) END`
  );
}

/** `\x0a` is how PostgreSQL writes bytes, whatever the encoding that other sources use. */
function bytesValue(value: string, encoding: "base16" | "base64"): string {
  const digits = "([0-9a-fA-F]{2})*";
  const other =
    encoding === "base16"
      ? where(matches(value, digits), `unhex(${value})`)
      : where(
          matches(value, "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
          `from_base64(${value})`,
        );
  return `CASE WHEN ${matches(value, String.raw`\\x${digits}`)} THEN unhex(substr(${value}, 3)) ELSE ${other} END`;
}

/** An element of an array as PostgreSQL writes it, in quotes where it needs them. */
const element = String.raw`"(?:[^"\\]|\\.)*"|[^",{}\\\s][^",{}\\]*`;

/** A JSON array, or an array of one dimension as PostgreSQL writes it; NULL where an element does not fit. */
function listValue(value: string, type: ArrayType): string {
  const unquoted =
    `list_transform(regexp_extract_all(${value}, ${text(element)}), lambda _e: CASE WHEN upper(_e) = 'NULL' THEN NULL ` +
    String.raw`WHEN starts_with(_e, '"') THEN regexp_replace(_e[2:-2], '\\(.)', '\1', 'g') ELSE _e END)`;
  const texts =
    `CASE WHEN starts_with(${value}, '[') THEN TRY_CAST(TRY_CAST(${value} AS JSON) AS VARCHAR[]) ` +
    `WHEN ${matches(value, String.raw`\{((${element})(,(${element}))*)?\}`)} THEN ${unquoted} END`;
  const read = columnValue("_e", type.items.type);
  return (
    `list_transform([${texts}], lambda _l: CASE WHEN len(list_filter(_l, lambda _e: _e IS NOT NULL AND ${read} IS NULL)) = 0 ` +
    `THEN list_transform(_l, lambda _e: ${read}) END)[1]`
  );
}
