import { join } from "node:path";
import { runCapture } from "@weir/capture";
import type { CaptureStatus } from "@weir/capture";
import { failpoint, directoryStore } from "@weir/log";
import type { Backend } from "../client/backend.ts";
import { Backlog, segmentBytes } from "./backlog.ts";
import type { BackfillPlan } from "./plan.ts";
import { cursorFile, forgetCancel, isCancelAsked, saveState, writerOf } from "./state.ts";
import type { BackfillState } from "./state.ts";

export interface BackfillPlace {
  readonly dataDir: string;
  readonly withBackend: <T>(work: (backend: Backend) => Promise<T>) => Promise<T>;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  readonly onProgress: (state: BackfillState) => void;
  /** Ends it; the same command goes on later. */
  readonly signal: AbortSignal;
}

const saveEveryMs = 500;

/**
 * Reads what is planned into the log, under a writer of its own, and waits until it is loaded.
 *
 * State: the cursor says what is appended (see FilesBackfill, and interval.ts of the captures); the log what of it is loaded; the state file
 * only tells people. Killed at any moment, the same command goes on from the cursor. What it appends twice is a duplicate, as ids tell.
 *
 * @returns the state when it ended: done, cancelled or stopped
 * @throws WeirError `log_writer_locked` where another process runs it, and what the log throws
 */
export async function runBackfill(plan: BackfillPlan, place: BackfillPlace): Promise<BackfillState> {
  const { id, source } = plan;
  const { dataDir, signal } = place;
  const store = directoryStore(join(dataDir, "log"), { segmentBytes });
  const abort = new AbortController();
  const told = new StateTeller(plan, place);
  const look = (): void => {
    if (signal.aborted || isCancelAsked(dataDir, id)) abort.abort();
    told.save();
  };
  const backlog = new Backlog({
    store,
    source,
    writer: writerOf(id),
    withBackend: place.withBackend,
    onWait: look,
  });
  const running = await runCapture({
    source,
    capture: plan.capture,
    store,
    dataDir,
    writer: writerOf(id),
    cursorFile: cursorFile(dataDir, id),
    admit: (bytes) => backlog.admit(bytes, abort.signal),
    log: place.log,
    onStatus: (status) => told.note(status),
  });
  forgetCancel(dataDir, id);
  told.save("running");
  const timer = setInterval(() => {
    look();
    if (abort.signal.aborted) void running.stop().catch(() => undefined);
  }, saveEveryMs);
  try {
    await running.ended;
    abort.signal.throwIfAborted();
    failpoint("backfill.appended");
    await backlog.drained(abort.signal);
    return told.save("done");
  } catch (error) {
    if (!abort.signal.aborted) {
      told.save("stopped", error);
      throw error;
    }
    return told.save(isCancelAsked(dataDir, id) ? "cancelled" : "stopped");
  } finally {
    clearInterval(timer);
    forgetCancel(dataDir, id);
  }
}

/** Keeps the state file, and tells of progress. */
class StateTeller {
  readonly #place: BackfillPlace;
  #state: BackfillState;

  constructor(plan: BackfillPlan, place: BackfillPlace) {
    this.#place = place;
    const { id, source, contract, unit, pattern, from, to, column, share, parts, bytes } = plan;
    const now = new Date().toISOString();
    this.#state = {
      id,
      source,
      contract,
      unit,
      pattern,
      from,
      to,
      column,
      share,
      state: "running",
      pid: process.pid,
      startedAt: now,
      updatedAt: now,
      parts,
      partsDone: 0,
      partsFailed: 0,
      bytes,
      bytesDone: bytes === null ? null : 0,
      rows: 0,
      problem: null,
    };
  }

  note(status: CaptureStatus): void {
    this.#state = { ...this.#state, ...(status as Partial<BackfillState>) };
  }

  save(state = this.#state.state, error?: unknown): BackfillState {
    const problem = error instanceof Error ? error.message : this.#state.problem;
    this.#state = { ...this.#state, state, problem, updatedAt: new Date().toISOString() };
    saveState(this.#place.dataDir, this.#state);
    this.#place.onProgress(this.#state);
    return this.#state;
  }
}
