import { dirname, join, resolve } from "node:path";
import { findProject } from "../load.ts";
import type { CommonOptions } from "./program.ts";

/**
 * The data directory a command works on: what --data-dir says, else `.weir` beside the project file.
 *
 * @throws WeirError `project_not_found` when neither is given or found
 */
export function dataDirOf(options: CommonOptions): string {
  if (options.dataDir !== undefined) return resolve(options.dataDir);
  return join(dirname(findProject(options.project)), ".weir");
}
