import type { ContractModel } from "../model.ts";
import type { Field } from "../field-type.ts";
import type { Statement } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import { leafCheck, leafStructure, leafValue, sqlType } from "./leaf.ts";

/**
 * From log lines to typed rows of one contract.
 *
 * The statements run with the batch's own schema first in the search path. They read
 *   lines(_key, seg, line, received, contract, keys, nulls, error, text)   one row a log line
 *   segments(seg, source, writer, number)                                  where the lines came from
 *   routes(seg, sent, contract)                                            which contract a sent name means
 *   fixes(_key, text, extra)                                               what Ajv accepted and SQL did not
 *   duplicates(_key)                                                       rows that the id index knows
 * and leave `rows_<contract>`: every routed line, `_ok` where SQL proved that Ajv accepts it.
 */

/** The routing member of `/v1/events`; known to every contract, part of its data only where declared. */
const routingMember = "type";

export const rowsTable = (contract: string): string => ident(`rows_${contract}`);
export const freshView = (contract: string): string => ident(`fresh_${contract}`);

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

interface Leaves {
  readonly names: readonly string[];
  readonly of: (name: string) => string;
}

function leavesOf(contract: ContractModel): Leaves {
  const names = contract.fields.map((field) => field.name);
  if (!names.includes(routingMember)) names.push(routingMember);
  return { names, of: (name) => `f${names.indexOf(name)}` };
}

const pointer = (name: string): string => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;

/** Fields where a missing member and a null one mean different things; their JSON types tell which it is. */
const nullSensitive = (contract: ContractModel, leaves: Leaves): string[] =>
  leaves.names.filter((name) => {
    const field = contract.fields.find((f) => f.name === name);
    return field === undefined || !field.required || field.nullable;
  });

function fieldVerdict(field: Field, leaf: string, isNull: string): string {
  const check = `(${leafCheck(leaf, field.type)})`;
  if (field.required && field.nullable)
    return `(${leaf} IS NULL AND ${isNull} OR ${leaf} IS NOT NULL AND ${check})`;
  if (field.required) return `${leaf} IS NOT NULL AND ${check}`;
  if (field.nullable) return `(${leaf} IS NULL OR ${check})`;
  return `(${leaf} IS NULL AND NOT ${isNull} OR ${leaf} IS NOT NULL AND ${check})`;
}

/** Lines of one contract, taken apart into leaves; the rest of the columns pass through. */
function leafQuery(contract: ContractModel, leaves: Leaves): string {
  const sensitive = nullSensitive(contract, leaves);
  const paths = sensitive.map((name) => text(pointer(name))).join(", ");
  return `SELECT _key, l.seg, line, received, keys, nulls, text,
  ${lines(leaves.names.map((name) => `struct_extract(j, ${text(name)}) AS ${leaves.of(name)}`))},
  CASE WHEN nulls > 0 THEN json_type(text, [${paths}]) END AS null_types
FROM (
  SELECT l.*, from_json(l.text, ${leafStructure(leaves.names)}) AS j
  FROM lines l JOIN routes r ON r.seg = l.seg AND r.sent IS NOT DISTINCT FROM l.contract
  WHERE l.error IS NULL AND r.contract = ${text(contract.name)}
) l`;
}

function valueColumns(contract: ContractModel, leaves: Leaves): string[] {
  return contract.fields.map(
    (field) => `${leafValue(leaves.of(field.name), field.type)} AS ${ident(field.name)}`,
  );
}

/** `rows_<contract>`: typed rows with the verdict of SQL. */
export function rowsStatement(contract: ContractModel): Statement {
  const leaves = leavesOf(contract);
  const sensitive = nullSensitive(contract, leaves);
  const isNull = (name: string): string =>
    `(null_types[${sensitive.indexOf(name) + 1}] IS NOT DISTINCT FROM 'NULL')`;
  const present = leaves.names.map((name) => `(${leaves.of(name)} IS NOT NULL)::INTEGER`).join(" + ");
  const verdicts = contract.fields.map((field) =>
    fieldVerdict(field, leaves.of(field.name), isNull(field.name)),
  );
  const verdict = contract.exact ? [...verdicts, ...(contract.closed ? ["NOT _unknown"] : [])] : ["FALSE"];
  const patch = text(JSON.stringify(Object.fromEntries(leaves.names.map((name) => [name, null]))));
  return {
    name: `rows of ${contract.name}`,
    purpose: "Take each record apart, check every field, keep what the contract does not declare",
    sql: `CREATE TABLE ${rowsTable(contract.name)} AS
SELECT _key, seg AS _seg, line AS _line, make_timestamp(received) AS _received_at, hash(text) AS _content,
  ${lines(valueColumns(contract, leaves))},
  CASE WHEN _unknown THEN json_merge_patch(text, ${patch}) END AS _extra,
  coalesce(
    ${verdict.join("\n    AND ")}, FALSE) AS _ok
FROM (
  SELECT *,
    (keys - nulls > ${present}
      OR nulls > coalesce(len(list_filter(null_types, lambda t: t = 'NULL')), 0)) AS _unknown
  FROM (${leafQuery(contract, leaves)})
)`,
  };
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
SELECT _key, seg AS _seg, line AS _line, make_timestamp(received) AS _received_at, _content,
  ${lines(valueColumns(contract, leaves))},
  extra::JSON AS _extra, TRUE AS _ok
FROM (
  SELECT l._key, l.seg, l.line, l.received, hash(l.text) AS _content, f.extra,
    ${lines(leaves.names.map((name) => `struct_extract(f.j, ${text(name)}) AS ${leaves.of(name)}`))}
  FROM (SELECT *, from_json(text, ${leafStructure(leaves.names)}) AS j FROM fixes WHERE contract = ${text(contract.name)}) f
  JOIN lines l USING (_key)
)`,
  };
}

/**
 * One row a valid record: what the id index needs. `h0..h3` are the four words of md5(salt, contract, id). The salt is
 * the state file's own and secret, so nobody can choose ids that collide or crowd into one slot.
 */
export function idsQuery(contract: ContractModel): string {
  const id = `concat(getvariable('weir_salt'), ${text(contract.name)}, chr(31), ${ident(contract.id)}::VARCHAR)`;
  const low = "& 4294967295)::UINTEGER";
  return `SELECT _key, (a ${low} AS h0, (a >> 32)::UINTEGER AS h1, (b ${low} AS h2, (b >> 32)::UINTEGER AS h3, t, _content
FROM (
  SELECT _key, md5_number_lower(${id}) AS a, md5_number_upper(${id}) AS b,
    epoch_us(${ident(contract.time)}) AS t, _content
  FROM ${rowsTable(contract.name)} WHERE _ok
)`;
}

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
  const columns = contract.fields.map((field) => ident(field.name));
  return `SELECT ${columns.join(", ")}, _extra, _received_at, s.source AS _source, s.writer AS _writer,
  s.number AS _number, _line, _content
FROM ${freshView(contract.name)} f JOIN segments s ON s.seg = f._seg`;
}

/** A query of no rows in the layout of the clean zone: its Parquet file gives an empty contract its columns. */
export function emptyCleanQuery(contract: ContractModel): string {
  const columns = cleanColumns(contract).map(({ name, type }) => `NULL::${type} AS ${ident(name)}`);
  return `SELECT ${columns.join(", ")} WHERE FALSE`;
}
