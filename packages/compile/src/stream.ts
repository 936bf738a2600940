import type { Contract } from "@weir/contract";
import type { ProjectSpec } from "./table.ts";

/** A stream of a captured source: the contract of the source's changes, and the value of their `stream`. */
export interface StreamReference {
  readonly contract: Contract;
  readonly stream: string;
}

/** Fields of the contract of changes that tables of streams read. */
const changeFields = ["id", "at", "stream", "op", "key", "version", "row", "unknown"];

/**
 * The stream that `<source>.<stream>` means.
 *
 * @returns why it means none, as a text, where it does not
 */
export function streamOf(project: ProjectSpec, reference: string): StreamReference | string {
  const dot = reference.indexOf(".");
  const [name, stream] = [reference.slice(0, Math.max(dot, 0)), reference.slice(dot + 1)];
  if (name === "" || stream === "")
    return `"${reference}" names no stream. Write the source, a dot and the stream: "db.public.orders".`;
  const source = project.sources[name];
  if (source === undefined) return `"${reference}" needs a source "${name}", and there is none.`;
  const contract = source.contracts.find((candidate) => candidate.name === name);
  const fields = contract?.schema.properties ?? {};
  if (contract === undefined || !changeFields.every((field) => Object.hasOwn(fields, field)))
    return `"${reference}" needs a source that captures changes of rows, and "${name}" does not.`;
  return { contract, stream };
}

/** The key's columns of each stream of a contract that an entity is made of: of the record of a change only the key's values can be told. */
export function streamKeys(project: ProjectSpec, contract: Contract): Record<string, readonly string[]> {
  const keys: Record<string, readonly string[]> = {};
  for (const spec of Object.values(project.tables)) {
    if (spec.kind !== "entity" || typeof spec.from !== "string") continue;
    const reference = streamOf(project, spec.from);
    if (typeof reference === "string" || reference.contract.name !== contract.name) continue;
    keys[reference.stream] = [...(keys[reference.stream] ?? []), ...spec.key];
  }
  return keys;
}
