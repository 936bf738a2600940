import type { Contract, PiiTag } from "@weir/contract";
import { isFreeText } from "./duckdb/privacy.ts";
import type { SubjectPath } from "./duckdb/subjects.ts";
import { link } from "./identity-builder.ts";
import { fieldAt } from "./model.ts";
import type { ContractModel } from "./model.ts";
import { streamOf } from "./stream.ts";
import type { ProjectSpec } from "./table.ts";

/** The tags of fields that name a person, each a kind of its name. */
const naming: ReadonlySet<string> = new Set(["subject", "email", "phone"] satisfies PiiTag[]);

/**
 * The fields that name the person of a record: those that `privacy.subjects` lists, those that identity tables read, and
 * those with a tag that says so.
 *
 * @param problem hears of each declaration that means nothing
 */
export function subjectPaths(
  project: ProjectSpec,
  contracts: ReadonlyMap<string, Contract>,
  models: ReadonlyMap<string, ContractModel>,
  problem: (text: string) => void,
): SubjectPath[] {
  const found: SubjectPath[] = [];
  for (const table of Object.values(project.tables)) {
    if (table.kind !== "identity") continue;
    for (const { contract, ids } of table.links)
      for (const { kind, path } of ids)
        found.push(...fieldOf(models.get(contract.name), kind, path.split(".")));
  }
  for (const model of models.values()) found.push(...taggedPaths(model));
  for (const [from, fields] of project.privacy?.subjects ?? []) {
    const at = `privacy.subjects, ${typeof from === "string" ? from : from.name}`;
    const stream = typeof from === "string" ? streamOf(project, from) : undefined;
    if (typeof stream === "string") {
      problem(`${at}: ${stream}`);
      continue;
    }
    const contract = stream?.contract ?? (from as Contract);
    const model = models.get(contract.name);
    if (contracts.get(contract.name) !== contract) problem(`${at}: no source brings this contract.`);
    for (const { kind, path } of link(contract, fields).ids) {
      if (stream !== undefined) {
        found.push(columnOf(contract, stream.stream, kind, path));
        continue;
      }
      const of = fieldOf(model, kind, path.split("."));
      if (model !== undefined && of.length === 0)
        problem(`${at}: "${path}" must be a field that holds a text or a whole number.`);
      found.push(...of);
    }
  }
  return [...new Map(found.map((one) => [JSON.stringify({ ...one, type: null }), one])).values()];
}

/**
 * Hears of each field and captured column that names persons by their addresses, and that nothing is declared of where addresses in free text are
 * masked: it has to be said whether a token stands for them or they stay.
 */
export function checkMasked(
  subjects: readonly SubjectPath[],
  contracts: ReadonlyMap<string, Contract>,
  problem: (text: string) => void,
): void {
  for (const { contract: name, kind, path, type, stream } of subjects) {
    const contract = contracts.get(name);
    if (kind !== "email" || contract === undefined || !isFreeText(type)) continue;
    if (stream !== undefined) {
      const column = path.at(-1) ?? "";
      if (contract.rowTags?.[stream]?.[column] === undefined)
        problem(
          `privacy.subjects, ${name}.${stream}: "${column}" names persons by their e-mail addresses, which are masked where nothing is said of them. Give the source pii: { ${JSON.stringify(stream)}: { ${JSON.stringify(column)}: "email" } }, or "none" to keep them as they are.`,
        );
      continue;
    }
    const isNamed = path.length === 1 && [contract.id, contract.time, contract.key].includes(path[0] ?? "");
    if (isNamed || tagAt(contract.schema, path) !== undefined) continue;
    problem(
      `contract ${name}: "${path.join(".")}" names persons by their e-mail addresses, which would be masked as free text. Tag it with pii.email(), or with notPii() to keep them as they are.`,
    );
  }
}

/** The model with every captured column that names persons kept from being searched, as fields are that do, where it has no tag. */
export function keepingNames(model: ContractModel, subjects: readonly SubjectPath[]): ContractModel {
  if (model.rowTags === undefined) return model;
  const rowTags: Record<string, Readonly<Record<string, PiiTag>>> = { ...model.rowTags };
  for (const { contract, stream, path } of subjects) {
    if (contract !== model.name || stream === undefined) continue;
    rowTags[stream] = { [path.at(-1) ?? ""]: "none", ...rowTags[stream] };
  }
  return { ...model, rowTags };
}

/** The tag of a field, or of an object that it is in. */
function tagAt(schema: unknown, path: readonly string[]): unknown {
  const { pii, properties = {} } = (schema ?? {}) as { pii?: unknown; properties?: Record<string, unknown> };
  const [name, ...rest] = path;
  return pii ?? (name === undefined ? undefined : tagAt(properties[name], rest));
}

/** A list of one; empty where the contract has no such field. */
function fieldOf(model: ContractModel | undefined, kind: string, path: readonly string[]): SubjectPath[] {
  const type = model === undefined ? undefined : fieldAt(model.fields, path);
  if (model === undefined || type === undefined) return [];
  if (type.kind !== "string" && type.kind !== "integer") return [];
  const isSubject = model.tagged.some((one) => one.tag === "subject" && isEqual(one.path, path));
  return [{ contract: model.name, kind, path, type, isSubject }];
}

const isEqual = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, i) => name === b[i]);

/** A column of a captured source's rows. */
function columnOf(
  { name, rowTags = {} }: Pick<Contract, "name" | "rowTags">,
  stream: string,
  kind: string,
  column: string,
): SubjectPath {
  const isSubject = rowTags[stream]?.[column] === "subject";
  const type = { kind: "string", exact: true } as const;
  return { contract: name, kind, path: ["row", column], type, stream, isSubject };
}

function taggedPaths(model: ContractModel): SubjectPath[] {
  const { name, tagged, rowTags } = model;
  const fields = tagged
    .filter(({ tag }) => naming.has(tag))
    .flatMap(({ tag, path }) => fieldOf(model, tag, path));
  const columns = Object.entries(rowTags ?? {}).flatMap(([stream, tags]) =>
    Object.entries(tags)
      .filter(([, tag]) => naming.has(tag))
      .map(([column, tag]) =>
        columnOf(rowTags === undefined ? { name } : { name, rowTags }, stream, tag, column),
      ),
  );
  return [...fields, ...columns];
}
