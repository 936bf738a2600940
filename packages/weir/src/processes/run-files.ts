import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { access, constants, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { CaptureStatus } from "@weir/capture";
import { WeirError } from "@weir/contract";

export type ProcessRole = "collector" | "engine" | "capture";

/** How a process of the running instance does, as `weir status` shows it. */
export interface ProcessState {
  readonly name: string;
  readonly role: ProcessRole;
  readonly state: "starting" | "ready" | "waiting" | "stopping" | "stopped";
  readonly pid?: number;
  /** `started` of the process's identity, so that a successor can tell it from another with the same pid. */
  readonly identity?: string;
  readonly startedAt?: string;
  readonly restarts: number;
  /** What a capture last said of its source. */
  readonly status?: CaptureStatus;
  readonly lastError?: { readonly code: string; readonly message: string; readonly at: string };
}

/** `<dataDir>/run/weir.json` (role all and collect), `engine.json` or `capture.json` (of those roles): how to find an instance. */
export interface InstanceFile {
  readonly pid: number;
  /** Address of the collector; absent for an instance that runs only the engine. */
  readonly url?: string;
  /** Path of the engine's Unix socket; absent for an instance that runs only collectors. */
  readonly socket?: string;
  readonly startedAt: string;
  readonly processes: readonly ProcessState[];
}

export type InstanceFileName = "weir.json" | "engine.json" | "capture.json";

/**
 * Makes `<dataDir>/run` and proves that it can be written.
 *
 * @returns the path of the run directory
 * @throws WeirError `data_dir_unwritable`
 */
export async function prepareRunDir(dataDir: string): Promise<string> {
  const runDir = join(dataDir, "run");
  const probe = join(runDir, `.probe.${randomBytes(8).toString("hex")}`);
  try {
    await makeDirectories(runDir);
    await writeFile(probe, "");
    await rm(probe);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new WeirError("data_dir_unwritable", `The data directory cannot be written: ${message}.`, {
      where: dataDir,
      ...(code === "ENOSPC" ? { remedy: "Free space on the disk." } : {}),
      cause,
    });
  }
  return runDir;
}

/** `mkdir` with `recursive` tries for ever where directories exist and take no entries, as /proc does. */
async function makeDirectories(path: string): Promise<void> {
  const missing: string[] = [];
  for (let at = path; !existsSync(at); at = dirname(at)) missing.unshift(at);
  for (const directory of missing) {
    try {
      await mkdir(directory);
    } catch (error) {
      // Another start may make it too.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

export async function writeInstanceFile(
  runDir: string,
  name: InstanceFileName,
  file: InstanceFile,
): Promise<void> {
  const path = join(runDir, name);
  const draft = `${path}.${randomBytes(4).toString("hex")}`;
  await writeFile(draft, `${JSON.stringify(file, null, 2)}\n`);
  await rename(draft, path);
}

/** The file, or undefined when there is none that can be read. */
export async function readInstanceFile(
  runDir: string,
  name: InstanceFileName,
): Promise<InstanceFile | undefined> {
  try {
    return JSON.parse(await readFile(join(runDir, name), "utf8")) as InstanceFile;
  } catch {
    return undefined;
  }
}

export async function removeInstanceFile(runDir: string, name: InstanceFileName): Promise<void> {
  await rm(join(runDir, name), { force: true });
}

/** True when the data directory exists and can be read. */
export async function dataDirExists(dataDir: string): Promise<boolean> {
  try {
    await access(dataDir, constants.R_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Longest path a Unix socket may have: `sun_path` is 108 bytes on Linux (unix(7)) and 104 on macOS, with a terminating
 * NUL in both.
 */
const longestSocketPath = process.platform === "linux" ? 107 : 103;

/**
 * Where the engine of a data directory listens: `<runDir>/engine.sock`, or, where that is too long for a socket, a
 * path in the system's temporary directory that depends on the data directory and the user alone. The instance file
 * holds the path that was chosen.
 *
 * @throws WeirError `data_dir_unwritable` when the directory in the temporary directory is somebody else's
 */
export function engineSocketPath(runDir: string): string {
  const near = join(runDir, "engine.sock");
  if (Buffer.byteLength(near) <= longestSocketPath) return near;
  const user = process.getuid?.() ?? 0;
  const digest = createHash("sha256").update(resolve(runDir)).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `weir-${user}-${digest}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // Anyone may write to the temporary directory: a folder that another user made first could lend them the API.
  const { uid, mode } = statSync(folder);
  if (uid !== user || (mode & 0o077) !== 0) {
    throw new WeirError(
      "data_dir_unwritable",
      "The folder for the engine's socket belongs to somebody else.",
      {
        where: folder,
        remedy: "Choose a --data-dir with a shorter path, or set TMPDIR to a folder of your own.",
      },
    );
  }
  return join(folder, "engine.sock");
}
