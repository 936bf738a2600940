import { ident } from "../sql.ts";
import type { RollupSpec } from "../table.ts";
import type { TableScope } from "./dialect.ts";
import { tableModel } from "./events.ts";
import type { TableMeasure, TableModel } from "./events.ts";

/** A rollup ready for SQL. */
export interface Rollup {
  readonly model: TableModel;
  /** The key's columns. */
  readonly keys: readonly string[];
  /** Those that name a group: with `window_start` where there are windows. */
  readonly group: readonly string[];
  /** The window's start as part of a SELECT over events. */
  readonly window: readonly string[];
  readonly windowMs: number | undefined;
  /** Condition that `t` and `s` are of one group. */
  readonly on: string;
  /** Measures whose values are rows of a table beside. */
  readonly distincts: readonly TableMeasure[];
}

export function rollupModel(name: string, spec: RollupSpec, scope: TableScope): Rollup {
  const model = tableModel(name, spec, scope, true);
  const { windowMs } = spec;
  const keys = model.by.map(({ column }) => column);
  const match = [
    ...keys.map((key) => `t.${ident(key)} IS NOT DISTINCT FROM s.${ident(key)}`),
    ...(windowMs === undefined ? [] : ["t.window_start = s.window_start"]),
  ];
  return {
    model,
    keys,
    group: windowMs === undefined ? keys : [...keys, "window_start"],
    window: windowMs === undefined ? [] : [`${windowSql(windowMs)} AS window_start`],
    windowMs,
    on: match.length === 0 ? "TRUE" : match.join(" AND "),
    distincts: model.measures.filter((measure) => measure.distinctType !== undefined),
  };
}

/** The table of the distinct values of a measure; no table of a project has such a name. */
export const besideTable = (table: string, measure: string): string => `_${table}__${measure}`;

/** Start of the window of `_t` (us): floored, also before 1970. */
export function windowSql(windowMs: number, t = "_t"): string {
  const width = windowMs * 1000;
  return `make_timestamp(${t} - ((${t} % ${width}) + ${width}) % ${width})`;
}
