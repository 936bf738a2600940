import type { PiiTag, TaggedField } from "@weir/contract";
import type { FieldType } from "../field-type.ts";
import type { ContractModel } from "../model.ts";
import { ident, text } from "../sql.ts";

/**
 * Texts with tokens in place of values.
 *
 * A text's values are replaced where they stand as members. Where the text has no backslash this is exact: every string in it is
 * written as it is, so a member with this value is written in no other way. Other texts are read again, and each tagged member
 * must be its token. (Reading every text again costs 1 us more an event of 1 KB than the backslash.)
 *
 * A record is plain where no member is undeclared and none holds an object: then `"name":"value"` stands once, where the field is.
 */
export const taggedTable = (contract: string): string => ident(`tagged_${contract}`);

/** Shorter values are replaced in the members that are tagged alone: others may hold the same and mean something else. */
const shortestCopied = 6;
/** No line has one, so it is never found. */
const nowhere = "chr(10)";

export const isMasked = (tag: PiiTag): boolean => tag === "pan" || tag === "cvv";

/** Whether records without undeclared members are plain. */
const isFlat = ({ fields }: ContractModel): boolean => !fields.some(({ type }) => holdsMembers(type));

const holdsMembers = (type: FieldType): boolean =>
  type.kind === "object" ||
  type.kind === "map" ||
  type.kind === "json" ||
  (type.kind === "array" && holdsMembers(type.items.type));

/** `_plain`, of a row `r`. */
export const plainCondition = (model: ContractModel): string =>
  isFlat(model) ? "r._extra IS NULL" : "FALSE";

/** What a value is found by in a text, and what stands there then. */
interface Replaced {
  readonly found: string;
  readonly by: string;
}

/** A JSON text with tokens in place of long values wherever members have them; undefined where nothing has a token. */
export function copies(model: ContractModel, json: string): string | undefined {
  const parts = model.tagged.flatMap((field, i) =>
    isMasked(field.tag) ? [] : copiesOf(field, `t.v${i}`, `t.t${i}`, false),
  );
  if (parts.length === 0) return undefined;
  return parts.reduce((value, { found, by }) => replaced(value, found, by), json);
}

const replaced = (value: string, found: string, by: string): string =>
  `replace(${value}, coalesce(${found}, ${nowhere}), coalesce(${by}, ''))`;

/** A long value in any member; an integer also as the text that senders make of it. */
function copiesOf({ isInteger }: TaggedField, value: string, token: string, isMarked: boolean): Replaced[] {
  const long = (found: string): string => `CASE WHEN length(${value}) >= ${shortestCopied} THEN ${found} END`;
  const [ofText, ofNumber] = isMarked ? [" ", "  "] : ["", ""];
  const quoted = { found: long(`':"' || ${value} || '"'`), by: `':${ofText}"' || ${token} || '"'` };
  const numbers = [",", "}"].map((end) => ({
    found: long(`':' || ${value} || '${end}'`),
    by: `':${ofNumber}"' || ${token} || '"${end}'`,
  }));
  return isInteger ? [quoted, ...numbers] : [quoted];
}

const memberOf = ({ path }: TaggedField): string => text(`${JSON.stringify(path.at(-1) ?? "")}:`);

/** In any record. */
function membersOf(field: TaggedField, i: number): Replaced[] {
  const member = memberOf(field);
  if (field.isInteger) {
    const own = [",", "}"].map((end) => ({
      found: `${member} || v${i} || '${end}'`,
      by: `${member} || '  "' || t${i} || '"${end}'`,
    }));
    return [...own, ...copiesOf(field, `v${i}`, `t${i}`, true)];
  }
  const before = isMasked(field.tag)
    ? member
    : `CASE WHEN length(v${i}) >= ${shortestCopied} THEN ':' ELSE ${member} END`;
  return [{ found: `${before} || '"' || v${i} || '"'`, by: `${before} || ' "' || t${i} || '"'` }];
}

/** In a plain record: `f..` and `b..` of a person, from `v..` and `t..`; they are made once for all records of a person. */
export function plainColumns(model: ContractModel): string[] {
  if (!isFlat(model)) return [];
  return model.tagged.flatMap((field, i) => {
    const member = memberOf(field);
    return field.isInteger
      ? [`${member} || v${i} AS f${i}`, `${member} || '  "' || t${i} || '"' AS b${i}`]
      : [`${member} || '"' || v${i} || '"' AS f${i}`, `${member} || ' "' || t${i} || '"' AS b${i}`];
  });
}

/** Of `tagged_<contract>`, what it has of a person. */
export const personColumns = (model: ContractModel): string[] =>
  (isFlat(model) ? ["v", "t", "f", "b"] : ["v", "t"]).flatMap((letter) =>
    model.tagged.map((_, i) => `${letter}${i}`),
  );

