import { dateDays, instantUs } from "./instants.ts";
import { keptJson } from "./json-tree.ts";
import type { JsonTree } from "./json-tree.ts";

/** The SQL type of a column, taken apart. */
export type ColumnType =
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "decimal"; readonly scale: number }
  | { readonly kind: "list"; readonly item: ColumnType }
  | { readonly kind: "map"; readonly value: ColumnType }
  | { readonly kind: "struct"; readonly fields: ReadonlyMap<string, ColumnType> };

/** Reads types as the compiler writes them: `DECIMAL(12, 2)`, `STRUCT("a b" VARCHAR, "c" DATE[])`, `MAP(VARCHAR, JSON)`. */
export function columnType(sql: string): ColumnType {
  let rest = sql;
  const take = (pattern: RegExp): string => {
    const found = pattern.exec(rest)?.[0];
    if (found === undefined) throw new Error(`no type: ${rest} in ${sql}`);
    rest = rest.slice(found.length);
    return found;
  };
  const field = (): [string, ColumnType] => {
    const name = take(/^"(?:[^"]|"")*" /);
    return [name.slice(1, -2).replaceAll('""', '"'), type()];
  };
  const type = (): ColumnType => {
    const name = take(/^\w+/);
    let found: ColumnType = { kind: "scalar", name };
    if (name === "DECIMAL") {
      const scale = /, (\d+)\)/.exec(take(/^\(\d+, \d+\)/))?.[1];
      found = { kind: "decimal", scale: Number(scale) };
    } else if (name === "MAP") {
      take(/^\(VARCHAR, /);
      found = { kind: "map", value: type() };
      take(/^\)/);
    } else if (name === "STRUCT") {
      take(/^\(/);
      const fields = [field()];
      while (rest.startsWith(", ")) {
        take(/^, /);
        fields.push(field());
      }
      take(/^\)/);
      found = { kind: "struct", fields: new Map(fields) };
    }
    while (rest.startsWith("[]")) {
      take(/^\[\]/);
      found = { kind: "list", item: found };
    }
    return found;
  };
  return type();
}

/**
 * The value of a column for a member that its contract accepts, in a plain form: BIGINT, DECIMAL (unscaled), DATE (days)
 * and TIMESTAMP (us, UTC) as bigint, DOUBLE as number, structs as records, maps as Map, JSON as `keptJson` has it.
 */
export function columnValue(type: ColumnType, tree: JsonTree | undefined): unknown {
  if (tree === undefined || tree.kind === "null") return null;
  switch (type.kind) {
    case "scalar":
      return scalarValue(type.name, tree);
    case "decimal":
      return unscaled(tree.kind === "number" ? String(Number(tree.token)) : stringOf(tree), type.scale);
    case "list":
      if (tree.kind !== "array") throw new Error(`a ${tree.kind} for a list`);
      return tree.items.map((item) => columnValue(type.item, item));
    case "map":
      return new Map([...membersOf(tree)].map(([name, value]) => [name, columnValue(type.value, value)]));
    case "struct": {
      const members = membersOf(tree);
      return Object.fromEntries(
        [...type.fields].map(([name, field]) => [name, columnValue(field, members.get(name))]),
      );
    }
  }
}

function scalarValue(name: string, tree: JsonTree): unknown {
  switch (name) {
    case "VARCHAR":
      return stringOf(tree);
    case "TIMESTAMP":
      return instantUs(stringOf(tree));
    case "DATE":
      return dateDays(stringOf(tree));
    case "BIGINT":
      return BigInt(numberOf(tree));
    case "DOUBLE":
      return numberOf(tree) + 0;
    case "BOOLEAN":
      if (tree.kind !== "boolean") throw new Error(`a ${tree.kind} for a boolean`);
      return tree.value;
    case "JSON":
      return keptJson(tree);
    default:
      throw new Error(`no such type: ${name}`);
  }
}

function stringOf(tree: JsonTree): string {
  if (tree.kind !== "string") throw new Error(`a ${tree.kind} for a string`);
  return tree.value;
}

function numberOf(tree: JsonTree): number {
  if (tree.kind !== "number") throw new Error(`a ${tree.kind} for a number`);
  return Number(tree.token);
}

function membersOf(tree: JsonTree): ReadonlyMap<string, JsonTree> {
  if (tree.kind !== "object") throw new Error(`a ${tree.kind} for an object`);
  return tree.members;
}

/** A decimal text (also as Number writes it, with an exponent) times 10^scale; the text has no more digits than that. */
export function unscaled(text: string, scale: number): bigint {
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(text);
  if (match === null) throw new Error(`no decimal: ${text}`);
  const [, sign = "", whole = "", fraction = "", exponent = "0"] = match;
  const shift = scale + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  const power = 10n ** BigInt(Math.abs(shift));
  if (shift < 0 && digits % power !== 0n)
    throw new Error(`${text} has more than ${scale} digits of fraction`);
  const value = shift < 0 ? digits / power : digits * power;
  return sign === "-" ? -value : value;
}

/**
 * The members that no column takes, each under the JSON pointer it has in the record; undefined when there are none.
 * Lists have null in place of items without such members.
 */
export function unknownMembers(
  columns: ReadonlyMap<string, ColumnType>,
  tree: JsonTree,
  ignored?: string,
): JsonTree | undefined {
  const members = new Map<string, JsonTree>();
  for (const [name, member] of membersOf(tree)) {
    const type = columns.get(name);
    const unknown =
      type === undefined ? (name === ignored ? undefined : member) : unknownWithin(type, member);
    if (unknown !== undefined) members.set(name, unknown);
  }
  return members.size === 0 ? undefined : { kind: "object", members };
}

function unknownWithin(type: ColumnType, tree: JsonTree): JsonTree | undefined {
  if (type.kind === "struct" && tree.kind === "object") return unknownMembers(type.fields, tree);
  if (type.kind === "map" && tree.kind === "object") {
    const found = [...tree.members].flatMap(([name, value]) => {
      const unknown = unknownWithin(type.value, value);
      return unknown === undefined ? [] : [[name, unknown] as const];
    });
    return found.length === 0 ? undefined : { kind: "object", members: new Map(found) };
  }
  if (type.kind === "list" && tree.kind === "array") {
    const items = tree.items.map((item) => unknownWithin(type.item, item));
    if (items.every((item) => item === undefined)) return undefined;
    return { kind: "array", items: items.map((item) => item ?? { kind: "null" }) };
  }
  return undefined;
}
