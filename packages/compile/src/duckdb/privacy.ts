import type { Contract, PiiTag, TaggedField } from "@weir/contract";
import type { Field, FieldType } from "../field-type.ts";
import type { ContractModel } from "../model.ts";
import type { ContractPrivacy, Statement, StreamPrivacy } from "../program.ts";
import { ident, lines, text } from "../sql.ts";
import { refreshStatement, rowsTable } from "./rows.ts";

/**
 * From rows with personal values to rows with tokens.
 *
 * Beside the relations of rows.ts these statements read and leave
 *   pii_wanted(kind, value, subject)   values that need a token, and whose they are
 *   pii_map(kind, value, h0, h1, id, token)   their tokens; made by the engine in between
 *   tagged_<contract>(_key, _content, v.., t..)  of valid rows the content, the values, and what stands for them
 *   texts(_key, text, done)            texts as they are kept, where they are not what `kept` makes of them; `done` where the
 *                                      text is right, else JavaScript writes it
 *
 * A text's values are replaced where they stand as members, `:"value"`. Where the text has no backslash this is exact: every
 * string in it is written as it is, so a member with this value is written in no other way. Other texts are read again, and
 * each tagged member must be its token. (Reading every text again costs 1 us more an event of 1 KB than the backslash.)
 */
const peopleTable = (contract: string): string => ident(`people_${contract}`);
/** `people_<contract>` with tokens, numbered; and the number of each record. (With the values themselves: 0.5 us more a record.) */
const namedTable = (contract: string): string => ident(`named_${contract}`);
const linksTable = (contract: string): string => ident(`links_${contract}`);
export const taggedTable = (contract: string): string => ident(`tagged_${contract}`);

/** Shorter values are replaced in the members that are tagged alone: others may hold the same and mean something else. */
const shortestCopied = 6;
/** No line has one, so it is never found. */
const nowhere = "chr(10)";

const isMasked = (tag: PiiTag): boolean => tag === "pan" || tag === "cvv";

/** @param naming paths of the fields that name the person of a record */
export function contractPrivacy(
  contract: Contract,
  model: ContractModel,
  naming: readonly (readonly string[])[],
): ContractPrivacy {
  const streams = streamsOf(model);
  const freeText = freeTextOf(contract, model, naming);
  const refresh = refreshStatement(model);
  const { tagged } = model;
  if (tagged.length === 0)
    return { wanted: streams.flatMap((stream) => stream.wanted), streams, naming, freeText, refresh };
  return {
    wanted: [wantedStatement(model)],
    replace: replaceStatement(model),
    streams,
    naming,
    freeText,
    refresh,
  };
}

/** The value at a path of a row `r`. */
const valueAt = ([first = "", ...rest]: readonly string[]): string =>
  rest.reduce((value, name) => `struct_extract(${value}, ${text(name)})`, `r.${ident(first)}`);

const pointer = (path: readonly string[]): string =>
  text(path.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""));

/** What is kept of card data: ISO/IEC 7812 numbers have 13 to 19 digits. */
function masked(tag: PiiTag, value: string): string {
  if (tag === "cvv") return `CASE WHEN ${value} IS NOT NULL THEN '***' END`;
  const digits = `regexp_replace(${value}, '[^0-9]', '', 'g')`;
  return `CASE WHEN length(${digits}) BETWEEN 13 AND 19
    THEN ${digits}[:6] || repeat('*', length(${digits}) - 10) || ${digits}[-4:] WHEN ${value} IS NOT NULL THEN '***' END`;
}

/**
 * `people_<contract>`: the sets of values that records have together, each once. Tokens are joined to these and not to the records, of
 * which a person has many.
 */
