import type { Contract, PiiTag, TaggedField } from "@weir/contract";
import type { Field, FieldType } from "../field-type.ts";
import type { ContractModel } from "../model.ts";
import type { ContractPrivacy, Statement, StreamPrivacy } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import { copies, isMasked, plainColumns, plainCondition, taggedTable } from "./kept-text.ts";
import { receivedTable, refreshStatement, rowsTable } from "./rows.ts";

/**
 * From rows with personal values to rows with tokens.
 *
 * Beside the relations of rows.ts these statements read and leave
 *   known_<contract>(v.., t..)         sets of values that records before had together, with what stands for them; kept by the engine,
 *                                      as far as it likes
 *   pii_wanted(kind, value, subject)   values that need a token, and whose they are
 *   pii_map(kind, value, h0, h1, id, token)   their tokens; made by the engine in between
 *   tagged_<contract>(_key, _content, _plain, v.., t.., f.., b..)   of valid rows the content, the values, and what stands for them; for
 *                                      `_plain`, `f` and `b` see kept-text.ts
 *   received_<contract>                the rows as they were; `rows_<contract>` has them with tokens
 *   texts(_key, text, done)            texts as they are kept, where they are not what `kept` makes of them; `done` where the
 *                                      text is right, else JavaScript writes it
 */
const peopleTable = (contract: string): string => ident(`people_${contract}`);
/** `people_<contract>` with tokens; `_person` of a received row is the row in it. */
const namedTable = (contract: string): string => ident(`named_${contract}`);
/** The same by line, of valid rows that have a person. */
const linksTable = (contract: string): string => ident(`links_${contract}`);
export const knownTable = (contract: string): string => `memory.main.${ident(`known_${contract}`)}`;

/** @param naming paths of the fields that name the person of a record */
export function contractPrivacy(
  contract: Contract,
  model: ContractModel,
  naming: readonly (readonly string[])[],
): ContractPrivacy {
  const streams = streamsOf(model);
  const freeText = freeTextOf(contract, model, naming);
  const { tagged } = model;
  const refresh = refreshStatement(
    model,
    tagged.length === 0 ? rowsTable(model.name) : receivedTable(model.name),
  );
  if (tagged.length === 0)
    return { wanted: streams.flatMap((stream) => stream.wanted), streams, naming, freeText, refresh };
  return {
    wanted: [wantedStatement(model)],
    replace: replaceStatement(model),
    known: knownStatements(model),
    streams,
    naming,
    freeText,
    refresh,
  };
}

/** The value at a path of a row `r`. */
const valueAt = ([first = "", ...rest]: readonly string[]): string =>
  rest.reduce((value, name) => `struct_extract(${value}, ${text(name)})`, `r.${ident(first)}`);

/** What is kept of card data: ISO/IEC 7812 numbers have 13 to 19 digits. Of what is kept already, as in a text that is read again, the same is. */
function masked(tag: PiiTag, value: string): string {
  if (tag === "cvv") return `CASE WHEN ${value} IS NOT NULL THEN '***' END`;
  const digits = `regexp_replace(${value}, '[^0-9]', '', 'g')`;
  return `CASE WHEN regexp_full_match(${value}, '[0-9]{6}\\*{3,9}[0-9]{4}') THEN ${value} WHEN length(${digits}) BETWEEN 13 AND 19
    THEN ${digits}[:6] || repeat('*', length(${digits}) - 10) || ${digits}[-4:] WHEN ${value} IS NOT NULL THEN '***' END`;
}

const columnsOf = (letter: string, { tagged }: ContractModel, of = ""): string[] =>
  tagged.map((_, i) => `${of}${letter}${i}`);

/** Whether two relations have the same set of values. */
const sameValues = (model: ContractModel, one: string, other: string): string =>
  columnsOf("v", model)
    .map((value) => `${one}.${value} IS NOT DISTINCT FROM ${other}.${value}`)
    .join(" AND ");

const valuesOf = ({ tagged }: ContractModel): string[] =>
  tagged.map(({ path }, i) => `nullif(${valueAt(path)}, '') AS v${i}`);

/**
 * `people_<contract>`: the sets of values that records have together, each once. Tokens are joined to these and not to the records, of
 * which a person has many; and looked up for those only that are not known from before.
 */
