/**
 * The segment log on a directory of a local file system.
 *
 * Invariants
 *
 *  1. A record is acknowledged only when its group, the group's marker and the name of its file are durable. Within a
 *     file a group is written only when the one before it is durable.
 *  2. A file named `.seg` never changes. It is complete: it got that name only after its seal was durable.
 *  3. Segments of a stream are sealed in the order of their numbers, one after the other, without a gap; a new one
 *     is created only when the one before has its final name. So a reader that waits for number n misses nothing.
 *  4. A number that was visible is never used again: the next is one above all that are there and all that were
 *     removed (the floor, which is durable before anything is deleted).
 *  5. Only the owner of the stream's lock creates, writes, cuts or renames its segments; only one process removes.
 *
 * Crash points, in order, and what the next start finds. "Lost power" adds that what was not synced may be gone.
 *
 *  creating  after create: an empty `.open`, or none: deleted, its number used again (nobody saw it).
 *  group     while writing: an incomplete last group: cut. Lost power may leave any of its blocks as zeros or old
 *            bytes; length and CRC in its marker tell.
 *            after write, before fsync: complete in the page cache, so kept though never acknowledged, or torn: cut.
 *            after fsync: kept. The client may not have heard and sends again; deduplication is the engine's.
 *  sealing   while or after writing the seal: a torn seal is cut like a torn group and written anew; a complete one
 *            is kept, and synced before the rename, as it may be in the page cache only.
 *            after rename, before the directory is synced: either name, same durable content. If it is `.open` again,
 *            it is renamed again; a reader that took it under its number meanwhile took the same records.
 *  recovery  it only cuts what is no complete group and then seals, so it can be cut off and repeated at any step.
 *  removing  before the floor is durable: nothing happened. After: the file is invisible and deleted by the next
 *            `remove` or `openWriter`.
 *  failures  (no space, I/O error, read-only) refuse the group and what gathered behind it, and abandon the file:
 *            before anything else is written it is cut to what was durable, read back, verified and sealed. As long as
 *            that fails, so does every append.
 *
 * If a bad group has a complete one behind it, it had been acknowledged: no crash does that, but a broken disk can.
 * Then everything from the bad group on is set aside in a `.damaged` file, and the event and counter say so.
 */
import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { DiskBound } from "./disk-bound.ts";
import { failpoint } from "./failpoint.ts";
import type { FileSystem } from "./file-system.ts";
import { errnoOf, ifPresent, logError, realFileSystem } from "./file-system.ts";
import { listSegments, makeDirectory, readFloor, removeFile, segmentPath, writeFloor } from "./layout.ts";
import { acquireLock, defaultLeaseMs } from "./lock.ts";
import type { StreamName } from "./position.ts";
import { checkNames, isName } from "./position.ts";
import { RecoveryReport } from "./recover.ts";
import { recoverStream } from "./recover-stream.ts";
import { describeSegment, hasGroup, verifySegment } from "./sealed-segment.ts";
import { DirectorySegmentWriter } from "./segment-writer.ts";
import type { LogEvent, LogStore, SegmentHead, SegmentRef, SegmentWriter } from "./store.ts";

export interface DirectoryStoreOptions {
  /** A segment is sealed at the first end of a group at or past this size. Default 32 MiB. */
  readonly segmentBytes?: number;
  /** ... or this long after its first record. Default 250 ms. */
  readonly sealAfterMs?: number;
  /** Bound on the bytes a stream keeps on disk, all of its files counted. Default: none. */
  readonly maxBytes?: number;
  /** Space that the log leaves free on its file system. Default 256 MiB. */
  readonly minFreeBytes?: number;
  /** Bound on the bytes that gather while a group is written; a writer may hold twice this. Default 64 MiB. */
  readonly maxPendingBytes?: number;
  /** Hears of recoveries, failures and a full log. Must not throw. */
  readonly onEvent?: (event: LogEvent) => void;
}

/** For tests only. */
export interface DirectoryStoreInternals {
  readonly files?: FileSystem;
  readonly leaseMs?: number;
  readonly retryMs?: number;
}

/** The segment log under `root`, which is created when the first writer is opened. */
export function directoryStore(
  root: string,
  options: DirectoryStoreOptions = {},
  internals: DirectoryStoreInternals = {},
): LogStore {
  return new DirectoryStore(resolve(root), options, internals);
}

class DirectoryStore implements LogStore {
  readonly #root: string;
  readonly #options: Required<DirectoryStoreOptions>;
  readonly #internals: Required<DirectoryStoreInternals>;
  /** Removals follow each other, or the floor could go down. */
  #removals: Promise<void> = Promise.resolve();

