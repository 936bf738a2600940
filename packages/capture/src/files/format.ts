import type { Json } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { OpenFile } from "./open-file.ts";
import type { RowRecords } from "./row-record.ts";

/** Records of successive rows. */
export interface Batch {
  readonly records: readonly CapturedRecord[];
  /** Where reading goes on behind them. */
  readonly position: Json;
}

/** How files of a format are read. */
export interface FormatReader {
  /** How its rows are numbered: by lines of text, or one by one. */
  readonly unit: "line" | "row";
  /**
   * Reads the file through without taking a row, as far as it takes to know that `read` will not find it damaged.
   *
   * @throws DamagedFile
   */
  verify(file: OpenFile, signal: AbortSignal): Promise<void>;
  /** The rows in their order, from the file's start or from a position of an earlier reading of the same content. */
  read(file: OpenFile, rows: RowRecords, from: Json | undefined, signal: AbortSignal): AsyncIterable<Batch>;
}
