import { setTimeout as pause } from "node:timers/promises";
import { join } from "node:path";
import { WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { LogStore, SegmentWriter } from "@weir/log";
import type { Capture, CaptureContext, CaptureStatus } from "./capture.ts";
import { CursorFile } from "./cursor.ts";
import { recordLines } from "./record-lines.ts";
import type { Lines } from "./record-lines.ts";

export interface RunnerOptions {
  readonly source: string;
  readonly capture: Pick<Capture, "run">;
  readonly store: LogStore;
  /** Holds `capture/<source>.json`. */
  readonly dataDir: string;
  /** The stream's writer; default `capture`. */
  readonly writer?: string;
  /** Where the cursor is; default `capture/<source>.json`. */
  readonly cursorFile?: string;
  /** Awaited before each append, with its bytes; an append that it refuses is not made. */
  readonly admit?: (bytes: number, signal: AbortSignal) => Promise<void>;
  readonly log: CaptureContext["log"];
  readonly onStatus?: (status: CaptureStatus) => void;
}

/** Where the cursor of a source's capture is. */
export const captureCursorFile = (dataDir: string, source: string): string =>
  join(dataDir, "capture", `${source}.json`);

/** Errors of the log that pass without anybody doing anything to this process. */
const passing: ReadonlySet<string> = new Set(["log_full", "log_disk_full", "log_overloaded", "log_io_error"]);
const retryMs = 250;

/**
 * Runs one capture: gives it the source's stream in the log and its cursor.
 *
 * @returns stop: aborts the capture and resolves when what it appended is sealed; failed: rejects with what ended it
 * @throws WeirError `log_writer_locked`, `capture_cursor_unreadable` and what opening the log throws
 */
export async function runCapture(
  options: RunnerOptions,
): Promise<{ stop: () => Promise<void>; ended: Promise<void> }> {
  const { source, capture, store, dataDir, log, onStatus = () => {} } = options;
  const { writer: name = "capture", admit } = options;
  const cursor = new CursorFile(options.cursorFile ?? captureCursorFile(dataDir, source));
  const saved = cursor.load();
  const writer = await store.openWriter(source, name);
  const abort = new AbortController();
  // Without it nothing is awaited first: appends keep the order of the calls.
  const appendAdmitted = async (lines: Lines): Promise<void> => {
    if (admit !== undefined) await admit(lines.bytes.length, abort.signal);
    await append(writer, lines, abort.signal, log);
  };
  const context: CaptureContext = {
    source,
    signal: abort.signal,
    cursor: saved,
    append: (records) => appendAdmitted(recordLines(records, Date.now() * 1000)),
    appendLines: ({ lines }) => appendAdmitted(lines),
    saveCursor: (value) => {
      cursor.save(value);
      return Promise.resolve();
    },
    report: onStatus,
    log,
  };
  const ended = (async () => {
    try {
      await capture.run(context);
    } finally {
      await writer.close();
    }
  })();
  ended.catch(() => {});
  return {
    stop: async () => {
      abort.abort();
      await ended;
    },
    ended,
  };
}

/** Appends go to the writer in the order of the calls: the first try is made before this returns its promise. */
async function append(
  writer: SegmentWriter,
  { bytes, lengths }: Lines,
  signal: AbortSignal,
  log: CaptureContext["log"],
): Promise<void> {
  if (lengths.length === 0) return;
  for (let told = false; ;) {
    try {
      await writer.append(bytes, lengths);
      failpoint("capture.append.durable");
      return;
    } catch (error) {
      if (!(error instanceof WeirError) || !passing.has(error.code) || signal.aborted) throw error;
      if (!told) log("warn", `capturing waits: ${error.message}`, { code: error.code });
      told = true;
      await pause(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
