import { dirname, join } from "node:path";
import { runCapture } from "@weir/capture";
import type { CaptureStatus } from "@weir/capture";
import { WeirError } from "@weir/contract";
import { directoryStore } from "@weir/log";
import { captureStateDir, createCapture } from "../connectors.ts";
import { loadProject } from "../load.ts";
import type { RoleContext, RunningRole } from "./child.ts";
import type { CaptureSettings } from "./messages.ts";

/** How often the supervisor hears of a source at most. */
const statusEveryMs = 1_000;

/**
 * Captures one source of a project. The process is up once the source's stream and cursor are its own; that the source
 * itself does not answer ends it with an error, and the supervisor starts it again after a growing delay.
 */
export async function startCapture(settings: CaptureSettings, context: RoleContext): Promise<RunningRole> {
  const { logger, send } = context;
  const { source, dataDir } = settings;
  const { project } = await loadProject(settings.projectFile);
  const capture = await createCapture(project, {
    source,
    stateDir: captureStateDir(dataDir, source),
    baseDir: dirname(settings.projectFile),
  });
  const store = directoryStore(join(dataDir, "log"), {
    onEvent: (event) => logger.log("warn", `${event.source}/${event.writer}: ${event.message}`, { event }),
  });
  const statuses = new StatusRelay((status) => send({ type: "status", status }));
  let stopping = false;
  const running = await runCapture({
    source,
    capture,
    store,
    dataDir,
    log: (level, message, fields) => logger.log(level, message, { source, ...fields }),
    onStatus: (status) => statuses.set(status),
  });
  void (async () => {
    try {
      await running.ended;
      if (!stopping) context.fail(new WeirError("capture_failed", `Capturing ${source} ended by itself.`));
    } catch (error) {
      if (!stopping) context.fail(error);
    }
  })();
  return {
    drain: async () => {
      await Promise.resolve();
    },
    stop: async () => {
      stopping = true;
      statuses.stop();
      await running.stop();
    },
  };
}

/** Passes on the newest status, at most one a second. */
class StatusRelay {
  readonly #send: (status: CaptureStatus) => void;
  readonly #timer: NodeJS.Timeout;
  #newest: CaptureStatus | undefined;

  constructor(send: (status: CaptureStatus) => void) {
    this.#send = send;
    this.#timer = setInterval(() => this.#flush(), statusEveryMs).unref();
  }

  set(status: CaptureStatus): void {
    this.#newest = status;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#flush();
  }

  #flush(): void {
    if (this.#newest === undefined) return;
    this.#send(this.#newest);
    this.#newest = undefined;
  }
}
