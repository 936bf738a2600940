import { compileProject } from "@weir/compile";
import type { Program } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { checkSources } from "./connectors.ts";
import { shownPath } from "./load-error.ts";
import { loadProject } from "./load.ts";
import type { LoadedProject } from "./load.ts";
import { isWeirError } from "./processes/messages.ts";

export interface CompiledProject extends LoadedProject {
  readonly program: Program;
}

/**
 * Loads and compiles a project file.
 *
 * @throws WeirError as `loadProject` does, and `project_invalid` with every problem of the declarations, one a line
 */
export async function loadCompiled(file: string): Promise<CompiledProject> {
  const loaded = await loadProject(file);
  try {
    checkSources(loaded.project);
    return { ...loaded, program: compileProject(loaded.project) };
  } catch (error) {
    if (!isWeirError(error)) throw error;
    throw new WeirError(error.code, error.message, {
      where: shownPath(file),
      remedy: error.remedy,
      cause: error,
    });
  }
}
