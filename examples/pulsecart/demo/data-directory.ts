import { existsSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DemoFailure } from "./failure.ts";

/** Says whose a directory is, so that the demo never removes what is not its own. */
const markerName = "demo.pid";

/**
 * Makes an empty data directory, in place of that of a demo before.
 *
 * @throws DemoFailure when another demo uses it, or when it holds anything else
 */
export function prepareDataDir(dataDir: string): void {
  const marker = join(dataDir, markerName);
  if (existsSync(marker)) {
    const pid = Number(readFileSync(marker, "utf8"));
    if (isRunning(pid)) {
      throw new DemoFailure(
        `Another demo uses ${dataDir} (process ${pid}).`,
        "Stop it, or name another folder with --data-dir.",
      );
    }
    rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  } else if (existsSync(dataDir) && readdirSync(dataDir).length > 0) {
    throw new DemoFailure(`${dataDir} is not empty.`, "Name another folder with --data-dir.");
  }
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(marker, String(process.pid));
}

export const openLog = (dataDir: string): number => openSync(join(dataDir, "demo.log"), "a");

/** The end of the log, for when something failed. */
export function lastLines(dataDir: string, count: number): string[] {
  try {
    return readFileSync(join(dataDir, "demo.log"), "utf8").trimEnd().split("\n").slice(-count);
  } catch {
    return [];
  }
}

export function removeDataDir(dataDir: string): void {
  rmSync(dataDir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}

/** The data stays; the next demo in this directory may replace it. */
export function releaseDataDir(dataDir: string): void {
  writeFileSync(join(dataDir, markerName), "0");
}

function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
