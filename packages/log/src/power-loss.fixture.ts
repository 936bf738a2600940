/**
 * SIGKILL takes a process away, but not the page cache. These record what the process made durable, and then take
 * away everything else, as a power cut may: bytes that were not synced, names in directories that were not.
 */
import {
  appendFileSync,
  closeSync,
  lstatSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  truncateSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { FileSystem } from "./file-system.ts";
import { realFileSystem } from "./file-system.ts";

/** Planted: a log that acknowledges without having synced files, or directories. */
export type Defect = "no_file_sync" | "no_directory_sync";

type Entry =
  | { readonly created: number }
  | { readonly synced: number; readonly bytes: number }
  | { readonly directory: string; readonly names: Record<string, number>; readonly listedAtUs: number };

/** The real file system, which notes in the file `record` what became durable. Inodes stand for files. */
export function recordingFileSystem(record: string, defect?: Defect): FileSystem {
  const note = (entry: Entry) => appendFileSync(record, `${JSON.stringify(entry)}\n`);
  return {
    ...realFileSystem,
    async create(path) {
      const file = await realFileSystem.create(path);
      note({ created: lstatSync(path).ino });
      return file;
    },
    async sync(file) {
      if (defect === "no_file_sync") return;
      const { ino, size } = await file.stat();
      await realFileSystem.sync(file);
      note({ synced: ino, bytes: size });
    },
    async syncDirectory(path) {
      if (defect === "no_directory_sync") return;
      const listedAtUs = Number(process.hrtime.bigint() / 1000n);
      const names = inodes(path);
      await realFileSystem.syncDirectory(path);
      note({ directory: path, names, listedAtUs });
    },
  };
}

function inodes(directory: string): Record<string, number> {
  const names: Record<string, number> = {};
  for (const name of readdirSync(directory)) {
    const found = lstatSync(join(directory, name), { throwIfNoEntry: false });
    if (found !== undefined) names[name] = found.ino;
  }
  return names;
}

/**
 * Takes away from the directory of a stream what `record` does not say was durable. `choose(n)` decides, with a number
 * below n, what becomes of bytes that were not synced: gone, zeros, or some of them there and others zero.
 */
export function losePower(directory: string, record: string, choose: (below: number) => number): void {
  const syncedBytes = new Map<number, number>();
  let durableNames = new Map<number, string>();
  let listedAtUs = 0;
  for (const line of readFileSync(record, "utf8").split("\n").slice(0, -1)) {
    const entry = JSON.parse(line) as Entry;
    if ("created" in entry) {
      syncedBytes.delete(entry.created);
      durableNames.delete(entry.created);
    } else if ("synced" in entry) syncedBytes.set(entry.synced, entry.bytes);
    else if (entry.directory === directory && entry.listedAtUs > listedAtUs) {
      // Writer and retention sync at the same time; what was listed last is what counts, not what was noted last.
      listedAtUs = entry.listedAtUs;
      durableNames = new Map(Object.entries(entry.names).map(([name, inode]) => [inode, name]));
    }
  }
  for (const [name, inode] of Object.entries(inodes(directory))) {
    if (!/\.(open|seg)$/.test(name)) continue;
    const path = join(directory, name);
    loseBytes(path, syncedBytes.get(inode) ?? 0, choose);
    const durable = durableNames.get(inode);
    if (durable === undefined) unlinkSync(path);
    else if (durable !== name) renameSync(path, join(directory, durable));
  }
}

function loseBytes(path: string, kept: number, choose: (below: number) => number): void {
  const { size } = lstatSync(path);
  const lost = size - kept;
  if (lost <= 0) return;
  const way = choose(3);
  if (way === 0) return truncateSync(path, kept);
  const from = way === 1 ? 0 : choose(lost);
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(way === 1 ? lost : choose(lost - from + 1)), 0, undefined, kept + from);
  closeSync(file);
}
