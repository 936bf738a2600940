import type { ContractModel } from "../model.ts";
import type { Field } from "../field-type.ts";
import type { Statement } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import { contentOf } from "./content.ts";
import { jsonTypes, leafType, sqlType, typedLeafChecks, typedLeafValue } from "./leaf.ts";

/**
 * From log lines to typed rows of one contract.
 *
 * The statements run with the batch's own schema first in the search path. They read
 *   lines(_key, seg, line, received, contract, keys, nulls, error, text)   one row a log line
 *   segments(seg, source, writer, number)                                  where the lines came from
 *   routes(seg, sent, contract)                                            which contract a sent name means
 *   fixes(_key, text, extra)                                               what Ajv accepted and SQL did not
 *   duplicates(_key)                                                       rows that the id index knows
 *   see privacy.ts for what comes between the verdict and the ids
 * and leave `rows_<contract>`: every routed line, `_ok` where SQL proved that Ajv accepts it.
 */

/** The routing member of `/v1/events`; known to every contract, part of its data only where declared. */
const routingMember = "type";

export const rowsTable = (contract: string): string => ident(`rows_${contract}`);
/** The rows as they came, where those of `rows_<contract>` have tokens. */
export const receivedTable = (contract: string): string => ident(`received_${contract}`);
export const idsTable = (contract: string): string => ident(`ids_${contract}`);
export const freshView = (contract: string): string => ident(`fresh_${contract}`);
/** Rows of the clean zone that are taken out of it. */
export const removedTable = (contract: string): string => ident(`removed_${contract}`);

/** The columns of the clean zone, in order. */
export function cleanColumns(contract: ContractModel): { name: string; type: string }[] {
  return [
    ...contract.fields.map((field) => ({ name: field.name, type: sqlType(field.type) })),
    { name: "_extra", type: "JSON" },
    { name: "_received_at", type: "TIMESTAMP" },
    { name: "_source", type: "VARCHAR" },
    { name: "_writer", type: "VARCHAR" },
    { name: "_number", type: "UBIGINT" },
    { name: "_line", type: "UINTEGER" },
    { name: "_content", type: "UBIGINT" },
  ];
}

/**
 * What may be a number that no double and no 64-bit integer holds. `json_merge_patch` would round it, so a record with
 * unknown members and such a number takes the way through JavaScript, which keeps texts of numbers.
 */
const longNumber = "[0-9.]{17}|[0-9][eE][+-]?[0-9]{2}";

/** The record's members that are taken apart: every field, and the routing member. */
interface Leaves {
  /** The structure for `from_json`, as a literal. */
  readonly structure: string;
  readonly of: (field: Field) => string;
}

function leavesOf(contract: ContractModel): Leaves {
  const types = Object.fromEntries(contract.judged.map(({ name, type }) => [name, leafType(type)]));
  return {
    structure: text(JSON.stringify({ [routingMember]: "VARCHAR", ...types })),
    of: ({ name }) => `struct_extract(j, ${text(name)})`,
  };
}

const pointer = (name: string): string => text(`/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`);

/**
 * The known members in the order that `_types` has their JSON types in. Those come first that must be there and can have one type
 * only: comparing their part of the list with the one that is right costs a sixth of looking at each. (A list for these and one for
 * the others would parse the record once more, for 0.7 us.)
 */
function typeLists(contract: ContractModel): { plain: Field[]; other: (Field | typeof routingMember)[] } {
  const isPlain = (field: Field): boolean =>
    field.required && !field.nullable && jsonTypes(field.type)?.length === 1;
  const plain = contract.judged.filter(isPlain);
  // To a contract that allows no other members the routing member is one of those, as it is to Ajv.
  const routing =
    contract.closed || contract.judged.some(({ name }) => name === routingMember)
      ? []
      : [routingMember as typeof routingMember];
  return { plain, other: [...contract.judged.filter((field) => !isPlain(field)), ...routing] };
}

const nameOf = (member: Field | typeof routingMember): string =>
  typeof member === "string" ? member : member.name;

