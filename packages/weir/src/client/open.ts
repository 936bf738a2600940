import { setTimeout as delay } from "node:timers/promises";
import { WeirError } from "@weir/contract";
import { findProject } from "../load.ts";
import { isWeirError } from "../processes/messages.ts";
import { dataDirExists } from "../processes/run-files.ts";
import type { Backend } from "./backend.ts";
import { findInstance } from "./find.ts";
import { HttpBackend } from "./http-backend.ts";
import type { Patience } from "./patience.ts";

/** How long another command that has the data open, or an instance that is just starting, is waited for. */
const lockedMs = 5_000;

const impatient: Patience = { waitMs: 0, told: () => undefined };

/**
 * The engine of a data directory: of the instance that runs on it, else opened here.
 *
 * @param project the project file as given on the command line; looked for only when no instance runs
 * @param patience with an engine of an instance that does not answer; none by default
 * @throws WeirError `not_running` when nothing has ever run on the data directory; `engine_locked` when something that
 *   is no instance has it open
 */
export async function openBackend(
  dataDir: string,
  project: string | undefined,
  patience: Patience = impatient,
): Promise<Backend> {
  if (!(await dataDirExists(dataDir))) {
    throw new WeirError("not_running", "There is no data directory yet, and no instance runs.", {
      where: dataDir,
      remedy: "Start one with weir up, or name the data directory with --data-dir.",
    });
  }
  const isThere = async (): Promise<boolean> => (await findInstance(dataDir)) !== undefined;
  const deadline = performance.now() + lockedMs;
  for (;;) {
    const found = await findInstance(dataDir);
    if (found !== undefined) return new HttpBackend(found, patience, isThere);
    const projectFile = findProject(project);
    // DuckDB takes 0.2 s to load, so only where it is used.
    const { DirectBackend } = await import("./direct-backend.ts");
    try {
      return await DirectBackend.open(projectFile, dataDir);
    } catch (error) {
      const locked = isWeirError(error) && error.code === "engine_locked";
      if (!locked || performance.now() > deadline) throw error;
      await delay(50);
    }
  }
}

/** Opens, works and closes. */
export async function withBackend<T>(
  dataDir: string,
  project: string | undefined,
  work: (backend: Backend) => Promise<T>,
  patience?: Patience,
): Promise<T> {
  const backend = await openBackend(dataDir, project, patience);
  try {
    return await work(backend);
  } finally {
    await backend.close();
  }
}
