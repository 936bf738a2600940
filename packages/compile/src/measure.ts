/** What a table computes over its records. All are exact and do not depend on the order of arrival. */
export type Measure =
  | { readonly measure: "count" }
  | {
      readonly measure: "sum" | "min" | "max" | "avg" | "distinct" | "first" | "last";
      /** Dotted path of the field. */
      readonly field: string;
    };

/** Number of records. */
export const count = (): Measure => ({ measure: "count" });

/**
 * Sum of the field over the records that have it; NULL when none has. Integers and decimals are summed exactly;
 * numbers (doubles) too, in fixed-point bins, and rounded once, when read.
 */
export const sum = (field: string): Measure => ({ measure: "sum", field });

/** Smallest value. Strings compare by code point. */
export const min = (field: string): Measure => ({ measure: "min", field });

/** Greatest value. Strings compare by code point. */
export const max = (field: string): Measure => ({ measure: "max", field });

/** Mean of the records that have the field: the exact sum, as the nearest double, divided by their number. */
export const avg = (field: string): Measure => ({ measure: "avg", field });

/** Exact number of distinct values. */
export const distinct = (field: string): Measure => ({ measure: "distinct", field });

/** Value of the earliest record that has the field, by (event time, id). */
export const first = (field: string): Measure => ({ measure: "first", field });

/** Value of the latest record that has the field, by (event time, id). */
export const last = (field: string): Measure => ({ measure: "last", field });
