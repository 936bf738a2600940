import { access, constants, mkdir, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type ErrorCode, WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Capture, CaptureContext, Finding } from "../capture.ts";
import type { FilesSource } from "./declare.ts";
import { DropDirectory, type FoundFile } from "./directory.ts";
import { FileLedger } from "./ledger.ts";
import { LedgerSaver } from "./ledger-saver.ts";
import {
  ChangedFile,
  DamagedFile,
  type FileStamp,
  isFileProblem,
  isSameStamp,
  stampOf,
} from "./open-file.ts";
import { type FileWork, readFile } from "./read-file.ts";

export interface FilesCaptureOptions {
  /** Relative paths in the declaration are relative to this directory; default: the working directory. */
  readonly baseDir?: string;
}

/** Captures the files that are dropped into a directory. */
export function createFilesCapture(source: FilesSource, options: FilesCaptureOptions = {}): Capture {
  return new FilesCapture(source, new DropDirectory(source, options.baseDir ?? process.cwd()));
}

/** A file that cannot be opened or read is tried again after this long, then after twice as long, up to the second. */
const retryMs = { first: 5000, last: 300_000 };

interface Waiting {
  readonly stamp: FileStamp;
  readonly sinceMs: number;
}

interface Failing {
  readonly untilMs: number;
  readonly waitMs: number;
}

class FilesCapture implements Capture {
  readonly #source: FilesSource;
  readonly #directory: DropDirectory;
  /** Files that were seen, and are not known to be complete yet. */
  #waiting = new Map<string, Waiting>();
  #failing = new Map<string, Failing>();
  #rows = 0;
  /** What is wrong with files that are there, by path. */
  readonly #problems = new Map<string, string>();

  constructor(source: FilesSource, directory: DropDirectory) {
    this.#source = source;
    this.#directory = directory;
  }

  async check(): Promise<Finding[]> {
    const { root, moved } = this.#directory;
    const { after } = this.#source;
    const findings: Finding[] = [];
    const need = async (path: string, mode: number, what: string): Promise<void> => {
      try {
        if (!(await stat(path)).isDirectory()) throw new Error("it is no directory");
        await access(path, mode);
      } catch (cause) {
        const message = `${what}: ${(cause as Error).message}.`;
        findings.push({ severity: "error", code: "files_directory_unreadable", message, where: path });
      }
    };
    await need(root, constants.R_OK | constants.X_OK, "The directory cannot be read");
    if (findings.length > 0 || after === "keep") return findings;
    await need(root, constants.W_OK, "Files cannot be removed from the directory");
    if (moved === undefined) return findings;
    const [from, to] = await Promise.all([stat(root), stat(moved).catch(() => undefined)]);
    if (to !== undefined && to.dev !== from.dev) {
      const message =
        "Files are moved by renaming them, and the directory to move to is on another file system.";
      findings.push({ severity: "error", code: "files_directory_unreadable", message, where: moved });
    }
    return findings;
  }

