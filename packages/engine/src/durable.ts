/** Making files and the names of files durable: a rename or a new directory may be lost until its directory is synced. */
import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, resolve } from "node:path";

/** Makes a file's content, or the names in a directory, durable. */
export function syncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** The same for several paths, off the main thread: with other writers busy, each can take milliseconds. */
export async function syncPaths(paths: Iterable<string>): Promise<void> {
  for (const path of paths) {
    const file = await open(path, "r");
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** Creates the directory and what is above it, durably. */
export function makeDirectory(path: string): void {
  const created = mkdirSync(path, { recursive: true });
  if (created === undefined) return;
  const top = dirname(resolve(created));
  for (let at = dirname(resolve(path)); at.length >= top.length; at = dirname(at)) {
    syncPath(at);
    if (at === top) return;
  }
}