function wantedStatement(model: ContractModel): Statement {
  const { name, tagged } = model;
  const subject = tagged.findIndex(({ tag }) => tag === "subject");
  const whose = subject < 0 ? "NULL::VARCHAR" : `v${subject}`;
  const values = tagged.map(({ path }, i) => `nullif(${valueAt(path)}, '') AS v${i}`);
  const selects = tagged.flatMap(({ tag }, i) =>
    isMasked(tag)
      ? []
      : [
          `SELECT ${text(tag)} AS kind, v${i} AS value, ${i === subject ? "NULL::VARCHAR" : whose} AS subject
  FROM ${peopleTable(name)} WHERE v${i} IS NOT NULL`,
        ],
  );
  const none = "SELECT NULL::VARCHAR AS kind, NULL::VARCHAR AS value, NULL::VARCHAR AS subject WHERE FALSE";
  return {
    name: `personal values of ${name}`,
    purpose: "Which values need a token, and whose they are",
    sql: `CREATE TABLE ${peopleTable(name)} AS SELECT DISTINCT ${lines(values)}
FROM ${rowsTable(name)} r WHERE _ok;
INSERT INTO pii_wanted SELECT DISTINCT * FROM (\n${[none, ...selects].join("\nUNION ALL\n")})`,
  };
}

