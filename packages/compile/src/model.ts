import type { Contract } from "@weir/contract";
import { WeirError } from "@weir/contract";
import { contractFields, hasDistinctColumns } from "./field-type.ts";
import type { Field, FieldType, JsonSchema } from "./field-type.ts";

/** A contract as the compiler sees it: columns with types, and how far SQL can judge it. */
export interface ContractModel {
  readonly name: string;
  readonly id: string;
  readonly time: string;
  readonly fields: readonly Field[];
  /** False when the schema says something SQL cannot check: then Ajv judges every record. */
  readonly exact: boolean;
  /** `additionalProperties: false` at the top level. */
  readonly closed: boolean;
}

export function contractModel(contract: Contract): ContractModel {
  const schema = contract.schema as JsonSchema;
  const { fields, exact, closed } = contractFields(schema);
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
  return { name: contract.name, id: contract.id, time: contract.time, fields, exact, closed };
}

/** The type at a dotted path (`sku`, `address.city`), or undefined where there is none. */
export function typeAt(contract: ContractModel, path: string): FieldType | undefined {
  const [first, ...rest] = path.split(".");
  let type = contract.fields.find((field) => field.name === first)?.type;
  for (const name of rest) {
    type = type?.kind === "object" ? type.fields.find((field) => field.name === name)?.type : undefined;
  }
  return type;
}
