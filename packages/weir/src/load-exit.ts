import { syncBuiltinESMExports } from "node:module";
import { WeirError } from "@weir/contract";
import { callerOf, loadError } from "./load-error.ts";

/**
 * Loads what a user wrote, and takes an end of the process by it for a failure of it: a command that a project file ends with
 * code 0 would seem to have done its work. While it loads nobody but Weir ends the process, also no package that it imports; after that no file
 * of the user's does, as by a timer.
 *
 * @param file the project's
 * @throws WeirError `project_invalid`, also where what was thrown inside was caught there
 */
export async function withoutExit<T>(file: string, load: () => Promise<T>): Promise<T> {
  const exit = process.exit.bind(process);
  let isLoading = true;
  let refused: WeirError | undefined;
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  failed.catch(() => undefined);
  process.exit = (code?: number | string | null): never => {
    const called = new WeirError(
      "project_invalid",
      `The project ends the process, by process.exit(${code ?? ""}).`,
      {
        remedy: "A project file only declares: throw an error where something is wrong.",
      },
    );
    const caller = callerOf(called.stack ?? "");
    if (caller === "weir" || (!isLoading && caller !== "user")) return exit(code);
    refused ??= loadError(called, file);
    fail(refused);
    throw refused;
  };
  // Of a timer or a callback: nothing waits for what it throws.
  const uncaught = (error: unknown): void => fail(error);
  process.prependListener("uncaughtException", uncaught);
  syncBuiltinESMExports();
  try {
    const loaded = await Promise.race([load(), failed]);
    if (refused !== undefined) throw refused;
    return loaded;
  } finally {
    isLoading = false;
    process.off("uncaughtException", uncaught);
  }
}
