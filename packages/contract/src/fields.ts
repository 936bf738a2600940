/** Builders for the fields that JSON Schema has no single word for. Each is JSON Schema underneath. */
import { Type } from "typebox";
import type {
  Static,
  TNull,
  TSchema,
  TSchemaOptions,
  TString,
  TStringOptions,
  TUnion,
  TUnsafe,
} from "typebox";

export { Type };
export type { Static };

export interface DecimalOptions extends TSchemaOptions {
  /** Digits in all, 1 to 38. */
  precision: number;
  /** Digits after the point, 0 to `precision`. */
  scale: number;
  /** Least value allowed. A string is exact; a number counts as its shortest decimal form. */
  minimum?: string | number;
  /** Greatest value allowed. */
  maximum?: string | number;
}

/**
 * An exact decimal number, for money and measures: `decimal({ precision: 12, scale: 2 })` is DECIMAL(12, 2).
 * It is sent as a string such as "19.90", which is exact on every path, or as a JSON number, which counts as its shortest decimal form.
 */
export function decimal(options: DecimalOptions): TUnsafe<string | number> {
  const { precision, scale, minimum, maximum, ...annotations } = options;
  const rule = {
    precision,
    scale,
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
  return Type.Unsafe<string | number>({ type: ["string", "number"], decimal: rule, ...annotations });
}

/** A point in time: a string of format `date-time` (RFC 3339), always with an offset or `Z`. */
export function timestamp(options: TStringOptions = {}): TString {
  return Type.String({ ...options, format: "date-time" });
}

/** A calendar day: a string of format `date` (RFC 3339 full-date). */
export function date(options: TStringOptions = {}): TString {
  return Type.String({ ...options, format: "date" });
}

/** A UUID of any version: a string of format `uuid` (RFC 9562). */
export function uuid(options: TStringOptions = {}): TString {
  return Type.String({ ...options, format: "uuid" });
}

/** The same field, or null. A nullable field must still be sent; `Type.Optional` is what lets it be left out. */
export function nullable<S extends TSchema>(field: S): TUnion<[S, TNull]> {
  return Type.Union([field, Type.Null()]);
}
