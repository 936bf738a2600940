import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { type Contract, WeirError } from "@weir/contract";
import { failpoint } from "@weir/log";
import type { Capture, CaptureContext, Finding } from "../capture.ts";
import { type FilesSource, files } from "./declare.ts";
import { DropDirectory, type FoundFile } from "./directory.ts";
import { FileLedger } from "./ledger.ts";
import { LedgerSaver } from "./ledger-saver.ts";
import { DamagedFile, isFileProblem } from "./open-file.ts";
import { type FileWork, readFile } from "./read-file.ts";

/** A file of a backfill, and what is known of it. */
export interface BackfillFile {
  readonly path: string;
  readonly bytes: number;
}

/**
 * The files of a backfill as a source: those that a pattern matches, read as `declared` says.
 *
 * @param pattern a path with `*`, `**`, `?` and `{a,b}`; a relative one is relative to `baseDir`
 * @param declared a files source whose options count, or undefined; then records get no members that say where they are from,
 *   so that they are the same as those that were sent
 */
export function backfillSource(
  pattern: string,
  contract: Contract,
  baseDir: string,
  declared: FilesSource | undefined,
): FilesSource {
  const absolute = resolve(baseDir, pattern);
  const parts = absolute.split(sep);
  const first = parts.findIndex((part) => /[*?{]/.test(part));
  const path = first < 0 ? dirname(absolute) : join(sep, ...parts.slice(0, first));
  const rest = first < 0 ? basename(absolute) : relative(path, absolute).replaceAll(sep, "/");
  const plain = declared ?? files({ path, contract, file: false });
  const feeds = [{ patterns: [rest], contract }];
  return { ...plain, path, feeds, contracts: [contract], after: "keep", ready: undefined, stableMs: 0 };
}

/**
 * Reads files once, each from its first row to its last, and ends.
 *
 * State: the ledger of files that were read, and the progress in the one that is being read, as of the last time it was saved. A
 * run that was killed goes on from there; what it appended since is appended again, and ids make duplicates of it.
 */
export class FilesBackfill implements Capture {
  readonly #source: FilesSource;
  readonly #directory: DropDirectory;

  constructor(source: FilesSource) {
    this.#source = source;
    this.#directory = new DropDirectory(source, source.path);
  }

  /** Every file that the pattern matches, in the order in which they are read. */
  async files(): Promise<BackfillFile[]> {
    const found = await this.#list();
    return found.map(({ path, stamp }) => ({ path, bytes: stamp.size }));
  }

  async check(): Promise<Finding[]> {
    return await this.#list().then(
      () => [],
      (error: unknown) => [{ severity: "error", code: "files_directory_unreadable", message: String(error) }],
    );
  }

  /** @throws WeirError `files_directory_unreadable`, and what the log throws */
  async run(context: CaptureContext): Promise<void> {
    const ledger = FileLedger.of(context.cursor);
    const saver = new LedgerSaver(ledger, context);
    const found = await this.#list();
    // A file that was begun is finished first.
    const begun = ledger.progress?.path;
    found.sort((a, b) => Number(b.path === begun) - Number(a.path === begun));
    const told = new Progress(found, ledger, context);
    const work = { ledger, saver, context: told.watched() };
    try {
      for (const file of found) {
        context.signal.throwIfAborted();
        if (ledger.outcomeOf(file.path, file.stamp) === undefined) await this.#take(file, work, told);
        told.report();
      }
    } finally {
      // What is appended is not read again.
      if (ledger.progress !== undefined) await saver.changed(0);
      await saver.flush();
    }
  }

  /** Reads one file, whatever comes of it; throws only what is no fault of the file's. */
  async #take(file: FoundFile, work: FileWork, told: Progress): Promise<void> {
    const { ledger, saver, context } = work;
    const { path, stamp } = file;
    try {
      const { identity, rows } = await readFile(file, this.#source, work);
      ledger.record(path, { stamp, identity, outcome: "read" });
      context.log("info", `${path}: read`, { rows });
    } catch (error) {
      if (context.signal.aborted || !isFileProblem(error)) throw error;
      const code = error instanceof DamagedFile ? "file_damaged" : "file_unreadable";
      told.problem = `${code}: ${path}: ${error.message}`;
      // Of one that only cannot be read now nothing is noted: the next run tries it again.
      if (error instanceof DamagedFile) ledger.record(path, { stamp, identity: "", outcome: "damaged" });
      context.log("error", `${path}: ${error.message}`, { code });
    }
    await saver.changed(0);
    failpoint("backfill.file.done");
  }

  async #list(): Promise<FoundFile[]> {
    const { root } = this.#directory;
    try {
      return await this.#directory.list();
    } catch (cause) {
      const message = `The directory cannot be read: ${(cause as Error).message}.`;
      throw new WeirError("files_directory_unreadable", message, { where: root, cause });
    }
  }
}

/** What a backfill reports. */
class Progress {
  readonly #files: readonly FoundFile[];
  readonly #ledger: FileLedger;
  readonly #context: CaptureContext;
  #rows = 0;
  problem: string | null = null;

  constructor(files: readonly FoundFile[], ledger: FileLedger, context: CaptureContext) {
    this.#files = files;
    this.#ledger = ledger;
    this.#context = context;
    this.report();
  }

  /** The context, with appended rows counted. */
  watched(): CaptureContext {
    const context = this.#context;
    return {
      ...context,
      append: async (records) => {
        await context.append(records);
        this.#rows += records.length;
        this.report();
      },
    };
  }

  report(): void {
    const outcomes = this.#files.map(({ path, stamp }) => ({
      outcome: this.#ledger.outcomeOf(path, stamp),
      bytes: stamp.size,
    }));
    const done = outcomes.filter(({ outcome }) => outcome !== undefined);
    const damaged = outcomes.filter(({ outcome }) => outcome === "damaged").length;
    this.#context.report({
      parts: outcomes.length,
      partsDone: done.length - damaged,
      partsFailed: damaged,
      bytes: outcomes.reduce((sum, { bytes }) => sum + bytes, 0),
      bytesDone: done.reduce((sum, { bytes }) => sum + bytes, 0),
      rows: this.#rows,
      problem: this.problem,
    });
  }
}
