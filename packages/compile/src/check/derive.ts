import type { DeriveMapping, DeriveSpec } from "../table.ts";
import type { Checking, TableKind } from "./checking.ts";
import { checkDistinct, namePattern } from "./columns.ts";

/** Derived tables. What their SQL says is checked by the engine; see `UserSql`. */
export const deriveKind: TableKind<DeriveSpec> = {
  contracts: () => [],
  inputs: ({ from }) => [...new Set(Object.values(from))],
  moreViews: () => [],
  check: (spec, checking) => {
    const { from, key, keys, sql } = spec;
    if (Object.keys(from).length === 0) checking.problem(`"from" names no table.`);
    if (sql.trim() === "") checking.problem(`"sql" is empty. It must be one SELECT.`);
    if (key.length === 0) checking.problem(`"key" names no column.`);
    checkDistinct(key, checking);
    for (const alias of Object.keys(from)) {
      if (!namePattern.test(alias) || alias.includes("__"))
        checking.problem(
          `the name "${alias}" in "from" must be a lower-case letter, then letters, digits and single "_".`,
        );
      const mapping = keys[alias];
      if (mapping === undefined)
        checking.problem(
          `"keys" does not say how rows of "${alias}" tell their key: name the column that carries it, or ` +
            `{ via: <another name in "from">, on: { <its column>: <a column of "${alias}"> } }.`,
        );
      else checkMapping(alias, mapping, spec, checking);
    }
    for (const alias of Object.keys(keys)) {
      if (!Object.hasOwn(from, alias)) checking.problem(`"keys" names "${alias}", which is not in "from".`);
    }
    checkUnit(spec, checking);
  },
};

function checkMapping(alias: string, mapping: DeriveMapping, spec: DeriveSpec, checking: Checking): void {
  if (mapping.via === undefined) {
    const columns = Object.keys(mapping.columns);
    const strange = columns.filter((column) => !spec.key.includes(column));
    if (columns.length > 0 && strange.length === 0) return;
    checking.problem(
      `"keys.${alias}" must name the columns of "${alias}" that carry the key, such as ` +
        `{ ${spec.key.map((column) => `${column}: "..."`).join(", ")} }` +
        (strange.some((column) => column !== "") ? `; "${strange.join(", ")}" is not in "key".` : "."),
    );
    return;
  }
  if (Object.keys(mapping.on).length === 0)
    checking.problem(`"keys.${alias}" goes via "${mapping.via}" on no column.`);
  const seen = new Set([alias]);
  for (let at: string | undefined = mapping.via; at !== undefined; at = spec.keys[at]?.via) {
    if (!Object.hasOwn(spec.from, at)) {
      checking.problem(`"keys.${alias}" goes via "${at}", which is not in "from".`);
      return;
    }
    if (seen.has(at)) {
      checking.problem(`"keys.${alias}" goes round in a circle and reaches no key.`);
      return;
    }
    seen.add(at);
  }
}

/** What is computed anew at a time is one set of columns for all inputs. */
function checkUnit({ keys, key }: DeriveSpec, checking: Checking): void {
  const carried = Object.values(keys).flatMap((mapping) =>
    mapping.via === undefined
      ? [key.filter((column) => Object.hasOwn(mapping.columns, column)).join(", ")]
      : [],
  );
  if (new Set(carried).size > 1)
    checking.problem(
      `"keys" must name the same columns of the key for every input (or go via one that does): one has ` +
        `${[...new Set(carried)].map((columns) => `(${columns})`).join(", another ")}.`,
    );
}
