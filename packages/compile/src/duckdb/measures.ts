import type { FieldType } from "../field-type.ts";
import type { Measure } from "../measure.ts";
import { ident } from "../sql.ts";
import { sqlType } from "./leaf.ts";

/**
 * How a measure is kept. Its state is one or more columns; states merge, and merging is commutative and
 * associative to the bit, so that a table does not depend on order, batches or retries.
 */
export interface MeasureSql {
  readonly columns: readonly StateColumn[];
  /** The measure as users read it, from the state columns. */
  readonly value: string;
  readonly valueType: string;
  /** Set where distinct values are kept beside the table (see rollup.ts): the SQL type of the values. */
  readonly distinctType?: string;
}

export interface StateColumn {
  readonly name: string;
  readonly type: string;
  /** Aggregate over records. Reads `_t` (event time in us), `_id` and the measure's argument. */
  readonly ofRecords: string;
  /** Aggregate over states: reads the column itself. */
  readonly ofStates: string;
  /** State of `t` merged with state of `s`. */
  readonly merged: string;
}

const additive = (name: string, type: string, ofRecords: string): StateColumn => ({
  name,
  type,
  ofRecords,
  ofStates: `sum(${ident(name)})::${type}`,
  // NULL is the sum of nothing.
  merged: `coalesce(t.${ident(name)} + s.${ident(name)}, t.${ident(name)}, s.${ident(name)})`,
});

/**
 * Sums of doubles, exactly, and rounded once when they are read: to nearest, ties to even. A double is m * 2^(e-52); its exponent falls into a bin of 34 binades, and within a
 * bin every value is a whole multiple of 2^(34*bin-63), so it adds up as an integer: 87 bits a value leave HUGEINT
 * room for 2^40 values. Bin 0 covers 0.001 to 16 million and is a column of its own; others are a list of
 * (bin, sum). One bit of slack absorbs that log2 may round up just below a power of two.
 */
function doubleSum(name: string, argument: string): { columns: StateColumn[]; value: string } {
  const near = `_${name}__near`;
  const far = `_${name}__far`;
  const inNear = `(abs(${argument}) BETWEEN 0.0009765625::DOUBLE AND 16777215::DOUBLE OR ${argument} = 0)`;
  const bin = `floor((floor(log2(abs(${argument}))) + 10) / 34)::SMALLINT`;
  const farType = "STRUCT(bin SMALLINT, total HUGEINT)[]";
  const columns = [
    additive(
      near,
      "HUGEINT",
      `sum(CASE WHEN ${inNear} THEN (${argument} * 9223372036854775808::DOUBLE)::HUGEINT END)`,
    ),
    {
      name: far,
      type: farType,
      // The CASE keeps log2 and pow from being computed where a FILTER alone would only drop their result.
      ofRecords:
        `weir_bins(list(CASE WHEN NOT ${inNear} THEN weir_bin(${argument}, ${bin}) END) ` +
        `FILTER (WHERE ${argument} IS NOT NULL AND NOT ${inNear}))`,
      ofStates: `weir_bins(flatten(list(${ident(far)}) FILTER (WHERE ${ident(far)} IS NOT NULL)))`,
      merged:
        `CASE WHEN t.${ident(far)} IS NULL THEN s.${ident(far)} WHEN s.${ident(far)} IS NULL THEN t.${ident(far)} ` +
        `ELSE weir_bins(list_concat(t.${ident(far)}, s.${ident(far)})) END`,
    },
  ];
  return { columns, value: `weir_double_sum(${ident(near)}, ${ident(far)})` };
}

/** Macros that the state columns use; created in the engine's in-memory catalog. */
export const measureMacros: readonly string[] = [
  // The bin of zero is never asked for: zero is near. Two multiplications keep 2^(63-34*bin) within a double.
  `CREATE OR REPLACE MACRO weir_bin(x, b) AS
  struct_pack(bin := b, total := (x * pow(2::DOUBLE, (63 - 34 * b) // 2) * pow(2::DOUBLE, (63 - 34 * b) - (63 - 34 * b) // 2))::HUGEINT)`,
  `CREATE OR REPLACE MACRO weir_bins(l) AS
  CASE WHEN l IS NOT NULL THEN list_transform(
    list_sort(list_distinct(list_transform(l, lambda x: x.bin))),
    lambda b: struct_pack(bin := b, total := list_sum(list_transform(list_filter(l, lambda x: x.bin = b), lambda x: x.total))::HUGEINT)
  ) END`,
  // A total as a digit of base 2^34 and what is carried to the next bin.
  `CREATE OR REPLACE MACRO weir_digit(total) AS ((total % 17179869184) + 17179869184) % 17179869184`,
  // From the least bin up: `low` are digits, least first; `top` is the signed rest, in units of the last bin.
  `CREATE OR REPLACE MACRO weir_carried(bins, least, most) AS list_reduce(
    list_transform(range(least, most + 1), lambda b: struct_pack(
      top := coalesce(list_sum(list_transform(list_filter(bins, lambda x: x.bin = b), lambda x: x.total)), 0)::HUGEINT,
      low := []::HUGEINT[])),
    lambda s, x: struct_pack(
      top := (s.top - weir_digit(s.top)) // 17179869184 + x.top,
      low := list_append(s.low, weir_digit(s.top))))`,
  // From the top down, until there are more bits than a double has; of the digits below only whether they are 0 counts.
  `CREATE OR REPLACE MACRO weir_leading(carried) AS list_reduce(
    list_transform(
      list_concat([carried.top], list_reverse(carried.low)),
      lambda d: struct_pack(lead := d, rest := 0, skipped := 0)),
    lambda s, d: CASE WHEN s.skipped = 0 AND abs(s.lead) < 1237940039285380274899124224
      THEN struct_pack(lead := s.lead * 17179869184 + d.lead, rest := 0, skipped := 0)
      ELSE struct_pack(lead := s.lead, rest := greatest(s.rest, (d.lead <> 0)::INTEGER), skipped := s.skipped + 1) END)`,
  // The text detour rounds to nearest, which the plain cast does not. Two multiplications, both exact.
  `CREATE OR REPLACE MACRO weir_scaled(whole, exponent) AS
  whole::VARCHAR::DOUBLE * pow(2::DOUBLE, exponent // 2) * pow(2::DOUBLE, exponent - exponent // 2)`,
  `CREATE OR REPLACE MACRO weir_rounded(bins, least, most) AS list_transform(
    [weir_leading(weir_carried(bins, least, most))],
    lambda s: weir_scaled(2 * s.lead + s.rest, 34 * (least + s.skipped) - 64))[1]`,
  `CREATE OR REPLACE MACRO weir_double_sum(near, far) AS
  CASE WHEN far IS NULL THEN (near::VARCHAR::DOUBLE) * pow(2::DOUBLE, -63)
  ELSE list_transform(
    [list_append(far, struct_pack(bin := 0::SMALLINT, total := coalesce(near, 0::HUGEINT)))],
    lambda bins: weir_rounded(
      bins, list_min(list_transform(bins, lambda x: x.bin)), list_max(list_transform(bins, lambda x: x.bin))))[1]
  END`,
];

