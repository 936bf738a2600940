import { Child } from "./child-process.ts";
import type { LogFormat } from "./logger.ts";
import type { FromChild, PlainError, ProjectSummary } from "./messages.ts";

export interface CheckOutcome {
  /** The project file and the user's files that it imports, absolute. */
  readonly files: readonly string[];
  readonly summary?: ProjectSummary;
  readonly error?: PlainError;
}

/** Loading has a limit of its own (30 s); this one is for a file that blocks its process. */
const checkTimeoutMs = 40_000;

/** Loads and compiles the project in a process of its own. Never rejects. */
export async function checkInChild(projectFile: string, logFormat: LogFormat): Promise<CheckOutcome> {
  let outcome: CheckOutcome = {
    files: [projectFile],
    error: {
      code: "project_invalid",
      message: "The project file ended its process, or blocked it, while it was loaded.",
      where: projectFile,
      remedy: "A project file only declares: remove what exits or loops.",
    },
  };
  const child = new Child(
    "checker",
    { type: "start", name: "check", logFormat, settings: { kind: "checker", projectFile } },
    undefined,
    (message: FromChild) => {
      if (message.type !== "checked") return;
      outcome = message;
      child.send({ type: "stop" });
    },
  );
  const timer = setTimeout(() => child.kill("SIGKILL"), checkTimeoutMs);
  await child.exited;
  clearTimeout(timer);
  return outcome;
}
