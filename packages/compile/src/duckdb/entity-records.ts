import { fieldOf } from "../entity-model.ts";
import type { EntityColumn, EntityModel, EntityType } from "../entity-model.ts";
import type { ContractModel } from "../model.ts";
import { ident, lines, text } from "../sql.ts";
import { columnType, columnValue, takesAnything } from "./column-text.ts";
import { sqlType } from "./leaf.ts";

/**
 * The records of an entity in one shape:
 *
 *   _key, _hash          which thing: a JSON array of the key's values as text; and half of its MD5, by which stored rows are found
 *   <columns>            typed; NULL where the value is NULL, unknown, missing, or does not fit
 *   _extra               JSON: the values that no column has; NULL where there are none
 *   _misfit, _unknown    names of columns: those whose value does not fit (it is in `_extra`), those that the record says nothing
 *                        of; NULL where there are none
 *   _op, _at             what happened, and when. `truncate`: everything up to the version is gone
 *   _version, _id        which of two states of a thing is newer: the greater version, and with one version the greater id
 */
export interface RecordShape {
  /** All of the above, in this order, with their SQL types. */
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

export function recordShape(model: EntityModel): RecordShape {
  return {
    columns: [
      { name: "_key", type: "VARCHAR" },
      { name: "_hash", type: "UBIGINT" },
      ...model.columns.map(({ name, type }) => ({ name, type: storedType(model, type) })),
      { name: "_extra", type: "JSON" },
      { name: "_misfit", type: "VARCHAR[]" },
      { name: "_unknown", type: "VARCHAR[]" },
      { name: "_op", type: "VARCHAR" },
      { name: "_at", type: "TIMESTAMP" },
      { name: "_version", type: sqlType(model.versionType) },
      { name: "_id", type: "VARCHAR" },
    ],
  };
}

/** Contracts bring typed values; columns of a stream are read from text. */
const storedType = ({ from }: EntityModel, type: EntityType): string =>
  from.kind === "stream" || type.kind === "bytes" ? columnType(type) : sqlType(type);

/**
 * @param relation what to read a contract's records from
 * @param condition on the record `e`
 */
export function recordsQuery(
  model: EntityModel,
  relation: (contract: string) => string,
  condition?: string,
): string {
  const { from } = model;
  const query =
    from.kind === "stream"
      ? streamQuery(model, relation(from.contract), from.stream)
      : from.contracts
          .map((contract) => contractQuery(model, contract, relation(contract.name)))
          .join("\nUNION ALL\n");
  const found = `SELECT _key, md5_number_lower(_key) AS _hash, * EXCLUDE (_key) FROM (${query})`;
  return condition === undefined ? found : `SELECT * FROM (${found}) e WHERE ${condition}`;
}

/** `field = value`, for the record that says that the thing is gone. */
function deletedSql(model: EntityModel): string | undefined {
  const { deleted } = model;
  const column = model.columns.find(({ name }) => name === deleted?.field);
  if (deleted === undefined || column === undefined) return undefined;
  const literal = `${text(String(deleted.equals))}::${storedType(model, column.type)}`;
  return `coalesce(${ident(column.name)} = ${literal}, FALSE)`;
}

const names = (columns: readonly EntityColumn[]): string =>
  `[${columns.map(({ name }) => text(name)).join(", ")}]`;

/**
 * Changes of a stream. Three layers: the row's members as texts, their values, and what follows from both.
 */
function streamQuery(model: EntityModel, relation: string, stream: string): string {
  const { columns } = model;
  const structure = text(JSON.stringify(Object.fromEntries(columns.map(({ name }) => [name, "VARCHAR"]))));
  const patch = text(JSON.stringify(Object.fromEntries(columns.map(({ name }) => [name, null]))));
  const picky = columns.flatMap((column, i) => (takesAnything(column.type) ? [] : [{ column, i }]));
  const misfits = picky.map(
    ({ column, i }) =>
      `CASE WHEN _t${i} IS NOT NULL AND ${ident(column.name)} IS NULL THEN ${text(column.name)} END`,
  );
  const misfit =
    misfits.length === 0
      ? "NULL::VARCHAR[]"
      : `nullif(list_filter([${misfits.join(", ")}], lambda _n: _n IS NOT NULL), [])`;
  const gone = deletedSql(model);
  const op =
    gone === undefined ? "_sent" : `CASE WHEN _sent <> 'truncate' AND ${gone} THEN 'delete' ELSE _sent END`;
  return `SELECT _key, ${columns.map(({ name }) => ident(name)).join(", ")},
  CASE WHEN _misfit IS NULL THEN nullif(json_merge_patch(_row, ${patch}), '{}')
    ELSE to_json(map_from_entries(list_filter(weir_entries(_row),
      lambda _e: NOT list_contains(${names(columns)}, _e.key) OR list_contains(_misfit, _e.key)))) END AS _extra,
  _misfit, CASE WHEN _op <> 'delete' THEN _unknown END AS _unknown, _op, _at, _version, _id
FROM (
  SELECT *, ${misfit} AS _misfit, ${op} AS _op
  FROM (
    SELECT _key, ${lines(columns.map(({ name, type }, i) => `${columnValue(`_t${i}`, type)} AS ${ident(name)}`))},
      ${columns.map((_, i) => `_t${i}`).join(", ")},
      _row, _unknown, _sent, _at, _version, _id
    FROM (
      SELECT "key" AS _key, "row" AS _row, nullif("unknown", []) AS _unknown, "op" AS _sent, "at" AS _at,
        "version" AS _version, "id" AS _id,
        ${lines(columns.map(({ name }, i) => `struct_extract(_j, ${text(name)}) AS _t${i}`))}
      FROM (
        SELECT *, from_json("row", ${structure}) AS _j FROM ${relation}
        WHERE "stream" = ${text(stream)} AND "op" <> 'schema'
      )
    )
  )
)`;
}

/** Records of a contract. Fields that it does not have are unknown; optional ones that a record lacks are NULL. */
function contractQuery(model: EntityModel, contract: ContractModel, relation: string): string {
  const values = model.columns.map(({ name, type }) =>
    fieldOf(contract, name) === undefined
      ? `NULL::${storedType(model, type)} AS ${ident(name)}`
      : ident(name),
  );
  const lacking = model.columns.filter(({ name }) => fieldOf(contract, name) === undefined);
  const gone = deletedSql(model);
  const hasGone = gone !== undefined && !lacking.some(({ name }) => name === model.deleted?.field);
  const op = hasGone ? `CASE WHEN ${gone} THEN 'delete' ELSE 'upsert' END` : "'upsert'";
  const unknown = lacking.length === 0 ? "NULL::VARCHAR[]" : names(lacking);
  const several = model.from.kind === "contracts" && model.from.contracts.length > 1;
  const id = `${ident(contract.id)}::VARCHAR`;
  const version = (model.from.kind === "contracts" ? model.from.version : undefined) ?? contract.time;
  const key = model.key.map((column) => `${ident(column)}::VARCHAR`).join(", ");
  return `SELECT to_json([${key}])::VARCHAR AS _key, ${values.join(", ")},
  _extra, NULL::VARCHAR[] AS _misfit, ${hasGone ? `CASE WHEN NOT ${gone} THEN ${unknown} END` : unknown} AS _unknown,
  ${op} AS _op, ${ident(contract.time)} AS _at, ${ident(version)} AS _version,
  ${several ? `concat(${text(contract.name)}, chr(31), ${id})` : id} AS _id
FROM ${relation} WHERE ${model.key.map((column) => `${ident(column)} IS NOT NULL`).join(" AND ")}`;
}
