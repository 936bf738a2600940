/** Tables of schemas and values with stated verdicts, one table a schema. */
import { contract } from "@weir/contract";
import type { Contract, JSONSchema, Subschema } from "@weir/contract";

export interface SchemaCase {
  /** JSON text of the value, minified. */
  readonly text: string;
  readonly valid: boolean;
}

export interface CaseTable {
  /** What it shows; unique. */
  readonly name: string;
  /** The schema of one value, as a user would write it. */
  readonly schema: Subschema;
  /** What references in it lead to: the `$defs` of the contract. */
  readonly definitions?: Readonly<Record<string, JSONSchema>>;
  readonly cases: readonly SchemaCase[];
}

/** A table from the texts that are valid and those that are not. */
export function table(
  name: string,
  schema: Subschema,
  valid: readonly string[],
  invalid: readonly string[],
  definitions?: Readonly<Record<string, JSONSchema>>,
): CaseTable {
  const cases = [
    ...valid.map((text) => ({ text, valid: true })),
    ...invalid.map((text) => ({ text, valid: false })),
  ];
  return { name, schema, cases, ...(definitions === undefined ? {} : { definitions }) };
}

/** JSON texts of strings. */
export function quoted(values: readonly string[]): string[] {
  return values.map((value) => JSON.stringify(value));
}

/** A contract named `cases` whose optional field `f` has the schema of a table. */
export function caseContract({ schema, definitions }: CaseTable): Contract {
  const fields: object = {
    type: "object",
    required: ["id", "at"],
    properties: { id: { type: "string" }, at: { type: "string", format: "date-time" }, f: schema },
    ...(definitions === undefined ? {} : { $defs: definitions }),
  };
  return contract("cases", { version: "1.0.0", owner: "testkit", id: "id", time: "at", fields });
}

/** The text of a record of `caseContract` with the given id and the case's value in `f`. */
export function caseRecord(id: string, { text }: SchemaCase): string {
  return `{"id":${JSON.stringify(id)},"at":"2026-01-01T00:00:00Z","f":${text}}`;
}
