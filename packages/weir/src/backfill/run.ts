import { join } from "node:path";
import { runCapture } from "@weir/capture";
import type { CaptureStatus } from "@weir/capture";
import { FilesBackfill, backfillSource } from "@weir/capture/files";
import type { BackfillFile } from "@weir/capture/files";
import type { FilesSource } from "@weir/capture";
import { WeirError } from "@weir/contract";
import type { Contract } from "@weir/contract";
import { failpoint, directoryStore } from "@weir/log";
import type { Backend } from "../client/backend.ts";
import type { Project } from "../project.ts";
import { Backlog, segmentBytes } from "./backlog.ts";
import {
  backfillId,
  cursorFile,
  forgetCancel,
  isCancelAsked,
  readBackfill,
  saveState,
  writerOf,
} from "./state.ts";
import type { BackfillState } from "./state.ts";

/** What is to be read. */
export interface BackfillPlan {
  readonly id: string;
  readonly source: string;
  readonly contract: string;
  readonly pattern: string;
  readonly share: number;
  readonly files: readonly BackfillFile[];
  readonly bytes: number;
  /** What became of it before, if it was begun. */
  readonly before: BackfillState | undefined;
  readonly capture: FilesBackfill;
}

export interface BackfillRequest {
  readonly source: string;
  readonly files: string;
  readonly contract: string | undefined;
  readonly share: number;
  /** A relative pattern is relative to this. */
  readonly workingDir: string;
}

/**
 * Finds the files of a backfill; nothing is changed.
 *
 * @throws WeirError `invalid_usage`, `files_directory_unreadable`
 */
export async function planBackfill(
  project: Project,
  dataDir: string,
  { source, files, contract, share, workingDir }: BackfillRequest,
): Promise<BackfillPlan> {
  const declared = project.sources[source];
  if (declared === undefined) {
    throw new WeirError("invalid_usage", `The project has no source ${source}.`, {
      remedy: `Its sources are ${Object.keys(project.sources).join(", ")}.`,
    });
  }
  const chosen = contractOf(source, declared.contracts, contract);
  const isFiles = "kind" in declared && declared.kind === "files";
  const read = backfillSource(
    files,
    chosen,
    workingDir,
    isFiles ? (declared as unknown as FilesSource) : undefined,
  );
  const capture = new FilesBackfill(read);
  const found = await capture.files();
  const pattern = join(read.path, read.feeds[0]?.patterns[0] ?? "");
  if (found.length === 0)
    throw new WeirError("invalid_usage", "There are no such files.", { where: pattern });
  const id = backfillId(source, chosen.name, pattern);
  const bytes = found.reduce((sum, file) => sum + file.bytes, 0);
  const before = readBackfill(dataDir, id);
  return { id, source, contract: chosen.name, pattern, share, files: found, bytes, before, capture };
}

function contractOf(source: string, contracts: readonly Contract[], named: string | undefined): Contract {
  const names = contracts.map(({ name }) => name).join(", ");
  if (named === undefined && contracts.length > 1) {
    throw new WeirError("invalid_usage", `${source} has several contracts: name one with --contract.`, {
      remedy: `They are ${names}.`,
    });
  }
  const [found] = named === undefined ? contracts : contracts.filter(({ name }) => name === named);
  if (found !== undefined) return found;
  throw new WeirError("invalid_usage", `${source} has no contract ${named ?? ""}.`, {
    remedy: `It has ${names}.`,
  });
}

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
 * Reads the files of a plan into the log, under a writer of its own, and waits until they are loaded.
 *
 * State: the cursor says which files and rows are appended (see FilesBackfill); the log which of them are loaded; the state file only
 * tells people. Killed at any moment, the same command goes on from the cursor. What it appends twice is a duplicate, as ids tell.
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

  constructor({ id, source, contract, pattern, share, files, bytes }: BackfillPlan, place: BackfillPlace) {
    this.#place = place;
    const now = new Date().toISOString();
    this.#state = {
      id,
      source,
      contract,
      pattern,
      share,
      state: "running",
      pid: process.pid,
      startedAt: now,
      updatedAt: now,
      files: files.length,
      filesRead: 0,
      filesDamaged: 0,
      bytes,
      bytesDone: 0,
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
