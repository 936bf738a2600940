/** References inside a schema: where they lead, which of them recurse, and putting the others in place. */
import { isJsonObject } from "./json.ts";
import { parsePointer } from "./pointer.ts";
import { childSchemas } from "./schema.ts";
import type { JSONSchema } from "./schema.ts";

type Node = Readonly<Record<string, unknown>>;

/** What a `$ref` names within its own schema: `#`, `#/pointer`, `#anchor`, or an `$id` or `$anchor` below; else undefined. */
export function resolveRef(root: JSONSchema, reference: string): unknown {
  if (reference === "#") return root;
  if (reference.startsWith("#/")) return atPointer(root, decodeFragment(reference.slice(1)));
  return findNamed(root, reference);
}

function decodeFragment(fragment: string): string {
  try {
    return decodeURIComponent(fragment);
  } catch {
    return fragment;
  }
}

function atPointer(root: unknown, pointer: string): unknown {
  let node = root;
  for (const step of parsePointer(pointer) ?? [""]) {
    if (typeof node !== "object" || node === null || !Object.hasOwn(node, step)) return undefined;
    node = (node as Node)[step];
  }
  return node;
}

function findNamed(node: unknown, name: string): unknown {
  if (!isJsonObject(node)) return undefined;
  if (node["$id"] === name || (typeof node["$anchor"] === "string" && `#${node["$anchor"]}` === name))
    return node;
  for (const child of childSchemas(node)) {
    const found = findNamed(child.schema, name);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Keywords whose subschemas judge the same value, not a part of it. */
const inPlace = new Set(["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"]);

/**
 * A chain of references that leads back to its start without entering a part of the value, such as a `$ref` to itself:
 * judging any value by it would never end. Returns the reference that closes the chain; undefined when there is none.
 */
export function endlessRef(root: JSONSchema): string | undefined {
  const done = new Set<unknown>();
  const open = new Set<unknown>();
  const visit = (node: unknown): string | undefined => {
    if (!isJsonObject(node) || done.has(node)) return undefined;
    open.add(node);
    const next: [unknown, string | undefined][] = childSchemas(node)
      .filter((child) => inPlace.has(child.keyword))
      .map((child) => [child.schema, undefined]);
    const reference = node["$ref"];
    if (typeof reference === "string") next.push([resolveRef(root, reference), reference]);
    for (const [target, by] of next) {
      if (open.has(target)) return by ?? "#";
      const found = visit(target);
      if (found !== undefined) return found;
    }
    open.delete(node);
    done.add(node);
    return undefined;
  };
  return allSchemas(root)
    .map(visit)
    .find((found) => found !== undefined);
}

function allSchemas(root: unknown): Node[] {
  if (!isJsonObject(root)) return [];
  return [root, ...childSchemas(root).flatMap((child) => allSchemas(child.schema))];
}
