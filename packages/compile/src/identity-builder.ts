import type { Contract } from "@weir/contract";
import type { IdentityLink, IdentitySpec, PersonKey } from "./table.ts";

type OneOrMore<T> = T | readonly T[];

/**
 * The fields of a contract that hold ids of one person: paths, each a kind of id of its own name, or paths by kind. A
 * kind is a namespace: `user_id` "7" and `order_id` "7" are different ids, whatever contract they come from.
 */
export type IdFields = readonly string[] | Readonly<Record<string, OneOrMore<string>>>;

/**
 * Persons: all ids that records bring together, directly or over other ids, are of one person. A row an id. What a
 * person is called is a hash of its ids' least, so it depends on the records alone; it changes when persons turn out
 * to be one.
 *
 * @param options.ids contracts and their fields that hold ids; a record with one id brings a person of one id. NULL and
 *   empty values are no ids
 * @param options.ignore values that are no ids either, such as "anonymous", "null" or "0": they would make everybody who has
 *   them one person
 * @param options.warnAbove number of ids of a person above which `weir status` reports it (1,000)
 */
export function identity(options: {
  ids: readonly (readonly [Contract, IdFields])[];
  ignore?: readonly string[];
  warnAbove?: number;
}): IdentitySpec {
  const { ids, ignore = [], warnAbove = 1_000 } = options;
  return {
    kind: "identity",
    links: ids.map(([contract, fields]) => link(contract, fields)),
    ignore,
    warnAbove,
  };
}

export function link(contract: Contract, fields: IdFields): IdentityLink {
  if (isList(fields)) return { contract, ids: fields.map((path) => ({ kind: path, path })) };
  const ids = Object.entries(fields).flatMap(([kind, paths]) =>
    (isList(paths) ? paths : [paths]).map((path) => ({ kind, path })),
  );
  return { contract, ids };
}

const isList = (value: IdFields | string): value is readonly string[] => Array.isArray(value);

/**
 * In `by` of sessions and rollups: the person that a record is of. What is stored moves along when persons turn out to be
 * one: their sessions and groups become those that the joined person has.
 *
 * @param table an identity table; it must have every contract of the table that uses this, by one of the fields
 * @param fields field or fields that hold ids of that table; the first that has one in a record counts. A record without one
 *   has no person: it belongs to no session, and to the group with NULL of a rollup
 * @param options.as name of the column ("person")
 */
export function person(
  table: string,
  fields: OneOrMore<string>,
  { as = "person" }: { as?: string } = {},
): PersonKey {
  return { person: table, fields: isList(fields) ? fields : [fields], column: as };
}
