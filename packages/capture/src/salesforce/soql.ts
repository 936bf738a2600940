import type { Description } from "./describe.ts";

/** Where a pass over an object goes on: after this row, in the order of (stamp, Id). */
export interface RowPlace {
  readonly stamp: string;
  readonly id: string;
}

/** Rows whose stamp is above `through` and at most `upTo`; all up to there without `through`. */
export interface Span {
  readonly through: string | undefined;
  readonly upTo: string;
}

const fieldList = ({ fields }: Description): string => fields.map(({ name }) => name).join(",");

/**
 * The rows of a span in the order of (stamp, Id), after `place`. A bulk update gives thousands of rows one stamp, so the
 * stamp alone is no place to go on after.
 */
export function pageQuery(description: Description, span: Span, place: RowPlace | undefined): string {
  const { name, stamp } = description;
  const after =
    place === undefined
      ? span.through === undefined
        ? ""
        : `${stamp} > ${span.through} AND `
      : `(${stamp} > ${place.stamp} OR (${stamp} = ${place.stamp} AND Id > '${quoted(place.id)}')) AND `;
  return `SELECT ${fieldList(description)} FROM ${name} WHERE ${after}${stamp} <= ${span.upTo} ORDER BY ${stamp},Id`;
}

/** The rows of a span in any order: Salesforce cuts a bulk query into chunks by itself, but not an ordered one. */
export const bulkQuery = (description: Description, span: Span): string =>
  `SELECT ${fieldList(description)} FROM ${description.name} WHERE ${within(description, span)}`;

/** How many rows a span has. */
export const countQuery = (description: Description, span: Span): string =>
  `SELECT COUNT() FROM ${description.name} WHERE ${within(description, span)}`;

function within({ stamp }: Description, { through, upTo }: Span): string {
  return `${through === undefined ? "" : `${stamp} > ${through} AND `}${stamp} <= ${upTo}`;
}

/** The ids of rows that were there at a time; of all, where the object does not say since when a row is. */
export function idsQuery({ name, hasCreatedDate }: Description, createdUpTo: string): string {
  return `SELECT Id FROM ${name}${hasCreatedDate ? ` WHERE CreatedDate <= ${createdUpTo}` : ""}`;
}

/** Rows by their ids. */
export function rowsQuery(description: Description, ids: readonly string[]): string {
  const list = ids.map((id) => `'${quoted(id)}'`).join(",");
  return `SELECT ${fieldList(description)} FROM ${description.name} WHERE Id IN (${list})`;
}

const quoted = (text: string): string => text.replaceAll(/[\\']/g, "\\$&");
