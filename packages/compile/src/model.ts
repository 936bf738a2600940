import type { Contract, RowTags, TaggedField } from "@weir/contract";
import { WeirError, taggedFields } from "@weir/contract";
import { contractFields, hasDistinctColumns } from "./field-type.ts";
import type { Field, FieldType, JsonSchema } from "./field-type.ts";

/** A contract as the compiler sees it: columns with types, and how far SQL can judge it. */
export interface ContractModel {
  readonly name: string;
  readonly id: string;
  readonly time: string;
  readonly fields: readonly Field[];
  /** The fields as their values are judged: those of personal ones are what stands in the record, and not yet tokens. */
  readonly judged: readonly Field[];
  readonly tagged: readonly TaggedField[];
  /** Of changes of a captured source: the tags of columns, by stream. */
  readonly rowTags: RowTags | undefined;
  /** The key's columns of its streams, as far as the project says what these are. */
  readonly rowKeys: Readonly<Record<string, readonly string[]>>;
  /** False when the schema says something SQL cannot check: then Ajv judges every record. */
  readonly exact: boolean;
  /** `additionalProperties: false` at the top level. */
  readonly closed: boolean;
}

export function contractModel(contract: Contract): ContractModel {
  const schema = contract.schema as JsonSchema;
  const { fields: judged, exact, closed } = contractFields(schema);
  const tagged = taggedFields(contract.schema);
  const fields = judged.map((field) => stored(field, tagged, [field.name]));
  const byName = Object.fromEntries(fields.map((field) => [field.name, true]));
  if (!hasDistinctColumns({ ...byName, type: true })) {
    throw new WeirError(
      "contract_invalid",
      "Two fields have names that differ only in case, or one has no name.",
      {
        where: `contract ${contract.name}`,
        remedy:
          "Rename one of them: SQL ignores case. `type` is taken by the name under which records are sent.",
      },
    );
  }
  const { name, id, time, rowTags } = contract;
  for (const { path } of tagged) {
    const kind = fieldAt(judged, path)?.kind;
    if (kind === "string" || kind === "integer") continue;
    throw new WeirError(
      "contract_invalid",
      `The field ${path.join(".")} is tagged, and no column of its own is made of it.`,
      {
        where: `contract ${name}`,
        remedy: "Declare it, and the objects that it is in, with plain types and properties.",
      },
    );
  }
  return { name, id, time, fields, judged, tagged, rowTags, rowKeys: {}, exact, closed };
}

/** A field as the clean zone has it: in place of a personal value stands a text. */
function stored(field: Field, tagged: readonly TaggedField[], path: readonly string[]): Field {
  const own = tagged.filter((one) => path.every((step, i) => one.path[i] === step));
  if (own.length === 0) return field;
  if (own.some((one) => one.path.length === path.length))
    return { ...field, type: { kind: "string", exact: true } };
  if (field.type.kind !== "object") return field;
  const fields = field.type.fields.map((inner) => stored(inner, tagged, [...path, inner.name]));
  return { ...field, type: { ...field.type, fields } };
}

/** The type at a dotted path (`sku`, `address.city`), or undefined where there is none. */
export function typeAt(contract: ContractModel, path: string): FieldType | undefined {
  return fieldAt(contract.fields, path.split("."));
}

/** The same where names may have dots in them. */
export function fieldAt(fields: readonly Field[], path: readonly string[]): FieldType | undefined {
  const [first, ...rest] = path;
  let type = fields.find((field) => field.name === first)?.type;
  for (const name of rest) {
    type = type?.kind === "object" ? type.fields.find((field) => field.name === name)?.type : undefined;
  }
  return type;
}
