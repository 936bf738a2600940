import { columnOf } from "../duckdb/events.ts";
import { entityModel } from "../entity-model.ts";
import type { EntityColumn } from "../entity-model.ts";
import { typeAt } from "../model.ts";
import type { ContractModel } from "../model.ts";
import type { EnrichSpec } from "../table.ts";
import { modelsOf } from "./checking.ts";
import type { Checking, TableKind } from "./checking.ts";
import { checkDistinct, isScalar } from "./columns.ts";

export const enrichKind: TableKind<EnrichSpec> = {
  contracts: ({ from }) => [from.name],
  inputs: ({ to }) => [to],
  moreViews: () => [],
  check: (spec, checking) => {
    if (spec.graceMs !== undefined && spec.graceMs <= 0)
      checking.problem("the grace must be longer than nothing.");
    if (spec.take.length === 0) checking.problem(`"take" names no column.`);
    const [model] = modelsOf([spec.from], checking) ?? [];
    if (model !== undefined) checkFields(spec, model, checking);
    const parent = parentOf(spec, checking);
    if (parent === undefined) return;
    for (const column of spec.take) {
      if (!parent.columns.some(({ name }) => name === column))
        checking.problem(`"${spec.to}" has no column "${column}" with a type of its own.`);
    }
    if (model !== undefined) checkKey(spec, model, parent, checking);
  },
};

interface Parent {
  readonly key: readonly string[];
  readonly columns: readonly EntityColumn[];
}

/** The entity; undefined where there is none or something is wrong with it, which is a problem already. */
function parentOf({ to }: EnrichSpec, checking: Checking): Parent | undefined {
  const entity = checking.project.tables[to];
  if (entity === undefined) return undefined;
  if (entity.kind !== "entity") {
    checking.problem(`"to" must name an entity; "${to}" is a table of the kind ${entity.kind}.`);
    return undefined;
  }
  const contracts = typeof entity.from === "string" ? [] : entity.from;
  if (!contracts.every(({ name }) => checking.models.has(name))) return undefined;
  try {
    const model = (name: string): ContractModel => checking.models.get(name) as ContractModel;
    return entityModel(to, entity, checking.project, model);
  } catch {
    return undefined;
  }
}

function checkFields(spec: EnrichSpec, model: ContractModel, checking: Checking): void {
  for (const path of [...Object.keys(spec.on), ...spec.keep]) {
    if (typeAt(model, path) === undefined)
      checking.problem(`contract "${model.name}" has no field "${path}".`);
  }
  checkDistinct(
    [...recordPaths(spec, model).map(columnOf), ...spec.take.map((column) => `${spec.prefix}${column}`)],
    checking,
  );
  if (spec.prefix !== "" && !/^[A-Za-z]\w*$/.test(spec.prefix))
    checking.problem(`the prefix "${spec.prefix}" must be a letter, then letters, digits and "_".`);
}

/** Paths of the record's columns: its id, its time, what it is matched by, and what is kept; each once. */
export const recordPaths = (spec: EnrichSpec, { id, time }: ContractModel): string[] => [
  ...new Set([id, time, ...Object.keys(spec.on), ...spec.keep]),
];

/** What values of a kind are compared as. */
const comparedAs = (kind: string): string =>
  ["integer", "number", "decimal"].includes(kind) ? "number" : kind;

/** All of the entity's key must be matched: a record has one parent. */
function checkKey(spec: EnrichSpec, model: ContractModel, parent: Parent, checking: Checking): void {
  const named = Object.values(spec.on);
  const isKey = named.length === parent.key.length && parent.key.every((column) => named.includes(column));
  if (!isKey) {
    checking.problem(
      `"on" must name a field of the record for each column of the key of "${spec.to}": ${parent.key.join(", ")}.`,
    );
    return;
  }
  for (const [path, column] of Object.entries(spec.on)) {
    const type = typeAt(model, path);
    const other = parent.columns.find(({ name }) => name === column)?.type;
    if (type === undefined || other === undefined) continue;
    if (!isScalar(type))
      checking.problem(`"${path}" is a ${type.kind}; what records are matched by must be scalar.`);
    else if (comparedAs(type.kind) !== comparedAs(other.kind))
      checking.problem(
        `"${path}" of the record is a ${type.kind}, "${column}" of "${spec.to}" a ${other.kind}; they must be of one type. ` +
          `Where "${spec.to}" is made of a stream, its "columns" may say the type.`,
      );
  }
}