function wantedStatement(model: ContractModel): Statement {
  const { name, tagged } = model;
  const subject = tagged.findIndex(({ tag }) => tag === "subject");
  const whose = subject < 0 ? "NULL::VARCHAR" : `v${subject}`;
  const selects = tagged.flatMap(({ tag }, i) =>
    isMasked(tag)
      ? []
      : [
          `SELECT ${text(tag)} AS kind, v${i} AS value, ${i === subject ? "NULL::VARCHAR" : whose} AS subject
  FROM ${peopleTable(name)} WHERE _is_new AND v${i} IS NOT NULL`,
        ],
  );
  const none = "SELECT NULL::VARCHAR AS kind, NULL::VARCHAR AS value, NULL::VARCHAR AS subject WHERE FALSE";
  return {
    name: `personal values of ${name}`,
    purpose: "Which values need a token, and whose they are",
    sql: `CREATE TABLE ${peopleTable(name)} AS SELECT p.*, ${columnsOf("t", model, "k.").join(", ")}, k._known IS NULL AS _is_new
FROM (SELECT DISTINCT ${lines(valuesOf(model))}
  FROM ${rowsTable(name)} r WHERE _ok) p
LEFT JOIN ${knownTable(name)} k ON ${sameValues(model, "k", "p")}
WHERE coalesce(${columnsOf("v", model, "p.").join(", ")}) IS NOT NULL;
INSERT INTO pii_wanted SELECT DISTINCT * FROM (\n${[none, ...selects].join("\nUNION ALL\n")})`,
  };
}

/** `known_<contract>`, empty; and what adds to it who is new. */
function knownStatements(model: ContractModel): NonNullable<ContractPrivacy["known"]> {
  const { name } = model;
  const columns = [...columnsOf("v", model), ...columnsOf("t", model)];
  return {
    table: knownTable(name),
    columns: [...columns.map((column) => `${column} VARCHAR`), "_known BOOLEAN"].join(", "),
    added: `SELECT ${columns.join(", ")}, TRUE FROM ${namedTable(name)} n
WHERE _is_new AND NOT EXISTS (SELECT 1 FROM ${knownTable(name)} k WHERE ${sameValues(model, "k", "n")})`,
  };
}

/**
 * `tagged_<contract>`, and the rows with tokens: a view, which costs each that reads it 0.03 us a record, and 0.6 who reads all. (A table of
 * them takes 1.3; a view that finds a record's person by its key, 0.15 for each that reads it; an update with
 * any more than a key to go by, 4: the planner copies all rows for it.)
 */
function replaceStatement(model: ContractModel): Statement {
  const { name, tagged } = model;
  const rows = rowsTable(name);
  const received = receivedTable(name);
  const [values, known] = [columnsOf("v", model).join(", "), columnsOf("t", model).join(", ")];
  const tokens = tagged.map(
    ({ tag }, i) => `${isMasked(tag) ? masked(tag, `v${i}`) : `m${i}.token`} AS t${i}`,
  );
  const joins = tagged.flatMap(({ tag }, i) =>
    isMasked(tag) ? [] : [`LEFT JOIN pii_map m${i} ON m${i}.kind = ${text(tag)} AND m${i}.value = v${i}`],
  );
  const top = [...new Set(tagged.map(({ path }) => path[0] ?? ""))];
  const replacedColumns = top.map((field) => {
    const type = model.fields.find((one) => one.name === field)?.type;
    const value =
      type === undefined ? `r.${ident(field)}` : replacedValue(type, `r.${ident(field)}`, [field], tagged);
    return `${value} AS ${ident(field)}`;
  });
  const same = tagged.map(({ path }, i) => `p.v${i} IS NOT DISTINCT FROM nullif(${valueAt(path)}, '')`);
  const extra = copies(model, "r._extra::VARCHAR");
  const columns = [
    ...replacedColumns,
    ...(extra === undefined ? [] : [`CASE WHEN r._extra IS NOT NULL THEN ${extra} END::JSON AS _extra`]),
  ];
  return {
    name: `tokens in rows of ${name}`,
    purpose: "Put tokens in place of personal values",
    sql: `CREATE TABLE ${namedTable(name)} AS SELECT ${lines(["*", ...plainColumns(model)])}
FROM (SELECT ${values}, ${known}, FALSE AS _is_new FROM ${peopleTable(name)} WHERE NOT _is_new
  UNION ALL SELECT ${values}, ${lines(tokens)}, TRUE
  FROM (SELECT ${values} FROM ${peopleTable(name)} WHERE _is_new) ${joins.join("\n")});
ALTER TABLE ${rows} RENAME TO ${received};
ALTER TABLE ${received} ADD COLUMN _person BIGINT;
CREATE TABLE ${linksTable(name)} AS SELECT r.rowid AS _row, r._key, r._content, ${plainCondition(model)} AS _plain, p.rowid AS _person
FROM ${received} r JOIN ${namedTable(name)} p ON ${same.join(" AND ")} WHERE r._ok;
UPDATE ${received} AS r SET _person = k._person FROM ${linksTable(name)} k WHERE k._row = r.rowid;
CREATE VIEW ${taggedTable(name)} AS SELECT k._key, k._content, k._plain, p.* EXCLUDE (_is_new)
FROM ${linksTable(name)} k JOIN ${namedTable(name)} p ON p.rowid = k._person;
CREATE VIEW ${rows} AS SELECT r.* EXCLUDE (_person) REPLACE (${lines(columns)})
FROM ${received} r LEFT JOIN ${namedTable(name)} t ON t.rowid = r._person`,
  };
}