  constructor(root: string, options: DirectoryStoreOptions, internals: DirectoryStoreInternals) {
    this.#root = root;
    this.#options = {
      segmentBytes: 32 << 20,
      sealAfterMs: 250,
      maxBytes: Infinity,
      minFreeBytes: 256 << 20,
      maxPendingBytes: 64 << 20,
      onEvent: () => undefined,
      ...options,
    };
    this.#internals = { files: realFileSystem, leaseMs: defaultLeaseMs, retryMs: 500, ...internals };
  }

  #directory(stream: StreamName): string {
    checkNames(stream);
    return join(this.#root, stream.source, stream.writer);
  }

  async openWriter(source: string, writer: string): Promise<SegmentWriter> {
    const stream = { source, writer };
    const directory = this.#directory(stream);
    const { files, leaseMs, retryMs } = this.#internals;
    const tell = (event: Omit<LogEvent, keyof StreamName>) => this.#options.onEvent({ ...stream, ...event });
    return await explained(directory, async () => {
      await makeDirectory(files, directory);
      const lock = await acquireLock(directory, leaseMs, (pid) => {
        tell({ kind: "lock_taken_over", message: `process ${pid}, which wrote here before, is dead` });
      });
      try {
        const report = new RecoveryReport(tell);
        const number = await recoverStream(files, directory, report, tell);
        const limits = { ...this.#options, retryMs };
        const bound = (pendingBytes: () => number) => {
          return new DiskBound(directory, limits, pendingBytes, (full) => {
            if (full)
              tell({ kind: "full", message: "the log has reached its bound on disk", code: "log_full" });
            else tell({ kind: "room", message: "the log has room again" });
          });
        };
        const start = { ...stream, directory, number, lock, bound, report };
        const opened = new DirectorySegmentWriter(start, files, limits);
        await opened.ready();
        return opened;
      } catch (error) {
        await lock.release();
        throw error;
      }
    });
  }

  async streams(): Promise<StreamName[]> {
    return await explained(this.#root, async () => {
      const found: StreamName[] = [];
      for (const source of await names(this.#root)) {
        for (const writer of await names(join(this.#root, source))) found.push({ source, writer });
      }
      return found;
    });
  }

  async heads(): Promise<SegmentHead[]> {
    const streams = await this.streams();
    return await Promise.all(
      streams.map((stream) => explained(this.#directory(stream), () => this.#head(stream))),
    );
  }

  async #head(stream: StreamName): Promise<SegmentHead> {
    const directory = this.#directory(stream);
    const listed = (await listSegments(directory)).sealed.at(-1) ?? 0;
    let sealed = Math.max(listed, await readFloor(directory));
    // A listing may miss a name that changes meanwhile. Asking for `.open` first and `.seg` second misses nothing.
    for (;;) {
      const next = sealed + 1;
      const open = await hasGroup(directory, next);
      if ((await describeSegment(directory, stream, next)) !== undefined) sealed = next;
      else return open ? { ...stream, sealed, open: next } : { ...stream, sealed };
    }
  }

  async sealedAfter(source: string, writer: string, number: number, limit: number): Promise<SegmentRef[]> {
    const stream = { source, writer };
    const directory = this.#directory(stream);
    return await explained(directory, async () => {
      const refs: SegmentRef[] = [];
      let next = number + 1;
      while (refs.length < limit) {
        let ref: SegmentRef | undefined;
        try {
          ref = await describeSegment(directory, stream, next);
        } catch (error) {
          if (refs.length === 0) throw error;
          break;
        }
        if (ref !== undefined) {
          refs.push(ref);
          next += 1;
          continue;
        }
        const floor = refs.length === 0 ? await readFloor(directory) : 0;
        if (floor < next) break;
        next = floor + 1;
      }
      return refs;
    });
  }

  async materialize(ref: SegmentRef): Promise<string> {
    const directory = this.#directory(ref);
    return await explained(directory, () => verifySegment(directory, ref));
  }

  remove(ref: SegmentRef): Promise<void> {
    const directory = this.#directory(ref);
    const removal = this.#removals.then(() =>
      explained(directory, () => this.#remove(directory, ref.number)),
    );
    this.#removals = removal.catch(() => undefined);
    return removal;
  }

  async #remove(directory: string, number: number): Promise<void> {
    const { files } = this.#internals;
    const floor = await readFloor(directory);
    failpoint("log.remove.before_floor");
    if (number > floor) await writeFloor(files, directory, number);
    failpoint("log.remove.after_floor");
    // Removing one after the other needs no listing. The floor's own file may be there still, after a crash.
    const older =
      number > floor + 1 ? (await listSegments(directory)).sealed.filter((n) => n < number) : [floor];
    for (const gone of [...older, number]) await removeFile(segmentPath(directory, gone, "seg"));
    failpoint("log.remove.after_unlink");
    await files.syncDirectory(directory);
  }
}

/** Runs the action; failures of the file system become WeirErrors about `where`. */
async function explained<T>(where: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw logError(error, where);
  }
}

/** Names of the directories in `path` that can be sources or writers, sorted; none if it does not exist. */
async function names(path: string): Promise<string[]> {
  const entries = (await ifPresent(readdir(path, { withFileTypes: true }))) ?? [];
  return entries
    .filter((entry) => entry.isDirectory() && isName(entry.name))
    .map((entry) => entry.name)
    .sort();
}
