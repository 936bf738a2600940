import { open } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import type { ErrorCode } from "@weir/contract";
import { WeirError } from "@weir/contract";

/** The calls on whose order and success durability rests. Tests pass one that fails, or that forgets to sync. */
export interface FileSystem {
  /** Creates a file that does not exist yet. */
  create(path: string): Promise<FileHandle>;
  /** Writes some of `bytes` at `position` of the file; returns how many. */
  write(file: FileHandle, bytes: Uint8Array, position: number): Promise<number>;
  /** Makes content and length of the file durable. */
  sync(file: FileHandle): Promise<void>;
  /** Makes the names in a directory durable. */
  syncDirectory(path: string): Promise<void>;
}

export const realFileSystem: FileSystem = {
  create: (path) => open(path, "wx"),
  write: async (file, bytes, position) => (await file.write(bytes, 0, bytes.length, position)).bytesWritten,
  sync: (file) => file.datasync(),
  async syncDirectory(path) {
    const directory = await open(path, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  },
};

/** Writes all of `bytes`, however short the single writes are. */
export async function writeAll(
  files: FileSystem,
  file: FileHandle,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await files.write(file, bytes.subarray(done), position + done);
    if (written <= 0) throw Object.assign(new Error("the file system wrote nothing"), { code: "EIO" });
    done += written;
  }
}

const codes = new Map<string, readonly [code: ErrorCode, what: string]>([
  ["ENOSPC", ["log_disk_full", "no space is left for the log"]],
  ["EDQUOT", ["log_disk_full", "the disk quota of the log is used up"]],
  ["EACCES", ["log_unwritable", "no permission to write the log"]],
  ["EPERM", ["log_unwritable", "no permission to write the log"]],
  ["EROFS", ["log_unwritable", "the log is on a read-only file system"]],
  ["ENOENT", ["log_unwritable", "the directory of the log is missing"]],
  ["ENOTDIR", ["log_unwritable", "a file is in place of a directory of the log"]],
  ["EEXIST", ["log_unwritable", "something is already in place of a file or directory of the log"]],
]);

/** What an operator should read of a failed call on the log's files. A WeirError passes unchanged. */
export function logError(cause: unknown, where: string): WeirError {
  if (cause instanceof WeirError) return cause;
  const errno = errnoOf(cause) ?? "";
  const [code, what] = codes.get(errno) ?? ["log_io_error", "reading or writing the log failed"];
  return new WeirError(code, errno === "" ? what : `${what} (${errno})`, { where, cause });
}

/** The system's error code ("ENOENT"), if `error` is one of the system's. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The result, or undefined if what it was asked of does not exist. */
export async function ifPresent<T>(result: Promise<T>): Promise<T | undefined> {
  try {
    return await result;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
