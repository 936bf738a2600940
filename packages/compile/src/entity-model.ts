import type { JSONSchema } from "@weir/contract";
import type { FieldType } from "./field-type.ts";
import { valueType } from "./field-type.ts";
import type { ContractModel } from "./model.ts";
import { streamOf } from "./stream.ts";
import type { EntitySpec, ProjectSpec } from "./table.ts";

/** What a column of an entity holds. `bytes` is text of a source that stands for bytes, such as `\x0a`. */
export type EntityType = FieldType | { readonly kind: "bytes"; readonly encoding: "base16" | "base64" };

export interface EntityColumn {
  readonly name: string;
  readonly type: EntityType;
  /** The column's values from the lowest up, where it only rises. */
  readonly lattice?: readonly string[];
}

/** An entity ready for SQL. */
export interface EntityModel {
  readonly name: string;
  readonly key: readonly string[];
  /** The key's columns first. */
  readonly columns: readonly EntityColumn[];
  readonly deleted: EntitySpec["deleted"];
  readonly from:
    | { readonly kind: "stream"; readonly contract: string; readonly stream: string }
    | {
        readonly kind: "contracts";
        readonly contracts: readonly ContractModel[];
        readonly version: string | undefined;
      };
  /** What orders states: the type of `_version`. */
  readonly versionType: FieldType;
}

/** The type of a declared column. Only types count: what a schema says beyond is not checked. */
export function entityType(schema: JSONSchema): EntityType {
  const { type } = valueType(schema);
  const encoding = schema.contentEncoding;
  if (type.kind === "string" && (encoding === "base16" || encoding === "base64"))
    return { kind: "bytes", encoding };
  return type;
}

/** @param model the models of the contracts; the declaration has been checked */
export function entityModel(
  name: string,
  spec: EntitySpec,
  project: ProjectSpec,
  model: (contract: string) => ContractModel,
): EntityModel {
  const { key, deleted } = spec;
  const columnsOf = (types: ReadonlyMap<string, EntityType>): EntityColumn[] =>
    [...new Set([...key, ...types.keys()])].map((column) => {
      const lattice = spec.lattice[column];
      const type = types.get(column) ?? { kind: "string", exact: true };
      return { name: column, type, ...(lattice === undefined ? {} : { lattice }) };
    });
  if (typeof spec.from === "string") {
    const reference = streamOf(project, spec.from);
    if (typeof reference === "string") throw new Error(`unreachable: ${reference}`);
    const types = new Map(
      Object.entries(spec.columns).map(([column, schema]) => [column, entityType(schema)]),
    );
    const from = { kind: "stream", contract: reference.contract.name, stream: reference.stream } as const;
    return {
      name,
      key,
      deleted,
      columns: columnsOf(types),
      from,
      versionType: { kind: "string", exact: true },
    };
  }
  const contracts = spec.from.map((contract) => model(contract.name));
  const fields = contracts.flatMap((contract) => contract.fields);
  const types = new Map<string, EntityType>(fields.map((field) => [field.name, field.type]));
  const version = spec.version === undefined ? undefined : types.get(spec.version);
  return {
    name,
    key,
    deleted,
    columns: columnsOf(types),
    from: { kind: "contracts", contracts, version: spec.version },
    versionType:
      version === undefined || version.kind === "bytes" ? { kind: "timestamp", exact: true } : version,
  };
}

/** The contracts whose records an entity is made of. */
export const contractsOfEntity = ({ from }: EntityModel): readonly string[] =>
  from.kind === "stream" ? [from.contract] : from.contracts.map((contract) => contract.name);

/** The field of a contract, or undefined where it has none. */
export const fieldOf = (contract: ContractModel, name: string): ContractModel["fields"][number] | undefined =>
  contract.fields.find((field) => field.name === name);
