import { WeirError } from "@weir/contract";
import { maskedText } from "../access-views.ts";
import { rawMembers, rawObject } from "../raw-json.ts";
import type { LookupParameters } from "./lookup.ts";
import type { TableShape } from "./table-shape.ts";

/**
 * Refuses to find rows by columns that the caller does not see: whoever may ask for a value learns whether it is there, and an order
 * or a position tells of it.
 *
 * @param given undefined for changes, whose positions have the key
 * @throws WeirError `column_masked`
 */
export function refuseMaskedKeys(
  { name, key, order, time }: TableShape,
  masked: ReadonlySet<string>,
  given: LookupParameters | undefined,
): void {
  const byTime = given !== undefined && (given.from ?? given.to) !== undefined;
  const columns = [...key, ...order, ...(byTime && time !== undefined ? [time] : [])];
  const hidden = columns.find((column) => masked.has(column.name));
  if (hidden === undefined) return;
  throw new WeirError(
    "column_masked",
    `Rows of ${name} are found by ${hidden.name}, which this role does not see.`,
    {
      where: name,
    },
  );
}

/** A row's JSON with masked columns as queries show them. */
export function maskedRow({ columns }: TableShape, masked: ReadonlySet<string>, row: string): string {
  const texts = new Set(columns.filter(({ type }) => type.toString() === "VARCHAR").map(({ name }) => name));
  return rawObject(
    rawMembers(row).map((member) => {
      if (!masked.has(member.name)) return member;
      return { name: member.name, value: texts.has(member.name) ? JSON.stringify(maskedText) : "null" };
    }),
  );
}
