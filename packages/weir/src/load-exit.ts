import { syncBuiltinESMExports } from "node:module";
import { WeirError } from "@weir/contract";
import { isCalledByWeir } from "./load-error.ts";

/**
 * Loads what a user wrote, and takes an end of the process meanwhile for a failure of it: a command that a project file ends with
 * code 0 would seem to have done its work. What Weir itself ends is ended, as where the supervisor of a process is gone.
 *
 * @throws WeirError `project_invalid`, also where what it threw inside was caught there
 */
export async function withoutExit<T>(load: () => Promise<T>): Promise<T> {
  const exit = process.exit.bind(process);
  let refused: WeirError | undefined;
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_resolve, reject) => (fail = reject));
  failed.catch(() => undefined);
  const refuse = (code?: number | string | null): never => {
    const called = new WeirError(
      "project_invalid",
      `It ended the process, by process.exit(${code ?? ""}), while it was loaded.`,
      { remedy: "A project file only declares: throw an error where something is wrong." },
    );
    if (isCalledByWeir(called.stack ?? "")) return exit(code);
    refused ??= called;
    fail(refused);
    throw refused;
  };
  // Of a timer or a callback: nothing waits for what it throws.
  const uncaught = (error: unknown): void => fail(error);
  process.exit = refuse;
  process.prependListener("uncaughtException", uncaught);
  syncBuiltinESMExports();
  try {
    const loaded = await Promise.race([load(), failed]);
    if (refused !== undefined) throw refused;
    return loaded;
  } finally {
    process.exit = exit;
    process.off("uncaughtException", uncaught);
    syncBuiltinESMExports();
  }
}
