import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/**
 * A process, so that a later process with the same id is not taken for it. `started` is opaque: equal for the same
 * process, different for another; empty where the system does not tell.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly started: string;
}

/** The identity of a process that runs now, or undefined when no process has this id (a zombie counts as none). */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  if (process.platform === "linux") {
    const started = await linuxStart(pid);
    return started === undefined ? undefined : { pid, started };
  }
  if (!signalReaches(pid)) return undefined;
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)]);
    return { pid, started: stdout.trim() };
  } catch {
    return { pid, started: "" };
  }
}

/** True when exactly this process still runs. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identifyProcess(identity.pid);
  return now !== undefined && now.started === identity.started;
}

/**
 * `/proc/<pid>/stat` field 22 is the start in clock ticks since boot (proc_pid_stat(5)); with the boot's own id it
 * names a process for good. The command name in field 2 may hold spaces and parentheses, hence the last ")".
 */
async function linuxStart(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return undefined;
    const boot = (await readFile("/proc/sys/kernel/random/boot_id", "utf8")).trim();
    return `${boot}/${fields[19]}`;
  } catch {
    return undefined;
  }
}

function signalReaches(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
