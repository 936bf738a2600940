import { randomBytes } from "node:crypto";
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { identifyProcess, isAlive } from "./identity.ts";
import type { ProcessIdentity } from "./identity.ts";

/** What one process at a time may do on a data directory: accept records, or run the engine. */
export type Duty = "collect" | "engine" | "capture";

export interface DutyOwner extends ProcessIdentity {
  /** ISO 8601. */
  readonly since: string;
}

export interface DutyLock {
  release(): Promise<void>;
}

/** Contenders that meet back off and try again: neither can tell the other from an owner. */
const attempts = 4;

/**
 * Takes a duty on a data directory. The engine's state file and the log's writers have locks of their own; this one
 * exists to refuse early, with the pid, before anything is opened, and tells the other commands who runs.
 *
 * Each contender first makes a file with a name of its own, `<duty>.lock-<random>`, then looks for those of others
 * that live. Of two contenders, the one whose file came later sees the other's, so at most one finds itself alone: it
 * holds the duty for as long as its file is there. Files of the dead are deleted by whoever sees them; no name
 * is ever used again, so that cannot hit a living owner. (One file with a fixed name cannot be taken over safely:
 * between reading that its owner is dead and replacing it, another process may have replaced it.)
 *
 * @throws WeirError `already_running` with the owner's pid
 */
export async function acquireDuty(runDir: string, duty: Duty): Promise<DutyLock> {
  const self = (await identifyProcess(process.pid)) ?? { pid: process.pid, started: "" };
  const owner: DutyOwner = { ...self, since: new Date().toISOString() };
  for (let attempt = 1; ; attempt++) {
    const nonce = randomBytes(8).toString("hex");
    const path = join(runDir, `${duty}.lock-${nonce}`);
    const draft = join(runDir, `draft-${nonce}`);
    await writeFile(draft, JSON.stringify(owner));
    await rename(draft, path);
    const release = async (): Promise<void> => {
      await rm(path, { force: true });
    };
    try {
      const other = await livingOwner(runDir, duty, path);
      if (other === undefined) return { release };
      if (attempt === attempts) throw alreadyRunning(runDir, duty, other);
    } catch (error) {
      await release();
      throw error;
    }
    await release();
    await delay(10 + Math.random() * 40);
  }
}

/** The process that holds a duty now, or undefined. */
export async function dutyOwner(runDir: string, duty: Duty): Promise<DutyOwner | undefined> {
  return await livingOwner(runDir, duty, undefined);
}

async function livingOwner(
  runDir: string,
  duty: Duty,
  own: string | undefined,
): Promise<DutyOwner | undefined> {
  let names: string[];
  try {
    names = await readdir(runDir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  for (const name of names) {
    const path = join(runDir, name);
    if (!name.startsWith(`${duty}.lock-`) || path === own) continue;
    const owner = await readOwner(path);
    if (owner !== undefined && (await isAlive(owner))) return owner;
    // A reader of a directory that is not ours to write cannot tidy up, and need not.
    await rm(path, { force: true }).catch(() => {});
  }
  return undefined;
}

async function readOwner(path: string): Promise<DutyOwner | undefined> {
  try {
    const value = JSON.parse(await readFile(path, "utf8")) as Partial<DutyOwner> | null;
    if (typeof value?.pid === "number" && typeof value.started === "string") return value as DutyOwner;
  } catch {
    // Released meanwhile, or not a lock of ours.
  }
  return undefined;
}

function alreadyRunning(runDir: string, duty: Duty, owner: DutyOwner): WeirError {
  const what = { engine: "The engine", collect: "A collector", capture: "Capturing" }[duty];
  return new WeirError(
    "already_running",
    `${what} already runs on this data directory, started by process ${owner.pid} at ${owner.since}.`,
    {
      where: runDir,
      remedy: `Stop it first (kill ${owner.pid} drains it), or choose another --data-dir.`,
    },
  );
}
