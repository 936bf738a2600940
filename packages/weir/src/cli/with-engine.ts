import type { Backend } from "../client/backend.ts";
import { withBackend } from "../client/open.ts";
import { dataDirOf } from "./place.ts";
import type { CommonOptions } from "./program.ts";
import type { Terminal } from "./terminal.ts";

/** After an erasure the engine starts again by itself, which takes as long as copying its state. */
const waitMs = 60_000;

/** Asks the engine of a command's data directory; one that is starting again is waited for, which standard error says. */
export const withEngine = <T>(
  terminal: Terminal,
  options: CommonOptions,
  work: (backend: Backend) => Promise<T>,
  patienceMs = waitMs,
): Promise<T> =>
  withBackend(dataDirOf(options), options.project, work, {
    waitMs: patienceMs,
    // With --json, standard error is an error or nothing.
    told: (text) => (terminal.json ? undefined : terminal.note(text)),
  });