/**
 * `_text`: the text of a record with tokens in place of values, each with the mark that says so.
 *
 * The values are looked for one behind the other, which takes a text apart and puts it together once: 2.4 us for four of
 * them in 1.2 KB of a plain record, 3.8 in others, where each part is searched for the values that are to come after it. Where one is
 * not behind the one before, or is there twice, or stands before it too, all are replaced one by one, with DuckDB's `replace`, which takes
 * 33 us. (By position, with `instr` and `substr`: 5.3 us, as these count characters.)
 *
 * @param base a query with the columns of `tagged_<contract>`, and the text as `_original`
 * @param order the tagged fields, as they follow one another in most texts
 */
export function keptText(model: ContractModel, base: string, order: readonly number[]): string {
  const { tagged } = model;
  const flat = isFlat(model);
  const fields = order.flatMap((i) => {
    const field = tagged[i];
    return field === undefined || (field.isInteger && !flat) ? [] : [{ i, field }];
  });
  const rest = (i: number | undefined): string =>
    i === undefined ? "_original" : `coalesce(_p${i}[2], _p${i}[1])`;
  let levels = `(${base})`;
  let before: number | undefined;
  const heads: string[] = [];
  // Another member may have the same value, before that of the field which is looked for first.
  const apart: string[] = [];
  for (const [at, { i, field }] of fields.entries()) {
    const { found, by } = replacedIn(flat, field, i);
    if (!field.isInteger)
      for (const { i: j } of fields.slice(0, at))
        apart.push(`(_p${j}[2] IS NULL OR NOT coalesce(contains(_p${j}[1], ${found}), FALSE))`);
    levels = `(SELECT *, string_split(${rest(before)}, coalesce(${found}, ${nowhere})) AS _p${i} FROM ${levels})`;
    heads.push(
      `CASE WHEN _p${i}[2] IS NOT NULL THEN _p${i}[1] END`,
      `CASE WHEN _p${i}[2] IS NOT NULL THEN ${by} END`,
    );
    before = i;
  }
  const slow = tagged.reduce(
    (value, field, i) =>
      membersOf(field, i).reduce((inner, { found, by }) => replaced(inner, found, by), value),
    "_original",
  );
  const proofs = [
    ...tagged.map((field, i) => foundOnce(flat, field, i)),
    ...(apart.length === 0 ? [] : [flat ? `(_plain OR ${apart.join(" AND ")})` : apart.join(" AND ")]),
  ];
  const excluded = fields.length === 0 ? "" : ` EXCLUDE (${fields.map(({ i }) => `_p${i}`).join(", ")})`;
  return `SELECT *${excluded}, CASE WHEN ${proofs.join(" AND ")}
  THEN concat(${[...heads, rest(before)].join(", ")}) ELSE ${slow} END AS _text FROM ${levels}`;
}

function replacedIn(flat: boolean, field: TaggedField, i: number): Replaced {
  if (field.isInteger) return { found: `CASE WHEN _plain THEN f${i} END`, by: `b${i}` };
  const [member = { found: nowhere, by: "''" }] = membersOf(field, i);
  if (!flat) return member;
  return {
    found: `CASE WHEN _plain THEN f${i} ELSE ${member.found} END`,
    by: `CASE WHEN _plain THEN b${i} ELSE ${member.by} END`,
  };
}

function foundOnce(flat: boolean, { isInteger }: TaggedField, i: number): string {
  if (!isInteger) return `len(_p${i}) = CASE WHEN t${i} IS NULL THEN 1 ELSE 2 END`;
  if (!flat) return `t${i} IS NULL`;
  // The number may go on: 42.0 is 42 too.
  const ends = [",", "}"].map((end) => `starts_with(_p${i}[2], '${end}')`).join(" OR ");
  return `(t${i} IS NULL OR _plain AND len(_p${i}) = 2 AND (${ends}))`;
}

/** Fills `texts` with those that are not proven to be right, as SQL writes them. */
export function unprovenTexts(model: ContractModel, order: readonly number[]): string {
  const { name, tagged } = model;
  const checks = tagged.map(
    ({ path }, i) => `coalesce(t${i} = json_extract_string(_text, ${pointer(path)}), t${i} IS NULL)`,
  );
  const unproven = [
    "contains(l.text, '\\')",
    ...tagged.flatMap(({ isInteger }, i) =>
      isInteger ? [`t.t${i} IS NOT NULL AND NOT ${isWritten(model, i)}`] : [],
    ),
  ];
  const base = `SELECT t.*, l.text AS _original FROM ${taggedTable(name)} t JOIN lines l USING (_key) WHERE ${unproven.join(" OR ")}`;
  return `INSERT INTO texts SELECT _key, _text, ${checks.join(" AND ")} FROM (${keptText(model, base, order)})`;
}

/** Whether an integer is in the text of a plain record as its value is: 42.0 and -0 are integers too. */
const isWritten = (model: ContractModel, i: number): string =>
  isFlat(model)
    ? `(t._plain AND (${[",", "}"].map((end) => `contains(l.text, t.f${i} || '${end}')`).join(" OR ")}))`
    : "FALSE";

const pointer = (path: readonly string[]): string =>
  text(path.map((name) => `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`).join(""));
