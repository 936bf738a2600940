import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { promisify } from "node:util";

/**
 * Bounds what this process may allocate from now on to nine tenths of the memory that there is. DuckDB keeps within its limit with what
 * tables, sorts and joins hold, but not with the values of one call: `range(1000000000)` in a query is 8 GB at once, and the machine
 * would end some process for it. Beyond the bound an allocation fails: the query does, and nobody else.
 *
 * Linux counts memory that is reserved to be written, used or not; so what DuckDB reserves when it opens (four fifths of the memory) comes on top.
 *
 * @returns the bound in bytes; undefined where there is none: elsewhere, or without `prlimit` of util-linux
 */
export async function boundMemory(): Promise<number | undefined> {
  if (process.platform !== "linux") return undefined;
  try {
    const status = await readFile("/proc/self/status", "utf8");
    const reserved = Number(/^VmData:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
    // Of a container; 0, or more than there is, where it has no limit.
    const allowed = process.constrainedMemory();
    const memory = Math.min(allowed > 0 ? allowed : Infinity, totalmem());
    const bound = reserved + Math.floor(memory * 0.9);
    // The soft limit alone.
    await promisify(execFile)("prlimit", ["--pid", String(process.pid), `--data=${bound}:`]);
    return bound;
  } catch {
    return undefined;
  }
}