/**
 * Lines `l` with what `tagged_<contract>` has of them, and `x`, their rows of `texts`. (Joined with the view itself: 0.5 us a record more.)
 *
 * @param columns of `l` and `x`
 */
export function taggedLines({ name }: ContractModel, lines: string, columns: string): string {
  return `SELECT ${columns}, k._content, k._plain, p.* EXCLUDE (_is_new)
FROM ${linksTable(name)} k JOIN ${lines} l USING (_key) JOIN ${namedTable(name)} p ON p.rowid = k._person
LEFT JOIN texts x USING (_key)`;
}

/** A value with tokens in place of the tagged ones within it. */
function replacedValue(
  type: FieldType,
  value: string,
  path: readonly string[],
  tagged: readonly TaggedField[],
): string {
  const own = tagged.findIndex((one) => one.path.length === path.length && within(one, path));
  if (own >= 0) return `coalesce(t.t${own}, ${value})`;
  if (type.kind !== "object" || !tagged.some((one) => within(one, path))) return value;
  const members = type.fields.map(({ name, type: inner }) => {
    const member = replacedValue(inner, `struct_extract(${value}, ${text(name)})`, [...path, name], tagged);
    return `${ident(name)} := ${member}`;
  });
  return `CASE WHEN ${value} IS NOT NULL THEN struct_pack(${members.join(", ")}) END`;
}

const within = ({ path }: TaggedField, outer: readonly string[]): boolean =>
  outer.every((step, i) => path[i] === step);

/** Streams of a captured source with tagged columns. */
function streamsOf({
  name,
  rowTags = {},
  rowKeys,
}: ContractModel): (StreamPrivacy & { wanted: readonly Statement[] })[] {
  return Object.entries(rowTags).flatMap(([stream, tags]) => {
    const columns = Object.entries(tags).flatMap(([column, tag]) =>
      tag === "none" ? [] : [{ name: column, tag }],
    );
    if (columns.length === 0) return [];
    const member = (column: string): string =>
      `nullif(json_extract_string(r."row", ${text(`/${column.replaceAll("~", "~0").replaceAll("/", "~1")}`)}), '')`;
    const rows = `FROM ${rowsTable(name)} r WHERE r._ok AND r."stream" = ${text(stream)} AND r."op" <> 'schema'`;
    const subject = columns.find(({ tag }) => tag === "subject");
    const whose = subject === undefined ? "NULL::VARCHAR" : member(subject.name);
    const selects = columns
      .filter(({ tag }) => !isMasked(tag))
      .map(
        (column) =>
          `SELECT ${text(column.tag)} AS kind, ${member(column.name)} AS value, ${column === subject ? "NULL::VARCHAR" : whose} AS subject ${rows}`,
      );
    const wanted: Statement[] =
      selects.length === 0
        ? []
        : [
            {
              name: `personal values of ${stream}`,
              purpose: "Which values need a token, and whose they are",
              sql: `INSERT INTO pii_wanted SELECT DISTINCT * FROM (${selects.join("\nUNION ALL\n")}) WHERE value IS NOT NULL`,
            },
          ];
    return [
      { stream, columns, key: rowKeys[stream] ?? [], wanted, rows: streamQuery(columns, member, rows) },
    ];
  });
}

