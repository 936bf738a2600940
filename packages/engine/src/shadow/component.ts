import type { Program, TableProgram } from "@weir/compile";

/**
 * The tables that are built anew together with one: those that it reads, those that read it, and so on. What one of them
 * holds depends on what the others do, so they change together or not at all.
 *
 * @returns in the program's order, each after those that it reads; none if there is no such table
 */
export function componentOf({ tables }: Program, name: string): TableProgram[] {
  const found = new Set<string>(tables.some((table) => table.name === name) ? [name] : []);
  for (let size = -1; size !== found.size;) {
    size = found.size;
    for (const table of tables) {
      const touches = found.has(table.name) || table.inputs.some((input) => found.has(input));
      if (touches) for (const one of [table.name, ...table.inputs]) found.add(one);
    }
  }
  return tables.filter((table) => found.has(table.name));
}

/** The definitions of tables, to know whether a project changed since. */
export const hashesOf = (tables: readonly TableProgram[]): Record<string, string> =>
  Object.fromEntries(tables.map(({ name, hash }) => [name, hash]));
