import { relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { WeirError } from "@weir/contract";
import { isWeirError } from "./processes/messages.ts";

/** Folders of Weir's own packages, wherever they are installed or linked from. */
const ownFolders = ["@weir/contract", "@weir/compile", "@weir/collect", "@weir/engine", "@weir/log"]
  .map((name) => fileURLToPath(new URL("..", import.meta.resolve(name))))
  .concat(fileURLToPath(new URL("..", import.meta.url)));

/** True for a file that the user wrote: in no package, neither Weir's nor another's. */
export function isUserFile(path: string): boolean {
  if (path.includes(`${sep}node_modules${sep}`)) return false;
  return !isOwnFile(path);
}

/** True for a file of Weir's own. */
const isOwnFile = (path: string): boolean => ownFolders.some((folder) => path.startsWith(folder));

/** Whose file called the function that made a stack: nobody's that is known is another's. */
export function callerOf(stack: string): "weir" | "user" | "other" {
  const [, caller = ""] = stack.split("\n").filter((line) => /^\s+at /.test(line));
  const [frame] = framesOf(caller);
  if (frame === undefined) return "other";
  return isOwnFile(frame.path) ? "weir" : isUserFile(frame.path) ? "user" : "other";
}

/** A path as an operator wants to read it: relative to the working directory where that is shorter. */
export function shownPath(path: string, workingDir: string = process.cwd()): string {
  const near = relative(workingDir, path);
  return near === "" || near.startsWith("..") ? path : near;
}

/**
 * What went wrong in the user's file, with its place in that file and no stack of ours.
 *
 * @param error whatever loading the file threw
 */
export function loadError(error: unknown, projectFile: string): WeirError {
  const stack = error instanceof Error ? (error.stack ?? "") : "";
  const place = userFrame(stack) ?? shownPath(projectFile);
  if (isWeirError(error)) {
    const where = error.where === undefined || error.where === place ? place : `${place} (${error.where})`;
    return new WeirError(error.code, error.message, { where, remedy: error.remedy, cause: error });
  }
  const message = error instanceof Error ? error.message : `It threw ${String(error)}`;
  const [text, where] = transformFailure(message) ?? missingModule(error, message) ?? [message, place];
  const name = error instanceof Error && error.name !== "Error" ? `${error.name}: ` : "";
  return new WeirError("project_invalid", `${text === message ? name : ""}${text}`, { where, cause: error });
}

/** esbuild's words for a syntax error: `Transform failed with 1 error:\n<file>:<line>:<column>: ERROR: <text>`. */
function transformFailure(message: string): [string, string] | undefined {
  const match = /^(.+):(\d+):(\d+): ERROR: (.+)$/m.exec(message);
  if (match === null) return undefined;
  const [, file = "", line = "", column = "", text = ""] = match;
  return [`Syntax error: ${text}`, `${shownPath(file)}:${line}:${Number(column) + 1}`];
}

/** Node's ERR_MODULE_NOT_FOUND: `Cannot find package 'x' imported from <file>`. */
function missingModule(error: unknown, message: string): [string, string] | undefined {
  if ((error as { code?: unknown } | null | undefined)?.code !== "ERR_MODULE_NOT_FOUND") return undefined;
  const match = /^(Cannot find (?:package|module) '.+?') imported from (.+)$/m.exec(message);
  if (match === null) return undefined;
  const [, text = "", importer = ""] = match;
  const path = importer.startsWith("file:") ? fileURLToPath(importer) : importer;
  return [`${text}; is it installed?`, shownPath(path)];
}

/** `file:line:column` of the innermost frame of a stack that is in a file of the user's. */
function userFrame(stack: string): string | undefined {
  const frame = framesOf(stack).find(({ path }) => isUserFile(path));
  return frame && `${shownPath(frame.path)}:${frame.place}`;
}

/** The frames of a stack that are in files. */
function framesOf(stack: string): { readonly path: string; readonly place: string }[] {
  return [...stack.matchAll(/(?<=[\s(])(file:\/\/[^\s()]+|\/[^\s()]+?):(\d+)(?::(\d+))?\)?$/gm)].map(
    (match) => {
      const [, location = "", line = "", column] = match;
      const path = location.startsWith("file:") ? fileURLToPath(location.replace(/\?.*$/, "")) : location;
      return { path, place: `${line}${column === undefined ? "" : `:${column}`}` };
    },
  );
}
