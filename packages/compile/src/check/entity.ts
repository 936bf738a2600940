import { intervalColumns } from "../duckdb/entity-history.ts";
import { sqlType } from "../duckdb/leaf.ts";
import { entityType, fieldOf } from "../entity-model.ts";
import type { EntityType } from "../entity-model.ts";
import type { ContractModel } from "../model.ts";
import { streamOf } from "../stream.ts";
import type { EntitySpec, ProjectSpec } from "../table.ts";
import { modelsOf } from "./checking.ts";
import type { Checking, TableKind } from "./checking.ts";
import { checkDistinct, checkRowid, isScalar } from "./columns.ts";

export const entityKind: TableKind<EntitySpec> = {
  contracts: ({ from }, project) => contractNames(from, project),
  inputs: () => [],
  moreViews: (name) => [`${name}_history`],
  check: (spec, checking) => {
    if (spec.key.length === 0) checking.problem(`"key" names no column.`);
    const types = typeof spec.from === "string" ? streamTypes(spec, checking) : fieldTypes(spec, checking);
    if (types === undefined) return;
    checkDistinct([...types.keys(), ...intervalColumns], checking);
    checkRowid(types.keys(), checking);
    for (const column of spec.key) checkKey(column, types.get(column), checking);
    for (const [column, values] of Object.entries(spec.lattice))
      checkLattice(column, values, types.get(column), checking);
    checkDeleted(spec, types, checking);
  },
};

function contractNames(from: EntitySpec["from"], project: ProjectSpec): readonly string[] {
  if (typeof from !== "string") return from.map(({ name }) => name);
  const reference = streamOf(project, from);
  return typeof reference === "string" ? [] : [reference.contract.name];
}

/** The columns of a stream's entity with their types. */
function streamTypes(spec: EntitySpec, checking: Checking): Map<string, EntityType> | undefined {
  const reference = streamOf(checking.project, spec.from as string);
  if (typeof reference === "string") {
    checking.problem(reference);
    return undefined;
  }
  if (spec.version !== undefined)
    checking.problem(`"version" is for contracts: the changes of a stream bring their own.`);
  const types = new Map<string, EntityType>();
  for (const [column, schema] of Object.entries(spec.columns)) types.set(column, entityType(schema));
  for (const column of spec.key) if (!types.has(column)) types.set(column, { kind: "string", exact: true });
  for (const column of types.keys()) {
    if (column === "" || column.startsWith("_"))
      checking.problem(`a column cannot be named "${column}": names with a leading "_" are Weir's own.`);
  }
  return types;
}

/** The fields of all contracts with their types. */
function fieldTypes(spec: EntitySpec, checking: Checking): Map<string, EntityType> | undefined {
  if (Object.keys(spec.columns).length > 0)
    checking.problem(`"columns" is for streams: those of contracts are their fields.`);
  const models = modelsOf(spec.from as Exclude<EntitySpec["from"], string>, checking);
  if (models === undefined) return undefined;
  const types = new Map<string, EntityType>();
  for (const { name, fields } of models) {
    for (const field of fields) {
      const known = types.get(field.name);
      if (known !== undefined && known.kind !== "bytes" && sqlType(known) !== sqlType(field.type))
        checking.problem(
          `"${field.name}" is ${sqlType(known)} in one contract and ${sqlType(field.type)} in "${name}".`,
        );
      types.set(field.name, field.type);
    }
  }
  for (const column of spec.key) {
    for (const model of models)
      if (fieldOf(model, column) === undefined)
        checking.problem(`contract "${model.name}" has no field "${column}", which is part of the key.`);
  }
  if (spec.version !== undefined) checkVersion(spec.version, models, checking);
  return types;
}

function checkVersion(version: string, models: readonly ContractModel[], checking: Checking): void {
  for (const model of models) {
    const field = fieldOf(model, version);
    if (field === undefined) {
      checking.problem(`contract "${model.name}" has no field "${version}", which is to be the version.`);
    } else if (!isScalar(field.type) || field.nullable || !field.required) {
      checking.problem(
        `"${version}" of "${model.name}" cannot be the version: it must be a scalar that every record has and that is never null.`,
      );
    }
  }
}

function checkKey(column: string, type: EntityType | undefined, checking: Checking): void {
  if (type === undefined || (type.kind !== "bytes" && isScalar(type))) return;
  checking.problem(`"${column}" is a ${type.kind}; a key must be scalar.`);
}

function checkLattice(
  column: string,
  values: readonly string[],
  type: EntityType | undefined,
  checking: Checking,
): void {
  if (type?.kind !== "string") {
    const found = type === undefined ? "no column of this table" : `a ${type.kind}`;
    checking.problem(`the lattice of "${column}" needs a column of strings; it is ${found}.`);
  }
  if (values.length < 2 || new Set(values).size < values.length)
    checking.problem(`the lattice of "${column}" must list two values or more, each once, the lowest first.`);
}

const plainTypes: Readonly<Record<string, string>> = {
  string: "string",
  integer: "number",
  number: "number",
  decimal: "number",
  boolean: "boolean",
};

function checkDeleted(
  { deleted }: EntitySpec,
  types: ReadonlyMap<string, EntityType>,
  checking: Checking,
): void {
  if (deleted === undefined) return;
  const type = types.get(deleted.field);
  if (type === undefined) {
    checking.problem(`"deleted" needs a column "${deleted.field}". Declare it.`);
  } else if (plainTypes[type.kind] !== typeof deleted.equals) {
    checking.problem(
      `"deleted" compares "${deleted.field}", a ${type.kind}, with ${JSON.stringify(deleted.equals)}.`,
    );
  }
}