function streamQuery(
  columns: readonly { readonly name: string; readonly tag: PiiTag }[],
  member: (column: string) => string,
  rows: string,
): string {
  const values = columns.map(({ name }, i) => `${member(name)} AS v${i}`);
  const tokens = columns.map(({ tag }, i) => (isMasked(tag) ? masked(tag, `v${i}`) : `m${i}.token`));
  const joins = columns.flatMap(({ tag }, i) =>
    isMasked(tag) ? [] : [`LEFT JOIN pii_map m${i} ON m${i}.kind = ${text(tag)} AND m${i}.value = v${i}`],
  );
  const at = columns.findIndex(({ tag }) => tag === "subject");
  const subject = at < 0 ? "NULL::BIGINT" : `m${at}.id`;
  const token = at < 0 ? "NULL::VARCHAR" : `m${at}.token`;
  return `SELECT r._key, r.id, r."key", r."row"::VARCHAR, l.text,
  to_json([${columns.map((_, i) => `v${i}`).join(", ")}])::VARCHAR, to_json([${tokens.join(", ")}])::VARCHAR,
  ${subject} AS subject, ${token} AS subject_token
FROM (SELECT r.*, ${values.join(", ")} ${rows}) r JOIN lines l USING (_key)
${joins.join("\n")}
WHERE coalesce(${columns.map((_, i) => `v${i}`).join(", ")}) IS NOT NULL`;
}

/** The texts of a row that nothing is declared of; with what the contract does not declare at all. */
function freeTextOf(
  contract: Contract,
  model: ContractModel,
  naming: readonly (readonly string[])[],
): string | undefined {
  if (model.rowTags !== undefined) return `r."row"::VARCHAR`;
  const named = new Set([contract.id, contract.time, contract.key]);
  const declared = untagged(contract.schema);
  for (const path of naming) declared.add(JSON.stringify(path));
  const found = model.judged
    .filter(({ name }) => !named.has(name))
    .flatMap((field) => freeLeaves(field, `r.${ident(field.name)}`, [field.name], declared));
  const extra = model.closed ? [] : ["r._extra::VARCHAR"];
  const all = [...found, ...extra];
  return all.length === 0 ? undefined : `concat_ws(chr(10), ${all.join(", ")})`;
}

/** Paths of fields with a tag, `none` included: none of them is searched. */
function untagged(schema: unknown, path: readonly string[] = []): Set<string> {
  const found = new Set<string>();
  const { properties = {}, pii } = schema as { properties?: Record<string, unknown>; pii?: string };
  if (pii !== undefined) found.add(JSON.stringify(path));
  for (const [name, field] of Object.entries(properties)) {
    if (typeof field !== "object" || field === null) continue;
    for (const one of untagged(field, [...path, name])) found.add(one);
  }
  return found;
}

function freeLeaves(
  { type }: Pick<Field, "type">,
  value: string,
  path: readonly string[],
  declared: ReadonlySet<string>,
): string[] {
  if (declared.has(JSON.stringify(path))) return [];
  if (type.kind === "object") {
    return type.fields.flatMap((field) =>
      freeLeaves(field, `struct_extract(${value}, ${text(field.name)})`, [...path, field.name], declared),
    );
  }
  if (type.kind === "string") return isFreeText(type) ? [value] : [];
  return holdsText(type) ? [`${value}::VARCHAR`] : [];
}

/** Whether nothing says what the text is. */
export const isFreeText = (type: FieldType): boolean =>
  type.kind === "string" &&
  type.format === undefined &&
  type.pattern === undefined &&
  type.values === undefined;

/** Whether a list or a map has texts: all of these are searched, whatever is declared of them, and the names in a map. */
function holdsText(type: FieldType): boolean {
  if (type.kind === "array") return holdsText(type.items.type);
  if (type.kind === "object") return type.fields.some(({ type: inner }) => holdsText(inner));
  if (type.kind === "string") return type.values === undefined;
  return type.kind === "json" || type.kind === "map";
}
