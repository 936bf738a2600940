import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { WeirError } from "@weir/contract";
import { isUserFile, loadError, shownPath } from "./load-error.ts";
import { withoutExit } from "./load-exit.ts";
import { isProject } from "./project.ts";
import type { Project } from "./project.ts";

/** What the entry file of a process knows and its modules cannot: the loader hooks are registered there. */
export interface Runtime {
  /** File URLs of the modules loaded so far, in order. */
  readonly loadedModules: () => readonly string[];
}

export interface LoadedProject {
  readonly project: Project;
  readonly file: string;
}

export const projectFileNames = [
  "weir.config.ts",
  "weir.config.mts",
  "weir.config.js",
  "weir.config.mjs",
] as const;

/** How long a project file may take to load; one that awaits what never comes would otherwise hang every command. */
const loadTimeoutMs = 30_000;

/**
 * Finds the project file.
 *
 * @param given the file, or the folder it is in; without it the working directory is looked at, and no folder above
 *   it, so that a command never acts on a project one did not mean
 * @returns an absolute path
 * @throws WeirError `project_not_found`
 */
export function findProject(given: string | undefined, workingDir: string = process.cwd()): string {
  const place = resolve(workingDir, given ?? ".");
  if (!existsSync(place)) {
    throw new WeirError("project_not_found", `There is no ${shownPath(place)}.`, { where: place });
  }
  if (statSync(place).isFile()) return place;
  for (const name of projectFileNames) {
    const path = join(place, name);
    if (existsSync(path)) return path;
  }
  throw new WeirError("project_not_found", `There is no ${projectFileNames[0]} in this folder.`, {
    where: place,
  });
}

/**
 * Loads a project file, once in the life of a process: modules cannot be unloaded, so a reload is a new process, which
 * also makes the files that the project imports fresh. (Rejected: a query on the URL, which renews only the file itself;
 * a namespace of tsx's, which renews the whole of Weir too, at 40 MB a reload, and never frees it.)
 *
 * @throws WeirError `project_invalid`, `project_env_missing`, or the error of the declaration that is wrong, with the
 *   user's file and line as `where`
 */
export async function loadProject(file: string): Promise<LoadedProject> {
  requireModule(file);
  Error.stackTraceLimit = Math.max(Error.stackTraceLimit, 100);
  let module: { default?: unknown };
  try {
    const imported = withoutExit<unknown>(file, () => import(pathToFileURL(file).href));
    module = (await withTimeout(imported, file)) as { default?: unknown };
  } catch (error) {
    throw loadError(error, file);
  }
  if (!isProject(module.default)) {
    const has = module.default === undefined ? "has no default export" : "exports something else by default";
    throw new WeirError(
      "project_invalid",
      `The project file ${has}; it must export what defineProject returns.`,
      {
        where: shownPath(file),
        remedy: "Write: export default defineProject({ name, sources, tables }).",
      },
    );
  }
  return { project: module.default, file };
}

/**
 * The user's files among the modules loaded so far: the project file and what it imports, without packages.
 *
 * @returns absolute paths
 */
export async function userFiles(runtime: Runtime, projectFile: string): Promise<string[]> {
  // The loader thread posts the name of a module before its source; one turn later every name has arrived.
  await nextTurn();
  const files = new Set([projectFile]);
  for (const url of runtime.loadedModules()) {
    if (!url.startsWith("file:")) continue;
    const path = fileURLToPath(url);
    if (isUserFile(path)) files.add(path);
  }
  return [...files];
}

/**
 * A project file is an ES module. Node takes the kind of a `.ts` or `.js` file from the nearest package.json, and loads
 * anything but "module" as CommonJS, where top-level await fails and imports cannot be followed for `weir dev`.
 */
function requireModule(file: string): void {
  if (/\.m[jt]s$/.test(file)) return;
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const manifest = join(folder, "package.json");
    if (existsSync(manifest)) {
      if (packageType(manifest) === "module") return;
      throw notModule(file, `Add "type": "module" to ${shownPath(manifest)}`);
    }
    if (folder === dirname(folder)) break;
  }
  throw notModule(file, `Put a package.json with {"type": "module"} beside it`);
}

function notModule(file: string, remedy: string): WeirError {
  const renamed = basename(file).replace(/\.([jt]s)$/, ".m$1");
  return new WeirError("project_invalid", "The project file is not an ES module for Node.", {
    where: shownPath(file),
    remedy: `${remedy}, or rename the file to ${renamed}.`,
  });
}

function packageType(manifest: string): unknown {
  try {
    return (JSON.parse(readFileSync(manifest, "utf8")) as { type?: unknown } | null)?.type;
  } catch (cause) {
    throw new WeirError("project_invalid", `package.json cannot be read: ${(cause as Error).message}.`, {
      where: shownPath(manifest),
      cause,
    });
  }
}

async function withTimeout<T>(work: Promise<T>, file: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(
        new WeirError(
          "project_invalid",
          `The project file did not finish loading in ${loadTimeoutMs / 1000} s.`,
          {
            where: shownPath(file),
            remedy: "Remove what it waits for: a project file only declares.",
          },
        ),
      );
    }, loadTimeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
