/**
 * One writer a stream, without kernel locks (Node has none).
 *
 * Each contender first creates a lock file with a name of its own, then looks for others. Of two contenders, the one
 * whose file came later sees the other's, so at most one finds itself alone: it holds the lock for as long as its
 * file is there. Files of dead owners are deleted by whoever sees them; as no name is ever used again, that
 * cannot hit a living owner. (One lock file with a fixed name cannot be taken over safely: between reading that its
 * owner is dead and replacing it, another process may have replaced it.)
 *
 * The name carries the owner's identity, so it is never half written: pid, start time of the process (a pid is
 * reused), pid namespace (another container's pids say nothing here) and boot id. Where those cannot tell whether
 * the owner lives (another container on this machine, or no /proc), its lease does: owners touch their file, and one
 * untouched for `leaseMs` is dead. A log on a network file system shared by machines is not supported.
 */
import { randomBytes } from "node:crypto";
import { readdir, readFile, readlink, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { errnoOf, ifPresent } from "./file-system.ts";
import { removeFile } from "./layout.ts";

const lockPattern = /^lock-(\d+)-(\d+)-(\d+)-([0-9a-f]{1,8})-[0-9a-f]{8}$/;
/** Contenders that meet back off and try again: neither can tell the other from an owner. */
const attempts = 4;
export const defaultLeaseMs = 10_000;

interface Identity {
  readonly pid: number;
  readonly start: string;
  readonly namespace: string;
  readonly boot: string;
}

export class WriterLock {
  readonly #path: string;
  readonly #heartbeat: NodeJS.Timeout;
  /** Somebody removed our lock file: this process must not write here any more. */
  lost = false;

  constructor(path: string, leaseMs: number) {
    this.#path = path;
    this.#heartbeat = setInterval(() => void this.#touch(), leaseMs / 4).unref();
  }

  async #touch(): Promise<void> {
    const now = new Date();
    try {
      await utimes(this.#path, now, now);
    } catch (error) {
      if (errnoOf(error) === "ENOENT") this.lost = true;
    }
  }

  async release(): Promise<void> {
    clearInterval(this.#heartbeat);
    await removeFile(this.#path);
  }
}

/**
 * Takes the lock of a stream's directory or throws `log_writer_locked`. `tookOver` hears of each dead owner's pid.
 */
export async function acquireLock(
  directory: string,
  leaseMs: number,
  tookOver: (pid: number) => void,
): Promise<WriterLock> {
  const { pid, start, namespace, boot } = await ownIdentity();
  for (let attempt = 1; ; attempt++) {
    const name = `lock-${pid}-${start}-${namespace}-${boot}-${randomBytes(4).toString("hex")}`;
    const path = join(directory, name);
    await writeFile(path, "", { flag: "wx" });
    const lock = new WriterLock(path, leaseMs);
    let owner: number | undefined;
    try {
      owner = await livingOwner(directory, name, leaseMs, tookOver);
    } catch (error) {
      await lock.release();
      throw error;
    }
    if (owner === undefined) return lock;
    await lock.release();
    if (attempt === attempts) {
      throw new WeirError("log_writer_locked", `process ${owner} is writing to this stream`, {
        where: directory,
      });
    }
    await delay(10 + Math.random() * 40);
  }
}

/** The pid of another living owner, if there is one. Deletes the locks of the dead. */
async function livingOwner(
  directory: string,
  own: string,
  leaseMs: number,
  tookOver: (pid: number) => void,
): Promise<number | undefined> {
  for (const name of await readdir(directory)) {
    const match = lockPattern.exec(name);
    if (match === null || name === own) continue;
    const [, pid, start = "", namespace = "", boot = ""] = match;
    const owner = { pid: Number(pid), start, namespace, boot };
    const path = join(directory, name);
    const living = (await isLiving(owner)) ?? (await isTouched(path, leaseMs));
    if (living) return owner.pid;
    await removeFile(path);
    tookOver(owner.pid);
  }
  return undefined;
}

/** Undefined if it cannot be told from here. */
async function isLiving(owner: Identity): Promise<boolean | undefined> {
  const own = await ownIdentity();
  if (owner.boot !== own.boot) return false;
  if (owner.namespace !== own.namespace) return undefined;
  if (owner.start !== "0") return (await startOf(owner.pid)) === owner.start;
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    if (errnoOf(error) === "ESRCH") return false;
  }
  return undefined;
}

/** Whether the owner touches its lock file before its lease has run out, by our clock. */
async function isTouched(path: string, leaseMs: number): Promise<boolean> {
  const before = await ifPresent(stat(path));
  const deadline = performance.now() + leaseMs;
  while (performance.now() < deadline) {
    await delay(leaseMs / 20);
    const now = await ifPresent(stat(path));
    if (now === undefined || before === undefined) return false;
    if (now.mtimeMs !== before.mtimeMs) return true;
  }
  return false;
}

let identity: Promise<Identity> | undefined;

function ownIdentity(): Promise<Identity> {
  identity ??= (async () => ({
    pid: process.pid,
    start: (await startOf(process.pid)) ?? "0",
    namespace: /\d+/.exec(await orEmpty(readlink("/proc/self/ns/pid")))?.[0] ?? "0",
    boot: (await orEmpty(readFile("/proc/sys/kernel/random/boot_id", "latin1"))).slice(0, 8) || "0",
  }))();
  return identity;
}

/** When the process started, in clock ticks since boot; undefined if there is none (or only its zombie) or no /proc. */
async function startOf(pid: number): Promise<string | undefined> {
  const status = await orEmpty(readFile(`/proc/${pid}/stat`, "latin1"));
  // proc(5): the second field, the command in parentheses, may contain anything; the 22nd is the start time.
  const [state, ...rest] = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return state === "Z" || state === "X" ? undefined : rest[18];
}

async function orEmpty(text: Promise<string>): Promise<string> {
  try {
    return await text;
  } catch {
    return "";
  }
}
