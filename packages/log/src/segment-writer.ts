import { statSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { setImmediate as nextTurn } from "node:timers/promises";
import { crc32 } from "node:zlib";
import { WeirError } from "@weir/contract";
import type { DiskBound } from "./disk-bound.ts";
import { failpoint } from "./failpoint.ts";
import type { FileSystem } from "./file-system.ts";
import { logError, writeAll } from "./file-system.ts";
import type { Deferred } from "./group.ts";
import { deferred, Group } from "./group.ts";
import { Latency } from "./latency.ts";
import { removeFile, segmentPath } from "./layout.ts";
import type { WriterLock } from "./lock.ts";
import type { StreamName } from "./position.ts";
import type { Extent, RecoveryReport } from "./recover.ts";
import { emptyExtent, publish, recoverSegment, writeSeal } from "./recover.ts";
import type { LogEvent, SegmentWriter, WriterStats } from "./store.ts";

export interface WriterOptions {
  readonly segmentBytes: number;
  readonly sealAfterMs: number;
  readonly maxPendingBytes: number;
  readonly retryMs: number;
  readonly onEvent: (event: LogEvent) => void;
}

/** What a writer is given when its stream has been locked and recovered. */
export interface WriterStart extends StreamName {
  readonly directory: string;
  /** The number of the next segment. */
  readonly number: number;
  readonly lock: WriterLock;
  readonly report: RecoveryReport;
  readonly bound: (pendingBytes: () => number) => DiskBound;
}

/** The segment being written. `extent` is what of it is durable. */
interface OpenSegment {
  readonly number: number;
  readonly path: string;
  readonly file: FileHandle;
  readonly inode: number;
  readonly extent: Extent;
  readonly sealTimer: NodeJS.Timeout;
}

/**
 * Appends gather in one group while the other is being written and synced; one loop writes group after group and
 * seals in between, so nothing here happens concurrently except gathering.
 *
 * Lines are numbered as they are gathered. Whether a segment ends after a group is therefore decided when the group
 * is taken, before the next one begins to gather. If writing fails, what was gathered meanwhile is numbered for a
 * segment that will not go on: it is refused together with the failed group.
 */
export class DirectorySegmentWriter implements SegmentWriter {
  readonly source: string;
  readonly writer: string;
  readonly #directory: string;
  readonly #files: FileSystem;
  readonly #options: WriterOptions;
  readonly #lock: WriterLock;
  readonly #bound: DiskBound;
  readonly #report: RecoveryReport;
  readonly #latency = new Latency();
  #gathering = new Group();
  #writing = new Group();
  #nextLine = 1;
  #nextNumber: number;
  #segment: OpenSegment | undefined;
  /** A segment that failed: to be recovered before anything else is written. */
  #broken: OpenSegment | undefined;
  #retry: NodeJS.Timeout | undefined;
  #sealDue = false;
  #sealWaiter: Deferred | undefined;
  #running: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** The stream is not ours any more: nothing is written again. */
  #lost: WeirError | undefined;
  #counts = { records: 0, bytes: 0, groups: 0, sealed: 0, rejected: 0 };

  constructor(start: WriterStart, files: FileSystem, options: WriterOptions) {
    this.source = start.source;
    this.writer = start.writer;
    this.#directory = start.directory;
    this.#nextNumber = start.number;
    this.#lock = start.lock;
    this.#report = start.report;
    this.#files = files;
    this.#options = options;
    this.#bound = start.bound(() => this.#gathering.bytes + this.#writing.bytes);
  }

  /** To be awaited before the first append: how much room there is. */
  ready(): Promise<void> {
    return this.#bound.look();
  }

  append(lines: Uint8Array, lengths: Uint32Array): Promise<void> {
    if (lengths.length === 0 && lines.length === 0) return Promise.resolve();
    const refusal = this.#refusal(lines.length);
    if (refusal !== undefined) {
      this.#counts.rejected += 1;
      return Promise.reject(refusal);
    }
    let durable: Promise<void>;
    try {
      durable = this.#gathering.add(lines, lengths, this.#nextLine);
    } catch (error) {
      return Promise.reject(error);
    }
    this.#nextLine += lengths.length;
    this.#kick();
    return durable;
  }

  #refusal(bytes: number): WeirError | undefined {
    const { maxPendingBytes } = this.#options;
    const where = this.#directory;
    if (this.#lost !== undefined) return this.#lost;
    if (this.#closing !== undefined)
      return new WeirError("log_writer_closed", "the log writer is closed", { where });
    if (bytes > maxPendingBytes) {
      return new WeirError(
        "log_append_too_large",
        `${bytes} bytes in one append, ${maxPendingBytes} at most`,
        { where },
      );
    }
    if (this.#gathering.bytes + bytes > maxPendingBytes) {
      return new WeirError("log_overloaded", `more than ${maxPendingBytes} bytes wait for the disk`, {
        where,
      });
    }
    if (!this.#bound.take(bytes))
      return new WeirError("log_full", "the log has reached its bound on disk", { where });
    return undefined;
  }

  seal(): Promise<void> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    this.#sealDue = true;
    this.#sealWaiter ??= deferred();
    const { promise } = this.#sealWaiter;
    this.#kick();
    return promise;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.seal();
    } finally {
      await this.#running;
      clearTimeout(this.#retry);
      this.#bound.close();
      await this.#lock.release();
    }
  }

  stats(): WriterStats {
    return {
      ...this.#counts,
      cutBytes: this.#report.cutBytes,
      damagedBytes: this.#report.damagedBytes,
      pendingBytes: this.#gathering.bytes + this.#writing.bytes,
      diskBytes: this.#bound.diskBytes,
      full: this.#bound.full,
      sync: this.#latency.snapshot(),
    };
  }

  #tell(event: Omit<LogEvent, keyof StreamName>): void {
    this.#options.onEvent({ source: this.source, writer: this.writer, ...event });
  }

  #kick(): void {
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    // What else arrives in this turn of the event loop shares the first group.
    await nextTurn();
    while (this.#gathering.records > 0 || this.#sealDue) await this.#step();
    this.#running = undefined;
  }

  /** Writes one group and, if it is time, seals. Never rejects. */
  async #step(): Promise<void> {
    let sealWaiter: Deferred | undefined;
    try {
      if (this.#lost !== undefined) throw this.#lost;
      if (this.#broken !== undefined) await this.#repair(this.#broken);
      const group = this.#gathering;
      const bytes = (this.#segment?.extent.bytes ?? 0) + group.bytes;
      const sealing = this.#sealDue || bytes >= this.#options.segmentBytes;
      if (sealing) {
        this.#sealDue = false;
        this.#nextLine = 1;
        sealWaiter = this.#sealWaiter;
        this.#sealWaiter = undefined;
      }
      if (group.records > 0) {
        this.#gathering = this.#writing;
        this.#writing = group;
        await this.#write(group);
      }
      if (sealing && this.#segment !== undefined) await this.#seal(this.#segment);
      sealWaiter?.resolve();
    } catch (error) {
      await this.#fail(error, sealWaiter);
    }
  }

  async #write(group: Group): Promise<void> {
    const segment = (this.#segment ??= await this.#create());
    if (segment.extent.bytes === 0) {
      await this.#files.syncDirectory(this.#directory);
      failpoint("log.segment.listed");
    }
    const { extent } = segment;
    const { records, bytes } = group;
    const content = group.finish();
    this.#checkStillOurs(segment);
    const started = performance.now();
    failpoint("log.append.before_write");
    const written = writeAll(this.#files, segment.file, content, extent.bytes);
    const crc = crc32(content, extent.crc32);
    await written;
    failpoint("log.append.before_fsync");
    await this.#files.sync(segment.file);
    failpoint("log.append.after_fsync");
    this.#latency.add(performance.now() - started);
    this.#checkStillOurs(segment);
    extent.bytes += content.length;
    extent.crc32 = crc;
    extent.records += records;
    extent.firstReceivedUs = Math.min(extent.firstReceivedUs, group.firstReceivedUs);
    extent.lastReceivedUs = Math.max(extent.lastReceivedUs, group.lastReceivedUs);
    this.#counts.groups += 1;
    this.#counts.records += records;
    this.#counts.bytes += bytes;
    group.settle();
  }

  async #create(): Promise<OpenSegment> {
    if (this.#lock.lost) throw this.#lose("its lock file was removed");
    const number = this.#nextNumber;
    const path = segmentPath(this.#directory, number, "open");
    const file = await this.#files.create(path);
    failpoint("log.segment.created");
    let inode: number;
    try {
      inode = (await file.stat()).ino;
    } catch (error) {
      await closeQuietly(file);
      await removeFile(path);
      throw error;
    }
    const sealTimer = setTimeout(() => {
      this.#sealDue = true;
      this.#kick();
    }, this.#options.sealAfterMs);
    return { number, path, file, inode, extent: emptyExtent(), sealTimer };
  }

  /**
   * Called before writing, or a process that lost its lock might write behind the seal of the one that took over; and
   * before acknowledging, as syncing a deleted file succeeds all the same. Costs 3 us.
   */
  #checkStillOurs({ path, inode }: OpenSegment): void {
    if (this.#lock.lost || statSync(path, { throwIfNoEntry: false })?.ino !== inode) {
      throw this.#lose("its files were removed or taken over while it was writing");
    }
  }

  #lose(what: string): WeirError {
    const message = `the log writer has stopped: ${what}`;
    this.#lost = new WeirError("log_unwritable", message, {
      where: this.#directory,
      remedy:
        "Restore the directory if it was removed, see that one process writes to it, then restart this one.",
    });
    return this.#lost;
  }

  async #seal(segment: OpenSegment): Promise<void> {
    clearTimeout(segment.sealTimer);
    failpoint("log.seal.before_marker");
    this.#checkStillOurs(segment);
    await writeSeal(this.#files, segment.file, segment.extent);
    failpoint("log.seal.before_fsync");
    await this.#files.sync(segment.file);
    this.#checkStillOurs(segment);
    await publish(this.#files, this.#directory, segment.number);
    this.#segment = undefined;
    this.#sealed(segment);
    await closeQuietly(segment.file);
  }

  #sealed(segment: OpenSegment): void {
    this.#nextNumber = segment.number + 1;
    this.#counts.sealed += 1;
  }

  /** Refuses everything that is not durable and abandons the segment; `#repair` will make the best of it. */
  async #fail(cause: unknown, sealWaiter: Deferred | undefined): Promise<void> {
    const segment = this.#segment;
    const error = logError(cause, segment?.path ?? this.#directory);
    this.#counts.rejected += this.#writing.appends + this.#gathering.appends;
    this.#writing.settle(error);
    this.#gathering.settle(error);
    sealWaiter?.reject(error);
    this.#sealWaiter?.reject(error);
    this.#sealWaiter = undefined;
    this.#sealDue = false;
    this.#nextLine = 1;
    if (segment !== undefined) {
      this.#segment = undefined;
      this.#broken = segment;
      clearTimeout(segment.sealTimer);
      const message = `abandoned segment ${segment.number}: ${error.message}`;
      this.#tell({ kind: "segment_abandoned", message, number: segment.number, code: error.code });
      await closeQuietly(segment.file);
    }
    this.#retryLater();
  }

  /** Durable records of an abandoned segment must become readable also if nothing is appended any more. */
  #retryLater(): void {
    if (this.#broken === undefined || this.#lost !== undefined || this.#closing !== undefined) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#sealDue = true;
      this.#kick();
    }, this.#options.retryMs).unref();
  }

  /**
   * After a failed fsync the kernel may have dropped the data and forgotten that it did, so syncing the file again
   * proves nothing. Only what was durable before is kept, after reading it back.
   */
  async #repair(segment: OpenSegment): Promise<void> {
    const { number, extent } = segment;
    if (await recoverSegment(this.#files, this.#directory, number, this.#report, extent.bytes)) {
      this.#sealed(segment);
    }
    this.#broken = undefined;
  }
}

/** What a file holds is judged by syncing or reading it, so that closing it failed says nothing more. */
async function closeQuietly(file: FileHandle): Promise<void> {
  await file.close().catch(() => undefined);
}
