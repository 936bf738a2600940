import { loadCompiled } from "../compiled.ts";
import { userFiles } from "../load.ts";
import { summarize } from "../summary.ts";
import type { RoleContext } from "./child.ts";
import type { CheckerSettings, FromChild } from "./messages.ts";
import { toPlainError } from "./messages.ts";

/**
 * Loads and compiles a project in a process that then ends, and reports the result and the files it was made of. What a
 * project file does when it is loaded (loop, exit, change globals) cannot reach the supervisor.
 */
export async function runChecker(settings: CheckerSettings, context: RoleContext): Promise<void> {
  const { projectFile } = settings;
  let outcome: Pick<FromChild & { type: "checked" }, "summary" | "error">;
  try {
    const { project, file } = await loadCompiled(projectFile);
    outcome = { summary: summarize(project, file) };
  } catch (error) {
    outcome = { error: toPlainError(error) };
  }
  const files = await userFiles(context.runtime, projectFile);
  context.send({ type: "checked", files, ...outcome });
}
