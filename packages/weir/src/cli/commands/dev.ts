import type { ExitCode } from "../../exit-code.ts";
import { shownPath } from "../../load-error.ts";
import { checkInChild } from "../../processes/check.ts";
import { fromPlainError, toPlainError } from "../../processes/messages.ts";
import { Supervisor } from "../../processes/supervisor.ts";
import { FileWatch } from "../../processes/watch.ts";
import type { UpOptions } from "../program.ts";
import type { Terminal } from "../terminal.ts";
import { untilSignal } from "../until-signal.ts";
import { announce, supervisorOptions } from "./up.ts";

/**
 * Runs the project like `up`, and loads it anew when a file of it changes. A version that does not load or compile is
 * reported, and the version before it runs on.
 */
export async function dev(terminal: Terminal, options: UpOptions): Promise<ExitCode> {
  const settings = supervisorOptions(options);
  const { logger, projectFile, logFormat } = settings;
  const watch = new FileWatch();
  try {
    const firstMs = Date.now();
    const first = await checkInChild(projectFile, logFormat);
    if (first.error !== undefined) throw fromPlainError(first.error);
    watch.follow(first.files, firstMs);
    const supervisor = await Supervisor.start(settings);
    return await untilSignal(supervisor, async () => {
      if (!(await supervisor.ready())) return;
      announce(terminal, supervisor, options);
      for (;;) {
        const changed = await watch.next();
        if (changed === undefined) return;
        logger.log(
          "info",
          `${changed.map((file) => shownPath(file)).join(", ")} changed; loading the project`,
        );
        const sinceMs = Date.now();
        const outcome = await checkInChild(projectFile, logFormat);
        // Of a broken version not all files are known: those of the version before it may be what repairs it.
        watch.follow(
          outcome.error === undefined ? outcome.files : [...watch.files, ...outcome.files],
          sinceMs,
        );
        if (outcome.error !== undefined) {
          logger.log("error", "the project is not valid; the version before it runs on", {
            error: outcome.error,
          });
          continue;
        }
        try {
          await supervisor.reload();
          logger.log("info", "the new version of the project runs", { project: outcome.summary?.name });
        } catch (error) {
          logger.log("error", "the new version of the project does not run", { error: toPlainError(error) });
        }
      }
    });
  } finally {
    watch.close();
  }
}
