import type { Static, TSchema } from "typebox";
import { checkSchema } from "./check-schema.ts";
import { durationMs } from "./duration.ts";
import type { Duration } from "./duration.ts";
import { effectiveSchema } from "./effective.ts";
import { WeirError } from "./errors.ts";
import { checkFields } from "./field-rules.ts";
import { readSchema } from "./json-schema.ts";
import { compileJudge, metaSchemaErrors } from "./judge.ts";
import { parsePointer } from "./pointer.ts";
import { checkTags } from "./privacy.ts";
import type { RowTags } from "./privacy.ts";
import { Problems } from "./problems.ts";
import { endlessRef } from "./refs.ts";
import type { JSONSchema } from "./schema.ts";
import { parseVersion } from "./version.ts";

declare const recordType: unique symbol;

/** What one kind of record must look like. Frozen plain data; the type parameter is the record's TypeScript type. */
export interface Contract<T = unknown> {
  /** `[a-z][a-z0-9_]*`, at most 63 characters: also the name of its table. */
  readonly name: string;
  /** Semantic version. */
  readonly version: string;
  /** Who answers for it: a team or a person. */
  readonly owner: string;
  readonly description?: string;
  /** Top-level field with the record's id, by which it is deduplicated; a required string or integer. */
  readonly id: string;
  /** Top-level field that groups records: a customer, a device, an order. */
  readonly key?: string;
  /** Top-level field with the event time; a required date-time. */
  readonly time: string;
  /** How late a record may come and still be expected, in milliseconds. */
  readonly latenessMs: number;
  /** Other names that clients send it under: Segment event names, CloudEvents types. */
  readonly aliases: readonly string[];
  /** The effective schema (see effectiveSchema): what judges records and what `/contracts` serves. */
  readonly schema: JSONSchema;
  /** Of the changes of a captured source, and of them only: which columns of which streams are personal. */
  readonly rowTags?: RowTags;
  /** Never present; carries the type. */
  readonly [recordType]?: T;
}

/** The TypeScript type of a contract's records. */
export type Infer<C> = C extends Contract<infer T> ? T : never;

/** The record type behind a schema: the static type of TypeBox and of JSON Schema literals, the input type of a Standard Schema. */
export type RecordOf<S> = S extends { readonly "~standard": { readonly types?: infer T } }
  ? NonNullable<T> extends { readonly input: infer I }
    ? I
    : unknown
  : S extends TSchema
    ? Static<S>
    : unknown;

type Is<T, Kind> = [T] extends [Kind] ? true : false;
type IsRequired<T, K extends keyof T> = object extends Pick<T, K> ? false : true;
type IsScalarKey<T> = Is<T, string> extends true ? true : Is<T, number>;

/** Names of the fields of T that can be the id; any string where the type is not known. */
export type IdField<T> = unknown extends T
  ? string
  : {
      [K in keyof T & string]-?: [IsRequired<T, K>, IsScalarKey<T[K]>] extends [true, true] ? K : never;
    }[keyof T & string];

/** Names of the fields of T that can be the key. */
export type KeyField<T> = unknown extends T
  ? string
  : { [K in keyof T & string]-?: IsScalarKey<NonNullable<T[K]>> extends true ? K : never }[keyof T & string];

/** Names of the fields of T that can be the time. The format is checked when the contract is made; types do not carry it. */
export type TimeField<T> = unknown extends T
  ? string
  : {
      [K in keyof T & string]-?: [IsRequired<T, K>, Is<T[K], string>] extends [true, true] ? K : never;
    }[keyof T & string];

export interface ContractSpec<S> {
  readonly version: string;
  readonly owner: string;
  readonly description?: string;
  readonly id: IdField<RecordOf<S>>;
  readonly key?: KeyField<RecordOf<S>>;
  readonly time: TimeField<RecordOf<S>>;
  /** How late records may come and still be expected; "24h" when not given. Later ones are loaded all the same. */
  readonly lateness?: Duration;
  readonly aliases?: readonly string[];
  /** An object schema: TypeBox, JSON Schema, or a Standard JSON Schema (Zod 4, ArkType, Valibot). */
  readonly fields: S;
}

