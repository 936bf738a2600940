/** Which fields of a record are personal, and how that is said: the keyword `pii` of a field's schema. */
import type { TSchema, TString, TStringOptions } from "typebox";
import { Type } from "./fields.ts";
import type { Problems } from "./problems.ts";
import { childSchemas } from "./schema.ts";
import type { JSONSchema, Subschema } from "./schema.ts";

/**
 *   email, phone, name, address, ip, text   a personal value: a token stands for it everywhere but in the vault
 *   subject                                 the id of the person whom the record is about: a pseudonym stands for it
 *   pan                                     a card number: the first six and the last four digits are kept, nothing else
 *   cvv                                     a card's security code: nothing is kept
 *   none                                    nothing personal: it is not searched for e-mail addresses and card numbers
 */
export const piiTags = [
  "email",
  "phone",
  "name",
  "address",
  "ip",
  "text",
  "subject",
  "pan",
  "cvv",
  "none",
] as const;

export type PiiTag = (typeof piiTags)[number];

export const isPiiTag = (value: unknown): value is PiiTag => (piiTags as readonly unknown[]).includes(value);

/** Tags by column, by stream of a captured source: `{ "public.customers": { id: "subject", email: "email" } }`. */
export type RowTags = Readonly<Record<string, Readonly<Record<string, PiiTag>>>>;

/** A field with a tag, by its path from the record. */
export interface TaggedField {
  readonly path: readonly string[];
  readonly tag: Exclude<PiiTag, "none">;
  /** Its values are JSON numbers. */
  readonly isInteger: boolean;
}

type TaggedString = (options?: TStringOptions) => TString;

const tagged =
  (tag: PiiTag): TaggedString =>
  (options = {}) =>
    Type.String({ ...options, pii: tag });

/** Fields that are personal: strings, with any constraint a string may have. Values are judged first, then become tokens. */
export const pii = {
  email: tagged("email"),
  phone: tagged("phone"),
  name: tagged("name"),
  address: tagged("address"),
  ip: tagged("ip"),
  /** Anything else about a person. */
  text: tagged("text"),
} as const;

/** Fields with card data: masked, and kept nowhere else. */
export const pci = { pan: tagged("pan"), cvv: tagged("cvv") } as const;

/**
 * The id of the person whom the record is about: at most one field of a contract.
 *
 * @param field a string or integer; a string if not given
 */
export function subject(): TString;
export function subject<S extends TSchema>(field: S): S;
export function subject(field: TSchema = Type.String()): TSchema {
  return withTag(field, "subject");
}

/** The same field, not searched for e-mail addresses and card numbers. */
export const notPii = <S extends TSchema>(field: S): S => withTag(field, "none");

/** With what TypeBox keeps in properties that are not enumerable, such as that a field is optional. */
function withTag<S extends TSchema>(field: S, tag: PiiTag): S {
  const descriptors = Object.getOwnPropertyDescriptors(field);
  const pii = { value: tag, enumerable: true, writable: true, configurable: true };
  return Object.defineProperties({}, { ...descriptors, pii }) as S;
}

/** The tagged fields of an effective schema, in its order. */
export function taggedFields(schema: Subschema, path: readonly string[] = []): TaggedField[] {
  if (typeof schema !== "object") return [];
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    if (typeof field !== "object") return [];
    const at = [...path, name];
    const { pii: tag } = field;
    const own =
      tag === undefined || tag === "none"
        ? []
        : [{ path: at, tag, isInteger: valueTypes(field).join(",") === "integer" }];
    return [...own, ...taggedFields(field, at)];
  });
}

const valueTypes = (schema: JSONSchema): string[] =>
  (typeof schema.type === "string" ? [schema.type] : (schema.type ?? [])).filter((type) => type !== "null");

type Steps = readonly (string | number)[];

/** Checks that every tag of an effective schema is where a token can stand for the value. */
export function checkTags(
  schema: JSONSchema,
  roles: { readonly id: unknown; readonly time: unknown },
  problems: Problems,
): void {
  const own = (tag: PiiTag, steps: Steps): void => {
    if (steps.length !== 2 || tag === "none") return;
    const [, name] = steps;
    if (name === roles.time) problems.add("fields", steps, "The record's time cannot be tagged.");
    if (name === roles.id && tag !== "subject") {
      problems.add("fields", steps, `The record's id can be tagged as subject only, not as ${tag}.`);
    }
  };
  const walk = (node: unknown, steps: Steps, reach: boolean): void => {
    if (typeof node !== "object" || node === null) return;
    const field = node as JSONSchema;
    if (field.pii !== undefined) {
      checkTag(field, steps, reach, problems);
      own(field.pii, steps);
    }
    for (const child of childSchemas(node as Readonly<Record<string, unknown>>))
      walk(child.schema, [...steps, ...child.steps], reach && child.keyword === "properties");
  };
  walk(schema, [], true);
  const subjects = taggedFields(schema).filter(({ tag }) => tag === "subject");
  if (subjects.length > 1) {
    const names = subjects.map(({ path }) => path.join(".")).join(", ");
    problems.add("fields", [], `A record is about one subject, and ${names} are all tagged so.`);
  }
}

function checkTag(field: JSONSchema, steps: Steps, reach: boolean, problems: Problems): void {
  const { pii: tag } = field;
  if (!isPiiTag(tag)) {
    problems.add(
      "fields",
      [...steps, "pii"],
      `${JSON.stringify(tag)} is no tag; those are ${piiTags.join(", ")}.`,
    );
    return;
  }
  if (tag === "none") return;
  if (!reach || steps.length === 0) {
    problems.add(
      "fields",
      steps,
      "Only fields of the record and of objects in it can be tagged, not items of lists, values of maps or branches of a choice. Move the value to a field of its own.",
    );
    return;
  }
  const types = valueTypes(field).join(",");
  const isText = types === "string" && field.format !== "date-time" && field.format !== "date";
  if (isText || (tag === "subject" && types === "integer")) return;
  const wanted = tag === "subject" ? "a string or an integer" : "a string, and no date or time";
  problems.add("fields", steps, `A field that is tagged as ${tag} must be ${wanted}.`);
}

/**
 * Checks the tags that a captured source declares.
 *
 * @returns a text that says what is wrong; undefined if nothing is
 */
export function rowTagsProblem(tags: RowTags): string | undefined {
  for (const [stream, columns] of Object.entries(tags)) {
    if (typeof columns !== "object") return `pii names no columns of ${stream}`;
    for (const [column, tag] of Object.entries(columns)) {
      if (!isPiiTag(tag)) {
        return `pii: ${stream}.${column}: ${JSON.stringify(tag)} is no tag; those are ${piiTags.join(", ")}`;
      }
    }
    if (Object.values(columns).filter((tag) => tag === "subject").length > 1)
      return `pii: a row of ${stream} is about one subject, and several columns are tagged so`;
  }
  return undefined;
}
