import { WeirError } from "@weir/contract";
import type { Json } from "@weir/contract";
import type { Epoch } from "./lsn.ts";

/** A read of a whole table that is under way, or to be made. */
export interface TableRead {
  /**
   * Epoch and position that its rows have (see `versionLsn`): what is streamed from there on is newer, what was before
   * is older. Null until the position is chosen, which is done right before reading.
   */
  readonly version: string | null;
  /** When the position was chosen: the time that its records state. */
  readonly at: string | null;
  /** Its position is chosen, and the `schema` record that it begins with is written. */
  readonly begun: boolean;
  /** Its changes are published only since this read was planned. */
  readonly published: boolean;
  /** Whether rows that it does not find are gone: then a fence ends it. */
  readonly fence: boolean;
  /** Key of the last row whose chunk is durable; null before the first chunk. */
  after: readonly string[] | null;
  rows: number;
  /** Only these partitions are to be read, one after the other. */
  readonly partitions?: readonly number[];
}

export interface TableShape {
  readonly columns: readonly (readonly [number: number, name: string, type: number, modifier: number])[];
  readonly key: readonly string[];
  readonly rowFilter: string | null;
}

/** What is known of a captured table. */
export interface TableState {
  oid: number;
  /** Its columns as the last `schema` record of the stream has them; null if there is none. */
  columns: string | null;
  /** What its last read was made of: its columns and key (see `shapeOf`), and the marks of their definitions. */
  shape: TableShape;
  marks: string;
  /** The partitions it had, and files that hold its rows; a truncation that no message tells of shows here. */
  files: Readonly<Record<string, number>>;
  read: TableRead | null;
  /** It could not be captured when it was last looked at: whatever happened since has to be read. */
  suspended?: boolean;
}

/** Where a source goes on after a restart. */
export interface PostgresCursor {
  readonly format: 1;
  /** The cluster and database that it belongs to. */
  system: string;
  database: string;
  slot: string;
  epoch: Epoch;
  /** "creating": the slot of this name, if there is one, is ours and holds nothing yet. */
  state: "creating" | "streaming";
  /** Everything committed before it is durable in our log. `16/B374D848`. */
  lsn: string;
  /** When the last captured transaction was committed; null before the first. */
  at: string | null;
  /** By stream. */
  readonly tables: Record<string, TableState>;
}

/**
 * The cursor that was saved, or undefined at the first run.
 *
 * @throws WeirError `capture_cursor_unreadable`
 */
export function readCursor(saved: Json | undefined): PostgresCursor | undefined {
  if (saved === undefined) return undefined;
  const cursor = saved as unknown as Partial<PostgresCursor> | null;
  if (typeof cursor !== "object" || cursor?.format !== 1 || typeof cursor.lsn !== "string") {
    throw new WeirError("capture_cursor_unreadable", "The saved position is not one of a PostgreSQL source.");
  }
  return structuredClone(cursor) as PostgresCursor;
}
