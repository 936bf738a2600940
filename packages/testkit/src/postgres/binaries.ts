import {
  accessSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { spawnSync } from "node:child_process";

/** The majors that npm offers: the newest everywhere, the oldest on Linux x64. */
export type PostgresMajor = 10 | 18;

export interface PostgresBinaries {
  readonly major: PostgresMajor;
  /** Holds `bin/initdb` and `bin/postgres`. */
  readonly directory: string;
}

/**
 * Where the server of a major version is, or undefined where npm has none for this platform (or installed none, as
 * optional dependencies may be left out).
 *
 * npm packages hold no symbolic links, so the packages have a list of them and an install script that makes them.
 * We make them here instead, as Weir is installed without running install scripts.
 */
export function postgresBinaries(major: PostgresMajor): PostgresBinaries | undefined {
  const name = `postgres-${major}-${process.platform}-${process.arch}`;
  const directory = installed(name);
  if (directory === undefined) return undefined;
  linkLibraries(directory);
  return { major, directory };
}

/** Its `native` folder. Packages export no path to it, so their folder is looked for as Node looks for modules. */
function installed(name: string): string | undefined {
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const directory = join(folder, name, "native");
    if (existsSync(join(directory, "bin"))) return directory;
  }
  return undefined;
}

function linkLibraries(directory: string): void {
  const list = join(directory, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const root = dirname(directory);
  for (const { source, target } of JSON.parse(readFileSync(list, "utf8")) as {
    source: string;
    target: string;
  }[]) {
    if (dirname(source) !== dirname(target)) continue;
    try {
      symlinkSync(basename(source), join(root, target));
    } catch (error) {
      // Another process may make them at this moment.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
}

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; then it runs as `postgres` or, where there is none, as `nobody`. */
export function serverUser(): ServerUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = new Map(
    readFileSync("/etc/passwd", "utf8")
      .split("\n")
      .map((line) => line.split(":"))
      .map(([user = "", , uid, gid]) => [user, { uid: Number(uid), gid: Number(gid) }] as const),
  );
  const user = users.get("postgres") ?? users.get("nobody");
  if (user === undefined)
    throw new Error("the server must not run as root, and there is no user postgres or nobody");
  return user;
}

/**
 * The folder itself, or a copy of it where the server's user cannot reach it (a checkout in the home of root).
 *
 * @returns the folder, and what removes the copy
 */
export function reachable(
  { directory }: PostgresBinaries,
  user: ServerUser | undefined,
): { directory: string; remove: () => void } {
  const initdb = join(directory, "bin", "initdb");
  accessSync(initdb, constants.R_OK);
  const tried = spawnSync(initdb, ["--version"], { ...user, stdio: "ignore" });
  if (user === undefined || tried.error === undefined) return { directory, remove: () => {} };
  const copy = mkdtempSync(join(tmpdir(), "weir-postgres-bin-"));
  cpSync(directory, copy, { recursive: true, verbatimSymlinks: true });
  spawnSync("chmod", ["-R", "a+rX", copy]);
  return { directory: copy, remove: () => rmSync(copy, { recursive: true, force: true }) };
}
