import type { Change, ErrorCode, Json } from "@weir/contract";
import { changeText } from "@weir/contract";
import type { LineBuffer } from "./line-buffer.ts";
import type { CapturedRecord } from "./record-lines.ts";

export type { CapturedRecord } from "./record-lines.ts";

/** A pull source, at work. At most one a source runs at a time. */
export interface Capture {
  /** Connects and says what is wrong with the source, worst first; changes nothing. */
  check(): Promise<Finding[]>;
  /**
   * Captures until `context.signal` aborts; returns when what it appended is durable and covered by the cursor.
   *
   * @throws WeirError the process starts again after a growing delay, and the next run goes on from the cursor
   */
  run(context: CaptureContext): Promise<void>;
}

export interface Finding {
  readonly severity: "error" | "warn";
  readonly code: ErrorCode;
  readonly message: string;
  readonly where?: string;
  readonly remedy?: string;
}

/** What a capture is given to work with. */
export interface CaptureContext {
  readonly source: string;
  readonly signal: AbortSignal;
  /** What was last saved; undefined at the first run. */
  readonly cursor: Json | undefined;
  /**
   * Resolves when the records are durable in the log. Calls keep their order; keep a bounded number in flight. A log
   * that is full, or whose disk is, is waited for.
   *
   * @throws WeirError when the log will not take them, or the signal aborts while it is waited for
   */
  append(records: readonly CapturedRecord[]): Promise<void>;
  /** The same, in one order with it, for records that are bytes already. */
  appendLines(lines: LineBuffer): Promise<void>;
  /**
   * Durable when it resolves. Save only what durable appends cover: a crash in between reads again, and ids make
   * duplicates of what comes twice.
   */
  saveCursor(cursor: Json): Promise<void>;
  /** Numbers and texts for `weir status`; replaces those of the call before. */
  report(status: CaptureStatus): void;
  log(level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export type CaptureStatus = Readonly<Record<string, string | number | boolean | null>>;

/** A change as a record under its source's contract. */
export const changeRecord = (source: string, change: Change): CapturedRecord => ({
  contract: source,
  ...changeText(change),
});