/**
 * The SQL of a measure.
 *
 * @param distinctBeside whether distinct values live in a table beside (rollups, whose groups may be large) or in
 *   a list in the row (sessions, which are small).
 */
export function measureSql(
  name: string,
  measure: Measure,
  type: FieldType | undefined,
  argument: string,
  distinctBeside: boolean,
): MeasureSql {
  if (measure.measure === "count" || type === undefined) {
    const column = additive(name, "BIGINT", "count(*)");
    return { columns: [column], value: ident(name), valueType: "BIGINT" };
  }
  const valueType = sqlType(type);
  switch (measure.measure) {
    case "sum":
      return sumSql(name, type, argument);
    case "avg": {
      const total = sumSql(`_${name}__sum`, type, argument);
      const counted = additive(`_${name}__count`, "BIGINT", `count(${argument})`);
      const value = `CASE WHEN ${ident(counted.name)} > 0 THEN (${total.value})::VARCHAR::DOUBLE / ${ident(counted.name)} END`;
      return { columns: [...total.columns, counted], value, valueType: "DOUBLE" };
    }
    case "min":
    case "max":
      return extremeSql(name, measure.measure, valueType, argument);
    case "first":
    case "last":
      return endSql(name, measure.measure, valueType, argument);
    case "distinct":
      return distinctSql(name, valueType, argument, distinctBeside);
  }
}

function sumSql(name: string, type: FieldType, argument: string): MeasureSql {
  if (type.kind === "number") return { ...doubleSum(name, argument), valueType: "DOUBLE" };
  const total = type.kind === "decimal" ? `DECIMAL(38, ${type.scale})` : "HUGEINT";
  return {
    columns: [additive(name, total, `sum(${argument})::${total}`)],
    value: ident(name),
    valueType: total,
  };
}

function extremeSql(name: string, extreme: "min" | "max", type: string, argument: string): MeasureSql {
  const pick = extreme === "min" ? "least" : "greatest";
  const column: StateColumn = {
    name,
    type,
    ofRecords: `${extreme}(${argument})`,
    ofStates: `${extreme}(${ident(name)})`,
    merged: `${pick}(t.${ident(name)}, s.${ident(name)})`,
  };
  return { columns: [column], value: ident(name), valueType: type };
}

function endSql(name: string, end: "first" | "last", type: string, argument: string): MeasureSql {
  const extreme = end === "first" ? "min" : "max";
  const before = end === "first" ? "<" : ">";
  const column: StateColumn = {
    name,
    type: `STRUCT(t BIGINT, id VARCHAR, v ${type})`,
    ofRecords: `${extreme}(struct_pack(t := _t, id := _id, v := ${argument})) FILTER (WHERE ${argument} IS NOT NULL)`,
    ofStates: `${extreme}(${ident(name)})`,
    merged:
      `CASE WHEN t.${ident(name)} IS NULL OR s.${ident(name)} ${before} t.${ident(name)} ` +
      `THEN s.${ident(name)} ELSE t.${ident(name)} END`,
  };
  return { columns: [column], value: `${ident(name)}.v`, valueType: type };
}

function distinctSql(name: string, type: string, argument: string, beside: boolean): MeasureSql {
  if (beside) {
    // Filled from the table beside: the number of values that are new to the group.
    const column = additive(name, "BIGINT", "0::BIGINT");
    return { columns: [column], value: ident(name), valueType: "BIGINT", distinctType: type };
  }
  const column: StateColumn = {
    name,
    type: `${type}[]`,
    ofRecords: `list_sort(list(DISTINCT ${argument}) FILTER (WHERE ${argument} IS NOT NULL))`,
    ofStates: `list_sort(list_distinct(flatten(list(${ident(name)}) FILTER (WHERE ${ident(name)} IS NOT NULL))))`,
    merged: `list_sort(list_distinct(list_concat(t.${ident(name)}, s.${ident(name)})))`,
  };
  return { columns: [column], value: `coalesce(len(${ident(name)}), 0)`, valueType: "BIGINT" };
}
