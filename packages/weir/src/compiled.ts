import { compileProject } from "@weir/compile";
import type { Program } from "@weir/compile";
import { WeirError } from "@weir/contract";
import type { RoleMasks } from "@weir/engine";
import { checkSources } from "./connectors.ts";
import { shownPath } from "./load-error.ts";
import { loadProject } from "./load.ts";
import type { LoadedProject } from "./load.ts";
import type { Project } from "./project.ts";
import { roleMasks } from "./role-masks.ts";
import { checkApiLimits } from "./processes/api-limits.ts";
import { isWeirError } from "./processes/messages.ts";

export interface CompiledProject extends LoadedProject {
  readonly program: Program;
}

/**
 * Loads and compiles a project file.
 *
 * @throws WeirError as `loadProject` does, and `project_invalid` with every problem of the declarations and of the SQL in
 * them, one a line
 */
export async function loadCompiled(file: string): Promise<CompiledProject> {
  const loaded = await loadProject(file);
  try {
    checkSources(loaded.project);
    const program = compileProject(loaded.project);
    await checkLengths(loaded.project, program);
    const masks = roleMasks(loaded.project.access);
    checkApiLimits(loaded.project.access?.limits);
    // Without masks of the project's own, those that there are name columns of Weir's.
    await checkColumns(program, loaded.project.access?.columns === undefined ? {} : masks);
    return { ...loaded, program };
  } catch (error) {
    if (error instanceof TypeError) throw misshapen(file, error);
    if (!isWeirError(error)) throw error;
    throw new WeirError(error.code, error.message, {
      where: shownPath(file),
      remedy: error.remedy,
      cause: error,
    });
  }
}

/** A declaration that `tsc` has not seen. Not a defect that goes away when the engine is started again. */
const misshapen = (file: string, error: TypeError): WeirError =>
  new WeirError(
    "project_invalid",
    `Something is missing in a declaration, or is of another type than it has to be: ${error.message}`,
    {
      where: shownPath(file),
      remedy:
        "Run npx tsc --noEmit, which names the place. If it finds nothing, this is a defect in Weir: report it.",
      cause: error,
    },
  );

/** Lengths that do not fit together. Most projects state none. */
async function checkLengths(project: Project, program: Program): Promise<void> {
  const { engine, retention, privacy } = project;
  if (engine === undefined && retention === undefined && privacy === undefined) return;
  const { knownOf, resolveErasure, resolveSettings } = await import("@weir/engine");
  const { logRetentionMs } = resolveSettings(engine, retention, knownOf(program));
  resolveErasure(privacy, logRetentionMs);
}

/** What only a database can check. Most projects have none of it, and loading the database takes as long as all the rest. */
async function checkColumns(program: Program, masks: RoleMasks): Promise<void> {
  if (Object.keys(masks).length === 0 && program.tables.every(({ userSql }) => userSql === undefined)) return;
  const { checkProgram } = await import("@weir/engine");
  await checkProgram(program, masks);
}
