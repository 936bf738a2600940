import {
  DuckDBArrayType,
  DuckDBDecimalType,
  DuckDBListType,
  DuckDBMapType,
  DuckDBStructType,
  DuckDBTypeId,
} from "@duckdb/node-api";
import type { DuckDBType } from "@duckdb/node-api";
import { ident, text } from "@weir/compile";

/** A column of a view. */
export interface Column {
  readonly name: string;
  readonly type: DuckDBType;
}

const asItIs = new Set([
  DuckDBTypeId.BOOLEAN,
  DuckDBTypeId.TINYINT,
  DuckDBTypeId.SMALLINT,
  DuckDBTypeId.INTEGER,
  DuckDBTypeId.UTINYINT,
  DuckDBTypeId.USMALLINT,
  DuckDBTypeId.UINTEGER,
]);

const asText = new Set([
  DuckDBTypeId.VARCHAR,
  DuckDBTypeId.BIGINT,
  DuckDBTypeId.UBIGINT,
  DuckDBTypeId.HUGEINT,
  DuckDBTypeId.UHUGEINT,
  DuckDBTypeId.TIMESTAMP,
  DuckDBTypeId.DATE,
  DuckDBTypeId.TIME,
  DuckDBTypeId.UUID,
  DuckDBTypeId.ENUM,
]);

const doubles = new Set([DuckDBTypeId.DOUBLE, DuckDBTypeId.FLOAT]);

/**
 * SQL for the row as JSON text, an object by column name with the values that queries give: 64-bit integers, decimals and
 * times as strings. So a row gets from DuckDB to a client without becoming a JavaScript object (0.4 us a row of eight
 * columns; as an object, 4 us).
 *
 * @returns undefined where a column has a type of which SQL cannot make what queries give
 */
export function rowJson(columns: readonly Column[]): string | undefined {
  const members: string[] = [];
  for (const { name, type } of columns) {
    const value = valueJson(type, ident(name), 0);
    if (value === undefined) return undefined;
    members.push(`${ident(name)} := ${value}`);
  }
  return `to_json(struct_pack(${members.join(", ")}))::VARCHAR`;
}

/** @param depth number of the next lambda variable */
function valueJson(type: DuckDBType, value: string, depth: number): string | undefined {
  if (asItIs.has(type.typeId)) return value;
  if (asText.has(type.typeId)) return `(${value})::VARCHAR`;
  if (type instanceof DuckDBDecimalType) {
    // DuckDB writes .50 where a decimal has no place before the point; everybody else 0.50.
    return type.width > type.scale
      ? `(${value})::VARCHAR`
      : `regexp_replace((${value})::VARCHAR, '^(-?)[.]', '\\10.')`;
  }
  if (doubles.has(type.typeId)) {
    const other = `CASE WHEN isnan(${value}) THEN 'NaN' WHEN ${value} > 0 THEN 'Infinity' ELSE '-Infinity' END`;
    // Adding 0 makes 0 of -0, as JSON.stringify does.
    return `CASE WHEN isfinite(${value}) THEN to_json((${value})::DOUBLE + 0) WHEN ${value} IS NOT NULL THEN to_json(${other}) END`;
  }
  const variable = `_v${depth}`;
  if (type instanceof DuckDBListType || type instanceof DuckDBArrayType) {
    const item = valueJson(type.valueType, variable, depth + 1);
    return item && `list_transform((${value})::${type.valueType.toString()}[], lambda ${variable}: ${item})`;
  }
  if (type instanceof DuckDBMapType) {
    const key = valueJson(type.keyType, `${variable}.key`, depth + 1);
    const item = valueJson(type.valueType, `${variable}.value`, depth + 1);
    return (
      key &&
      item &&
      `list_transform(map_entries(${value}), lambda ${variable}: struct_pack("key" := ${key}, "value" := ${item}))`
    );
  }
  if (type instanceof DuckDBStructType) {
    const members = type.entryNames.map((name, i) => {
      const entry = type.entryTypes[i];
      const item = entry && valueJson(entry, `struct_extract(${value}, ${text(name)})`, depth);
      return item && `${ident(name)} := ${item}`;
    });
    if (members.includes(undefined)) return undefined;
    return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${members.join(", ")}) END`;
  }
  return undefined;
}
