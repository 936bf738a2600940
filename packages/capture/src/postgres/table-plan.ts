import type { CatalogTable, PublishedTable } from "./catalog.ts";
import type { TableShape, TableState } from "./cursor.ts";
import { publishedColumns } from "./table-read.ts";

/** What has to be done about a table so that what is captured of it is what it holds. */
export type TableAction =
  /** Captured from now on. */
  | { readonly kind: "add"; readonly table: CatalogTable }
  /** Changed in a way that no streamed change tells of. */
  | { readonly kind: "read"; readonly table: CatalogTable; readonly fence: boolean; readonly why: string }
  | { readonly kind: "partitions"; readonly table: CatalogTable; readonly partitions: readonly number[] }
  /** Changed in a way that needs no reading. */
  | { readonly kind: "note"; readonly table: CatalogTable }
  /** Cannot be captured for now, though the project wants it. */
  | { readonly kind: "suspend"; readonly stream: string }
  /** Dropped or renamed: its rows are gone. */
  | { readonly kind: "gone"; readonly stream: string }
  /** The project does not want it any more. Its rows stay. */
  | { readonly kind: "remove"; readonly stream: string };

/** The columns and key that a read of a table depends on. */
export function shapeOf(table: CatalogTable, published: PublishedTable | undefined): TableShape {
  return {
    columns: publishedColumns(table, published).map(({ number, name, type, modifier }) => [
      number,
      name,
      type,
      modifier,
    ]),
    key: table.key,
    rowFilter: published?.rowFilter ?? null,
  };
}

export const sameShape = (a: TableShape, b: TableShape): boolean => JSON.stringify(a) === JSON.stringify(b);

/**
 * Compares a table with what it was when it was last read. Pure.
 *
 * Changes of definition make no row events: a new column has its default in every row, a changed type new texts, and a
 * rewritten table may have any values. So the table is read again, and its rows at the position of that read are newer
 * than whatever was streamed before.
 *
 * @param streamsTruncate whether truncations are streamed (since version 11)
 */
export function tableAction(
  state: TableState,
  table: CatalogTable,
  published: PublishedTable | undefined,
  streamsTruncate: boolean,
): TableAction | undefined {
  const shape = shapeOf(table, published);
  const read = (fence: boolean, why: string): TableAction => ({ kind: "read", table, fence, why });
  if (state.suspended === true) return read(true, "it can be captured again");
  if (state.oid !== table.oid) return read(true, "another table has taken its name");
  if (JSON.stringify(state.shape.key) !== JSON.stringify(shape.key)) return read(true, "its key has changed");
  if (state.shape.rowFilter !== shape.rowFilter)
    return read(true, "the publication's row filter has changed");
  const had = Object.keys(state.files);
  const added = Object.keys(table.files).filter((oid) => !(oid in state.files));
  const rewritten = had.filter((oid) => oid in table.files && table.files[oid] !== state.files[oid]);
  if (had.some((oid) => !(oid in table.files))) return read(true, "it lost a partition");
  // A new file may be that of VACUUM FULL or of a changed column, but if truncations do not come as such it may be one.
  const truncated = rewritten.length > 0 && (table.partitioned || !streamsTruncate);
  const before = new Map(state.shape.columns.map((column) => [column[0], JSON.stringify(column)]));
  const changed = shape.columns.filter((column) => before.get(column[0]) !== JSON.stringify(column));
  if (changed.length > 0) {
    return read(truncated, `columns were added or changed: ${changed.map(([, name]) => name).join(", ")}`);
  }
  if (truncated)
    return read(true, "it, or a partition of it, was truncated or rewritten, which is not streamed");
  if (rewritten.length > 0 && state.marks !== table.marks)
    return read(false, "a column's values were rewritten");
  if (added.length > 0) return { kind: "partitions", table, partitions: added.map(Number) };
  const removed = lostColumns(state, shape) || shape.columns.length !== state.shape.columns.length;
  return removed || rewritten.length > 0 || state.marks !== table.marks ? { kind: "note", table } : undefined;
}

/** Whether the stream says that the table has columns which it does not have (any more). */
export function lostColumns({ columns }: TableState, shape: TableShape): boolean {
  if (columns === null) return false;
  const names = new Set(shape.columns.map(([, name]) => name));
  return (JSON.parse(columns) as { name: string }[]).some(({ name }) => !names.has(name));
}

/** Puts an action into effect on the state of a table; what is to be read is read by the table readers. */
export function planRead(
  state: TableState | undefined,
  action: Extract<TableAction, { table: CatalogTable }>,
  published: PublishedTable | undefined,
  /** Whether rows of it may have been captured before. */
  known: boolean,
): TableState {
  const { table } = action;
  const now = { oid: table.oid, shape: shapeOf(table, published), marks: table.marks, files: table.files };
  const running = state?.read ?? null;
  const whole = {
    version: null,
    at: null,
    begun: false,
    published: running?.published ?? false,
    after: null,
    rows: 0,
  };
  const columns = state?.columns ?? null;
  if (action.kind === "add") {
    return { ...now, columns, read: { ...whole, fence: known, published: true } };
  }
  if (action.kind === "read") {
    const fence = action.fence || (running?.fence ?? false);
    // With a fence it may be another table than before, or other partitions, which are published since a moment ago.
    return { ...now, columns, read: { ...whole, fence, published: whole.published || fence } };
  }
  if (action.kind === "note") return { ...now, columns, read: running };
  if (running !== null && running.partitions === undefined) {
    return { ...now, columns, read: { ...whole, fence: running.fence } };
  }
  const partitions = [...(running?.partitions ?? []), ...action.partitions];
  // Before version 13 a partition is published on its own, from now on.
  return { ...now, columns, read: { ...whole, fence: false, published: true, partitions } };
}