/** The verdict on a member that is not plain; `type` is its entry in `_types`. */
function memberVerdict(field: Field, leaf: string, type: string): string {
  const names = jsonTypes(field.type);
  const isType = names === undefined ? `${type} <> 'NULL'` : `${type} IN (${names.map(text).join(", ")})`;
  const present = [isType, ...typedLeafChecks(leaf, field.type)].join(" AND ");
  // Where SQL does not understand the whole schema, null may be forbidden although its type is not.
  const nullable = field.nullable && field.type.exact;
  if (field.required && nullable) return `(${type} = 'NULL' OR ${type} IS NOT NULL AND ${present})`;
  if (field.required) return `${type} IS NOT NULL AND ${present}`;
  if (nullable) return `(${type} IS NULL OR ${type} = 'NULL' OR ${present})`;
  return `(${type} IS NULL OR ${present})`;
}

/** `rows_<contract>`: typed rows with the verdict of SQL. */
export function rowsStatement(contract: ContractModel): Statement {
  const leaves = leavesOf(contract);
  const { plain, other } = typeLists(contract);
  const members = [...plain, ...other];
  const types =
    members.length === 0
      ? "NULL::VARCHAR[]"
      : `json_type(text, [${members.map((member) => pointer(nameOf(member))).join(", ")}])`;
  const wanted = plain.map((field) => text(jsonTypes(field.type)?.[0] ?? "")).join(", ");
  const verdicts = [
    ...(plain.length === 0 ? [] : [`_types[:${plain.length}] = [${wanted}]`]),
    ...plain.flatMap((field) => typedLeafChecks(leaves.of(field), field.type)),
    ...other.flatMap((member, i) =>
      typeof member === "string"
        ? []
        : [memberVerdict(member, leaves.of(member), `_types[${plain.length + i + 1}]`)],
    ),
    contract.closed
      ? "NOT _unknown"
      : `CASE WHEN _unknown THEN NOT regexp_matches(text, ${text(longNumber)}) ELSE TRUE END`,
  ];
  const patch = text(JSON.stringify(Object.fromEntries(members.map((member) => [nameOf(member), null]))));
  return {
    name: `rows of ${contract.name}`,
    purpose: "Take each record apart, check every field, keep what the contract does not declare",
    // `_unknown` holds for rows with the plain types, which all rows that SQL accepts are.
    sql: `CREATE TABLE ${rowsTable(contract.name)} AS
SELECT _key, seg AS _seg, line AS _line, make_timestamp(received) AS _received_at, ${contentOf("text")} AS _content,
  ${lines(valueColumns(contract, leaves))},
  CASE WHEN _unknown THEN json_merge_patch(text, ${patch}) END AS _extra,
  coalesce(
    ${contract.exact ? verdicts.join("\n    AND ") || "TRUE" : "FALSE"}, FALSE) AS _ok
FROM (
  SELECT *, keys > coalesce(list_count(_types), 0) AS _unknown
  FROM (
    SELECT l.*, from_json(l.text, ${leaves.structure}) AS j,
      ${types} AS _types
    FROM lines l JOIN routes r ON r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
    WHERE l.error IS NULL AND r.contract = ${text(contract.name)}
  )
)`,
  };
}

function valueColumns(contract: ContractModel, leaves: Leaves): string[] {
  return contract.judged.map((field, i) => {
    const value = typedLeafValue(leaves.of(field), field.type);
    // A number that a token will stand for is a text from here on.
    const [judged, kept] = [sqlType(field.type), sqlType(contract.fields[i]?.type ?? field.type)];
    return `${judged === kept ? value : `(${value})::${kept}`} AS ${ident(field.name)}`;
  });
}

/** Lines of the contract that SQL did not accept; Ajv gives the verdict. */
export function undecidedQuery(contract: ContractModel): string {
  return `SELECT r._key, l.text FROM ${rowsTable(contract.name)} r JOIN lines l USING (_key) WHERE NOT r._ok ORDER BY r._key`;
}

/**
 * Puts records into the rows that Ajv accepted and SQL did not. `fixes.text` is the record in the form that SQL
 * reads without loss (UTC timestamps, plain integers), `fixes.extra` its unknown members.
 */
export function fixesStatement(contract: ContractModel): Statement {
  const leaves = leavesOf(contract);
  return {
    name: `accepted rows of ${contract.name}`,
    purpose: "Add the records that only Ajv could judge",
    sql: `INSERT INTO ${rowsTable(contract.name)} BY NAME
SELECT _key, seg AS _seg, line AS _line, make_timestamp(received) AS _received_at, ${contentOf("l.text")} AS _content,
  ${lines(valueColumns(contract, leaves))},
  extra::JSON AS _extra, TRUE AS _ok
FROM (
  SELECT _key, extra, from_json(text, ${leaves.structure}) AS j FROM fixes WHERE contract = ${text(contract.name)}
) f JOIN lines l USING (_key)`,
  };
}

