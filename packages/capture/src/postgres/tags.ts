import type { RowTags } from "@weir/contract";
import type { CatalogTable } from "./catalog.ts";

/**
 * What is wrong with the tags of a source, a text each: tags of columns that a captured table does not have, as after a column was
 * renamed or where a name is misspelt, and of tables that are not captured. What these mean to hide comes under another name, as it is.
 */
export function unmatchedTags(tags: RowTags, tables: readonly CatalogTable[]): string[] {
  const byStream = new Map(tables.map((table) => [table.stream, table]));
  return Object.entries(tags).flatMap(([stream, columns]) => {
    const table = byStream.get(stream);
    if (table === undefined) return [`pii names ${stream}, which is no captured table.`];
    const names = new Set(table.columns.map(({ name }) => name));
    return Object.keys(columns)
      .filter((column) => !names.has(column))
      .map(
        (column) =>
          `pii names the column ${JSON.stringify(column)} of ${stream}, which has none of that name.`,
      );
  });
}
