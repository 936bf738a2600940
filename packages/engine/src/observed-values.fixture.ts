/** For tests: values of DuckDB in the plain form in which the oracle states them. */
import {
  DuckDBDateValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampValue,
} from "@duckdb/node-api";
import type { DuckDBValue } from "@duckdb/node-api";
import { jsonTree, keptJson } from "@weir/testkit";
import type { ColumnType } from "@weir/testkit";

/** The value of a column; see `columnValue` of the oracle for the form. */
export function plainValue(type: ColumnType, value: DuckDBValue): unknown {
  if (value === null) return null;
  if (type.kind === "list" && value instanceof DuckDBListValue) {
    return value.items.map((item) => plainValue(type.item, item));
  }
  if (type.kind === "map" && value instanceof DuckDBMapValue) {
    return new Map(value.entries.map((entry) => [entry.key, plainValue(type.value, entry.value)]));
  }
  if (type.kind === "struct" && value instanceof DuckDBStructValue) {
    const fields = [...type.fields].map(([name, field]) => [
      name,
      plainValue(field, value.entries[name] ?? null),
    ]);
    return Object.fromEntries(fields) as unknown;
  }
  if (type.kind === "scalar" && type.name === "JSON" && typeof value === "string")
    return keptJson(jsonTree(value));
  if (value instanceof DuckDBTimestampValue) return value.micros;
  if (value instanceof DuckDBDateValue) return BigInt(value.days);
  if (value instanceof DuckDBDecimalValue) return value.value;
  return value;
}