/** `tagged_<contract>`, and the rows anew with tokens. */
function replaceStatement(model: ContractModel): Statement {
  const { name, tagged } = model;
  const rows = rowsTable(name);
  const all = tagged.map((_, i) => `v${i}`);
  const tokens = tagged.map(
    ({ tag }, i) => `${isMasked(tag) ? masked(tag, `v${i}`) : `m${i}.token`} AS t${i}`,
  );
  const joins = tagged.flatMap(({ tag }, i) =>
    isMasked(tag) ? [] : [`LEFT JOIN pii_map m${i} ON m${i}.kind = ${text(tag)} AND m${i}.value = v${i}`],
  );
  const values = tagged.map(({ path }, i) => `nullif(${valueAt(path)}, '') AS v${i}`);
  const same = all.map((value) => `p.${value} IS NOT DISTINCT FROM r.${value}`);
  const top = [...new Set(tagged.map(({ path }) => path[0] ?? ""))];
  const replacedColumns = top.map((field) => {
    const type = model.fields.find((one) => one.name === field)?.type;
    const value =
      type === undefined ? `r.${ident(field)}` : replacedValue(type, `r.${ident(field)}`, [field], tagged);
    return `${value} AS ${ident(field)}`;
  });
  const extra = copies(model, "r._extra::VARCHAR");
  const columns = [
    ...replacedColumns,
    ...(extra === undefined ? [] : [`CASE WHEN r._extra IS NOT NULL THEN ${extra} END::JSON AS _extra`]),
  ];
  return {
    name: `tokens in rows of ${name}`,
    purpose: "Put tokens in place of personal values",
    sql: `CREATE TABLE ${namedTable(name)} AS SELECT row_number() OVER () AS _person, ${all.join(", ")}, ${lines(tokens)}
FROM ${peopleTable(name)} ${joins.join("\n")}
WHERE coalesce(${all.join(", ")}) IS NOT NULL;
CREATE TABLE ${linksTable(name)} AS SELECT r._key, r._content, p._person
FROM (SELECT _key, _content, ${lines(values)} FROM ${rows} r WHERE _ok) r JOIN ${namedTable(name)} p ON ${same.join(" AND ")};
CREATE VIEW ${taggedTable(name)} AS SELECT _key, _content, p.* EXCLUDE (_person)
FROM ${linksTable(name)} JOIN ${namedTable(name)} p USING (_person);
CREATE TABLE tokenized AS SELECT r.* REPLACE (${lines(columns)})
FROM ${rows} r LEFT JOIN ${taggedTable(name)} t USING (_key);
DROP TABLE ${rows};
ALTER TABLE tokenized RENAME TO ${rows}`,
  };
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

/** A JSON text with tokens in place of long values wherever members have them; undefined where nothing has a token. */
function copies(model: ContractModel, json: string): string | undefined {
  const parts = model.tagged.flatMap(({ tag, isInteger }, i) => (isMasked(tag) || isInteger ? [] : [i]));
  if (parts.length === 0) return undefined;
  return parts.reduce((value, i) => {
    const found = `CASE WHEN length(t.v${i}) >= ${shortestCopied} THEN ':"' || t.v${i} || '"' END`;
    return replaced(value, found, `':"' || t.t${i} || '"'`);
  }, json);
}

const replaced = (value: string, found: string, by: string): string =>
  `replace(${value}, coalesce(${found}, ${nowhere}), coalesce(${by}, ''))`;

/** What a value is found by in a text, and what stands there then. */
function membersOf({ tag, path, isInteger }: TaggedField, i: number): { found: string; by: string }[] {
  const member = text(`${JSON.stringify(path.at(-1) ?? "")}:`);
  if (isInteger)
    return [",", "}"].map((end) => ({
      found: `${member} || v${i} || '${end}'`,
      by: `${member} || '  "' || t${i} || '"${end}'`,
    }));
  const before = isMasked(tag)
    ? member
    : `CASE WHEN length(v${i}) >= ${shortestCopied} THEN ':' ELSE ${member} END`;
  return [{ found: `${before} || '"' || v${i} || '"'`, by: `${before} || ' "' || t${i} || '"'` }];
}

/**
 * `_text`: the text of a record with tokens in place of values, each with the mark that says so.
 *
 * The values are looked for one behind the other, which takes a text apart and puts it together once: 4.4 us for four of
 * them in 1.2 KB. Where one is not behind the one before, or is there twice, or stands before it too, all are replaced one by one, with DuckDB's
 * `replace`, which takes 33 us.
 *
 * @param base a query with the columns of `tagged_<contract>`, and the text as `_original`
 * @param order the tagged fields, as they follow one another in most texts
 */
export function keptText({ tagged }: ContractModel, base: string, order: readonly number[]): string {
  const strings = order.filter((i) => tagged[i]?.isInteger === false);
  const rest = (i: number | undefined): string =>
    i === undefined ? "_original" : `coalesce(_p${i}[2], _p${i}[1])`;
  let levels = `(${base})`;
  let before: number | undefined;
  const heads: string[] = [];
  const proofs = tagged.flatMap(({ isInteger }, i) => (isInteger ? [`t${i} IS NULL`] : []));
  for (const [at, i] of strings.entries()) {
    const [member] = membersOf(tagged[i] as TaggedField, i);
    // Another member may have the same value, before that of the field which is looked for first.
    for (const j of strings.slice(0, at))
      proofs.push(`(_p${j}[2] IS NULL OR NOT coalesce(contains(_p${j}[1], ${member?.found}), FALSE))`);
    levels = `(SELECT *, string_split(${rest(before)}, coalesce(${member?.found}, ${nowhere})) AS _p${i} FROM ${levels})`;
    heads.push(`CASE WHEN _p${i}[2] IS NOT NULL THEN _p${i}[1] END`);
    heads.push(`CASE WHEN _p${i}[2] IS NOT NULL THEN ${member?.by} END`);
    proofs.push(`len(_p${i}) = CASE WHEN t${i} IS NULL THEN 1 ELSE 2 END`);
    before = i;
  }
  const slow = tagged.reduce(
    (value, field, i) =>
      membersOf(field, i).reduce((inner, { found, by }) => replaced(inner, found, by), value),
    "_original",
  );
  const excluded = strings.length === 0 ? "" : ` EXCLUDE (${strings.map((i) => `_p${i}`).join(", ")})`;
  return `SELECT *${excluded}, CASE WHEN ${proofs.join(" AND ")}
  THEN concat(${[...heads, rest(before)].join(", ")}) ELSE ${slow} END AS _text FROM ${levels}`;
}

/** Fills `texts` with those that are not proven to be right, as SQL writes them. */
export function unprovenTexts(model: ContractModel, order: readonly number[]): string {
  const { name, tagged } = model;
  const checks = tagged.map(
    ({ path }, i) => `coalesce(t${i} = json_extract_string(_text, ${pointer(path)}), t${i} IS NULL)`,
  );
  const unproven = [
    "contains(l.text, '\\')",
    ...tagged.flatMap(({ isInteger }, i) => (isInteger ? [`t.t${i} IS NOT NULL`] : [])),
  ];
  const base = `SELECT t.*, l.text AS _original FROM ${taggedTable(name)} t JOIN lines l USING (_key) WHERE ${unproven.join(" OR ")}`;
  return `INSERT INTO texts SELECT _key, _text, ${checks.join(" AND ")} FROM (${keptText(model, base, order)})`;
}

/** Streams of a captured source with tagged columns. */
function streamsOf({
  name,
  rowTags = {},
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
    return [{ stream, columns, wanted, rows: streamQuery(columns, member, rows) }];
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
