import { effectiveSchema, jsonSchemaOf } from "@weir/contract";
import type { Contract } from "@weir/contract";
import type { EntitySpec } from "./table.ts";

/**
 * A table of things: one row for each key as it is now, and in `<table>_history` each state that it has had. Of two states
 * the newer counts, whatever came first; a thing that is gone stays gone for records older than its end.
 *
 * @param options.from a stream of a captured source (`"db.public.orders"`: source `db`, stream `public.orders`), or one or
 *   more contracts
 * @param options.key columns that name a thing: of a stream, those of the source's own key
 * @param options.columns of a stream: columns with a type, as TypeBox or JSON Schema. All others are in `_extra`
 * @param options.version of contracts: the field that says which of two states is newer; the event time otherwise
 * @param options.lattice columns that only rise, such as a status, with their values from the lowest up
 * @param options.deleted a field and the value of it that says that the thing is gone
 * @throws WeirError `contract_invalid` when a column's schema is none
 */
export function entity(options: {
  from: string | Contract | readonly Contract[];
  key: string | readonly string[];
  columns?: Readonly<Record<string, unknown>>;
  version?: string;
  lattice?: Readonly<Record<string, readonly string[]>>;
  deleted?: { readonly field: string; readonly equals: string | number | boolean };
}): EntitySpec {
  const { from, key, columns = {}, version, lattice = {}, deleted } = options;
  const schemas = Object.fromEntries(
    Object.entries(columns).map(([name, schema]) => [name, jsonSchemaOf(schema)]),
  );
  return {
    kind: "entity",
    from: typeof from === "string" ? from : [from].flat(),
    key: typeof key === "string" ? [key] : key,
    columns: effectiveSchema({ properties: schemas }).properties as EntitySpec["columns"],
    lattice,
    ...(version === undefined ? {} : { version }),
    ...(deleted === undefined ? {} : { deleted }),
  };
}