  async run(context: CaptureContext): Promise<void> {
    const ledger = FileLedger.of(context.cursor);
    const saver = new LedgerSaver(ledger, context);
    const { signal } = context;
    while (!signal.aborted) {
      try {
        await this.#round({ ledger, saver, context });
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      await pause(this.#pauseMs(), undefined, { signal }).catch(() => undefined);
    }
    // A large file that was begun goes on from here.
    if (ledger.progress !== undefined) await saver.changed(0);
    await saver.flush();
  }

  /** Until the directory is to be looked through again: sooner if a file is about to be stable. */
  #pauseMs(): number {
    const { everyMs, stableMs } = this.#source;
    return Math.max(10, this.#waiting.size === 0 ? everyMs : Math.min(everyMs, stableMs));
  }

  async #round(work: FileWork): Promise<void> {
    const { ledger, saver, context } = work;
    const found = await this.#list();
    const nowMs = performance.now();
    const paths = new Set(found.map(({ path }) => path));
    if (ledger.keepOnly(paths)) await saver.changed(0);
    for (const path of this.#problems.keys()) if (!paths.has(path)) this.#problems.delete(path);
    const waiting = new Map<string, Waiting>();
    const ready: FoundFile[] = [];
    for (const file of found) {
      const outcome = ledger.outcomeOf(file.path, file.stamp);
      if (outcome === "read") await this.#afterwards(file, ledger, context);
      if (outcome !== undefined) continue;
      if (this.#isComplete(file, nowMs, waiting)) ready.push(file);
    }
    this.#waiting = waiting;
    this.#report(ledger, context, ready.length);
    // A file that was begun is finished first.
    const begun = ledger.progress?.path;
    ready.sort((a, b) => Number(b.path === begun) - Number(a.path === begun));
    for (const [i, file] of ready.entries()) {
      if (context.signal.aborted) return;
      await this.#take(file, work);
      this.#report(ledger, context, ready.length - i - 1);
    }
    await saver.flush();
  }

  async #list(): Promise<FoundFile[]> {
    try {
      return await this.#directory.list();
    } catch (cause) {
      const where = this.#directory.root;
      const message = `The directory cannot be read: ${(cause as Error).message}.`;
      throw new WeirError("files_directory_unreadable", message, { where, cause });
    }
  }

  #isComplete(file: FoundFile, nowMs: number, waiting: Map<string, Waiting>): boolean {
    const failing = this.#failing.get(file.path);
    if (failing !== undefined && nowMs < failing.untilMs) return false;
    if (file.isReady !== undefined) return file.isReady;
    const before = this.#waiting.get(file.path);
    const isSame = before !== undefined && isSameStamp(before.stamp, file.stamp);
    const sinceMs = isSame ? before.sinceMs : nowMs;
    waiting.set(file.path, { stamp: file.stamp, sinceMs });
    return isSame ? nowMs - sinceMs >= this.#source.stableMs : this.#source.stableMs === 0;
  }

  /** Reads one file, whatever comes of it; throws only what is no fault of the file's. */
  async #take(file: FoundFile, work: FileWork): Promise<void> {
    const { ledger, saver, context } = work;
    const { path, stamp } = file;
    const before = ledger.at(path);
    try {
      const { identity, rows, isKnown } = await readFile(file, this.#source, work);
      this.#failing.delete(path);
      this.#problems.delete(path);
      this.#waiting.delete(path);
      this.#rows += rows;
      ledger.record(path, { stamp, identity, outcome: "read" });
      await saver.changed(0);
      failpoint("files.file.done");
      if (isKnown) context.log("info", `${path}: the same file was read before`, { identity });
      else if (before?.outcome === "read" && before.identity !== identity) {
        context.log("info", `${path}: replaced by another file, which was read`, { rows, identity });
      } else context.log("info", `${path}: read`, { rows, identity });
      await this.#afterwards(file, ledger, context);
    } catch (error) {
      if (context.signal.aborted || !isFileProblem(error)) throw error;
      await this.#fail(file, error, work);
    }
  }

  async #fail(file: FoundFile, error: Error, { ledger, saver, context }: FileWork): Promise<void> {
    const { path, stamp } = file;
    const { message, cause } = error;
    if ((cause as NodeJS.ErrnoException | undefined)?.code === "ENOENT") return;
    let code: ErrorCode = "file_unreadable";
    if (error instanceof DamagedFile) {
      code = "file_damaged";
      ledger.record(path, { stamp, identity: "", outcome: "damaged" });
      await saver.changed(0);
    } else if (error instanceof ChangedFile) {
      code = "file_changed";
      this.#waiting.delete(path);
    } else {
      const waitMs = Math.min(retryMs.last, (this.#failing.get(path)?.waitMs ?? retryMs.first / 2) * 2);
      this.#failing.set(path, { waitMs, untilMs: performance.now() + waitMs });
    }
    this.#problems.set(path, `${code}: ${path}: ${message}`);
    context.log(code === "file_changed" ? "warn" : "error", `${path}: ${message}`, { code });
  }

  /** Deletes or moves a file that was read, if it still is that file. */
  async #afterwards(file: FoundFile, ledger: FileLedger, context: CaptureContext): Promise<void> {
    const { after } = this.#source;
    if (after === "keep") return;
    try {
      if (!isSameStamp(stampOf(await stat(file.absolute, { bigint: true })), file.stamp)) return;
      if (after === "delete") await unlink(file.absolute);
      else await this.#move(file, ledger.at(file.path)?.identity ?? "");
      if (this.#source.ready !== undefined) await unlink(file.absolute + this.#source.ready);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      const message = `${file.path} was read, and cannot be ${after === "delete" ? "deleted" : "moved"}: ${(error as Error).message}`;
      // Tried, and failing, at every round.
      if (!this.#problems.has(file.path))
        context.log("error", message, { code: "files_directory_unreadable" });
      this.#problems.set(file.path, `files_directory_unreadable: ${message}`);
    }
  }

  /** Never over another file: a second one of the name gets its identity behind it. */
  async #move(file: FoundFile, identity: string): Promise<void> {
    const target = join(this.#directory.moved ?? this.#directory.root, file.path);
    await mkdir(dirname(target), { recursive: true });
    const isTaken = await stat(target).then(
      () => true,
      () => false,
    );
    await rename(file.absolute, isTaken ? `${target}.${identity}` : target);
  }

  #report(ledger: FileLedger, context: CaptureContext, ready: number): void {
    const { read, damaged, damagedPath } = ledger.counts();
    const [problem = damagedPath === undefined ? null : `file_damaged: ${damagedPath}`] =
      this.#problems.values();
    context.report({
      filesRead: read,
      filesDamaged: damaged,
      filesWaiting: this.#waiting.size,
      filesReady: ready,
      rows: this.#rows,
      reading: ledger.progress?.path ?? null,
      problem,
    });
  }
}