/**
 * Rows anew whose texts were changed after they were accepted: `refreshed(_key, contract, text, extra)` has them as `fixes` does,
 * with tokens in place of personal values.
 *
 * @param rows the table that has them
 */
export function refreshStatement(contract: ContractModel, rows: string): Statement {
  const kept = { ...contract, judged: contract.fields };
  const leaves = leavesOf(kept);
  const changed = `SELECT _key FROM refreshed WHERE contract = ${text(contract.name)}`;
  return {
    name: `changed rows of ${contract.name}`,
    purpose: "Take out of rows what was found to be personal in free text",
    sql: `CREATE TABLE changed_rows AS
SELECT _key, r._seg, r._line, r._received_at, r._content,
  ${lines(valueColumns(kept, leaves))},
  f.extra::JSON AS _extra, TRUE AS _ok
FROM (
  SELECT _key, extra, from_json(text, ${leaves.structure}) AS j FROM refreshed WHERE contract = ${text(contract.name)}
) f JOIN (SELECT _key, _seg, _line, _received_at, _content FROM ${rows} WHERE _ok) r USING (_key);
DELETE FROM ${rows} WHERE _ok AND _key IN (${changed});
INSERT INTO ${rows} BY NAME FROM changed_rows;
DROP TABLE changed_rows`,
  };
}

/**
 * The four words of md5(salt, contract, id). The salt is the state file's own and secret, so nobody can choose ids that
 * collide or crowd into one slot.
 */
const idText = (contract: ContractModel): string =>
  `concat(getvariable('weir_salt'), ${text(contract.name)}, chr(31), ${ident(contract.id)}::VARCHAR)`;
const low = "& 4294967295)::UINTEGER";
const idWords = `(a ${low} AS h0, (a >> 32)::UINTEGER AS h1, (b ${low} AS h2, (b >> 32)::UINTEGER AS h3`;
/** As `md5_number_lower` and `md5_number_upper` give it, which would compute it twice. */
const idHashes =
  "(md5_number(id) >> 64)::UBIGINT AS a, (md5_number(id) & 18446744073709551615)::UBIGINT AS b";

/** One row a valid record: what the id index needs. */
export function idsStatement(contract: ContractModel): Statement {
  return {
    name: `ids of ${contract.name}`,
    purpose: "What the id index needs to know of each valid record",
    sql: `CREATE TABLE ${idsTable(contract.name)} AS
SELECT _key, ${idWords}, t, _content
FROM (
  SELECT _key, ${idHashes}, t, _content
  FROM (
    SELECT _key, ${idText(contract)} AS id, epoch_us(${ident(contract.time)}) AS t, _content
    FROM ${rowsTable(contract.name)} WHERE _ok
  )
)`,
  };
}

/** What the id index knows records by that are taken out of the clean zone. */
export const removedIdsQuery = (contract: ContractModel): string =>
  `SELECT ${idWords} FROM (SELECT ${idHashes} FROM (SELECT ${idText(contract)} AS id FROM ${removedTable(contract.name)}))`;

/** `fresh_<contract>`: valid rows with an id not seen before. */
export function freshStatement(contract: ContractModel): Statement {
  return {
    name: `fresh rows of ${contract.name}`,
    purpose: "Valid records whose id is new",
    sql: `CREATE OR REPLACE TEMP VIEW ${freshView(contract.name)} AS
SELECT * FROM ${rowsTable(contract.name)} WHERE _ok AND _key NOT IN (SELECT _key FROM duplicates)`,
  };
}

/** The rows of the clean zone, in the layout of {@link cleanColumns}. */
export function cleanQuery(contract: ContractModel): string {
  // Fields may be named as the columns of `segments` are.
  const columns = contract.fields.map((field) => `f.${ident(field.name)}`);
  return `SELECT ${columns.join(", ")}, _extra, _received_at, s.source AS _source, s.writer AS _writer,
  s.number AS _number, _line, _content
FROM ${freshView(contract.name)} f JOIN segments s ON s.seg = f._seg`;
}

/** A query of no rows in the layout of the clean zone: its Parquet file gives an empty contract its columns. */
export function emptyCleanQuery(contract: ContractModel): string {
  const columns = cleanColumns(contract).map(({ name, type }) => `NULL::${type} AS ${ident(name)}`);
  return `SELECT ${columns.join(", ")} WHERE FALSE`;
}