export const defaultLateness = "24h";
export const maxContractNameLength = 63;
export const maxAliasLength = 200;

/**
 * Declares a contract.
 *
 * @throws WeirError `contract_invalid` that names the contract and lists everything wrong with it, each line with the part of the
 *   definition it is about (`id`, `fields/properties/price/pattern`) and what to do.
 */
export function contract<const S>(name: string, spec: ContractSpec<S>): Contract<RecordOf<S>> {
  const problems = new Problems();
  checkHead(name, spec, problems);
  const latenessMs = readLateness(spec.lateness ?? defaultLateness, problems);
  const schemaProblems = new Problems();
  const schema = readFields(spec, schemaProblems);
  problems.addAll(schemaProblems);
  if (!problems.empty || schema === undefined) {
    const where = `contract ${name}`;
    const message = `The ${where} is not valid:\n  ${problems.lines.join("\n  ")}`;
    throw new WeirError("contract_invalid", message, { where, cause: problems.cause });
  }
  return deepFreeze({
    name,
    version: spec.version,
    owner: spec.owner,
    ...(spec.description === undefined ? {} : { description: spec.description }),
    id: spec.id,
    ...(spec.key === undefined ? {} : { key: spec.key }),
    time: spec.time,
    latenessMs,
    aliases: [...(spec.aliases ?? [])],
    schema,
  });
}

function checkHead(name: unknown, spec: ContractSpec<unknown>, problems: Problems): void {
  if (typeof name !== "string" || !/^[a-z][a-z0-9_]*$/.test(name) || name.length > maxContractNameLength) {
    problems.add(
      "name",
      [],
      `${JSON.stringify(name)} is not a name: a small letter, then small letters, digits and _, at most ${maxContractNameLength}.`,
    );
  }
  if (typeof spec.version !== "string" || parseVersion(spec.version) === undefined) {
    problems.add("version", [], `${JSON.stringify(spec.version)} is not a semantic version such as "1.0.0".`);
  }
  if (typeof spec.owner !== "string" || spec.owner.trim() === "") {
    problems.add("owner", [], "Name the team or person who answers for these records.");
  }
  const seen = new Set<unknown>([name]);
  for (const alias of spec.aliases ?? []) {
    if (typeof alias !== "string" || alias === "" || alias.length > maxAliasLength || /\p{Cc}/u.test(alias)) {
      problems.add(
        "aliases",
        [],
        `${JSON.stringify(alias)} is not an alias: 1 to ${maxAliasLength} characters, no control characters.`,
      );
    }
    if (seen.has(alias)) problems.add("aliases", [], `${JSON.stringify(alias)} names this contract twice.`);
    seen.add(alias);
  }
}

function readLateness(lateness: Duration, problems: Problems): number {
  try {
    return durationMs(lateness);
  } catch (error) {
    problems.cause ??= error;
    problems.add(
      "lateness",
      [],
      error instanceof WeirError ? `${error.message} ${error.remedy}` : String(error),
    );
    return 0;
  }
}

function readFields(spec: ContractSpec<unknown>, problems: Problems): JSONSchema | undefined {
  const written = readSchema(spec.fields, problems);
  if (written === undefined) return undefined;
  for (const error of metaSchemaErrors(written)) {
    problems.add(
      "fields",
      parsePointer(error.instancePath) ?? [],
      `The schema ${error.message ?? "is not valid"}.`,
    );
  }
  checkSchema(written, problems);
  if (!problems.empty) return undefined;
  const endless = endlessRef(written);
  if (endless !== undefined) {
    problems.add(
      "fields",
      [],
      `The reference ${JSON.stringify(endless)} leads back to itself without going into a field, so no record could be judged.`,
    );
    return undefined;
  }
  const schema = effectiveSchema(written);
  checkFields(schema, { id: spec.id, key: spec.key, time: spec.time }, problems);
  checkTags(schema, { id: spec.id, time: spec.time }, problems);
  try {
    compileJudge(schema, false);
  } catch (error) {
    problems.cause ??= error;
    problems.add(
      "fields",
      [],
      `Ajv cannot use the schema: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
  return schema;
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) deepFreeze(part as object);
  }
  return Object.freeze(value);
}
