import type { Server } from "node:net";
import { failuresAfter, restartDelayMs } from "./backoff.ts";
import { Child } from "./child-process.ts";
import type { ChildExit } from "./child-process.ts";
import type { Logger } from "./logger.ts";
import type { FromChild, PlainError, ToChild } from "./messages.ts";
import { isPermanent } from "./permanent.ts";
import type { ProcessRole, ProcessState } from "./run-files.ts";

export interface SlotOptions {
  readonly name: string;
  readonly role: ProcessRole;
  /** The start message and, for a collector, the socket; asked for at every start. */
  readonly start: () => { message: ToChild & { type: "start" }; handle?: Server };
  readonly logger: Logger;
  /** Called after every change of `state`. */
  readonly onChange: () => void;
  /**
   * A start failed for a reason that does not go away by itself. Returns true to give up, false to go on trying (the
   * operator may repair the cause while another process keeps working).
   */
  readonly giveUp: (error: PlainError) => boolean;
  /** Milliseconds, monotonic. */
  readonly now?: () => number;
}

/** How long a child that was asked to stop may take before it is killed. Both roles are crash-safe. */
const stopGraceMs = 15_000;

/**
 * Keeps one process alive: starts it, starts it again after it ends (with a growing delay), until told to stop.
 *
 *     starting ──ready──▶ ready ──exit──▶ waiting ──delay──▶ starting
 *        │ exit ────────────────────────────▲
 *     ready ──the process asks for it──▶ exit ──at once──▶ starting
 *     any ──stop()──▶ stopping ──exit──▶ stopped
 */
export class Slot {
  readonly #options: SlotOptions;
  readonly #now: () => number;
  #child: Child | undefined;
  #identity: string | undefined;
  #state: ProcessState["state"] = "stopped";
  #readyAt: number | undefined;
  #startedAt: string | undefined;
  #failures = 0;
  /** It was asked to stop so that it can be started again. */
  #again = false;
  #restarts = 0;
  #lastError: ProcessState["lastError"];
  #status: ProcessState["status"];
  #reported: PlainError | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waiters: (() => void)[] = [];
  #onDrained: ((error: PlainError | undefined) => void) | undefined;

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
  }

  get name(): string {
    return this.#options.name;
  }

  get ready(): boolean {
    return this.#state === "ready";
  }

  /** Stopped by stop(), or given up. */
  get stopped(): boolean {
    return this.#state === "stopped";
  }

  /** The error of the last failed start or crash. */
  get lastError(): ProcessState["lastError"] {
    return this.#lastError;
  }

  start(): void {
    if (this.#state !== "stopped" && this.#state !== "waiting") return;
    clearTimeout(this.#timer);
    this.#reported = undefined;
    this.#readyAt = undefined;
    this.#identity = undefined;
    this.#startedAt = new Date().toISOString();
    const { message, handle } = this.#options.start();
    const child = new Child(this.#options.role, message, handle, (received) => {
      this.#receive(child, received);
    });
    this.#child = child;
    this.#change("starting");
    void this.#identify(child);
    void (async () => {
      this.#ended(await child.exited);
    })();
  }

  /** Resolves when the process is ready (true), or is stopped or given up, or after `timeoutMs` (false). */
  async whenReady(timeoutMs: number): Promise<boolean> {
    const deadline = this.#now() + timeoutMs;
    while (this.#state !== "ready" && this.#state !== "stopped") {
      const left = deadline - this.#now();
      if (left <= 0) return false;
      await this.#changed(left);
    }
    return this.#state === "ready";
  }

  /**
   * Asks the engine to load everything that the log holds. Starts it at once if it waits for a restart.
   *
   * @returns undefined when done, else why not
   */
  async drain(timeoutMs: number): Promise<PlainError | undefined> {
    const began = this.#now();
    if (this.#state === "waiting") this.start();
    const timedOut: PlainError = {
      code: "drain_timeout",
      message: `Not everything was loaded within ${Math.round(timeoutMs / 1000)} s; it is safe in the log.`,
    };
    if (!(await this.whenReady(timeoutMs))) {
      if (!this.stopped) return timedOut;
      return {
        code: "process_failed",
        message: `${this.name} does not run; what it has not loaded is safe in the log.`,
      };
    }
    const left = timeoutMs - (this.#now() - began);
    const child = this.#child;
    if (child === undefined || left <= 0) return timedOut;
    return await new Promise<PlainError | undefined>((resolve) => {
      // The engine keeps the time itself; a second more is for its answer.
      const timer = setTimeout(() => resolve(timedOut), left + 1000);
      this.#onDrained = (error) => {
        clearTimeout(timer);
        resolve(error);
      };
      child.send({ type: "drain", timeoutMs: left });
    });
  }

  /** Stops the process for good; resolves when it is gone. Killed when it does not stop within the grace time. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child === undefined) {
      this.#change("stopped");
      return;
    }
    this.#change("stopping");
    await this.#end(child);
  }

  /** Asks the child to end, and kills it when it has not within the grace time. */
  async #end(child: Child): Promise<void> {
    child.send({ type: "stop" });
    const killer = setTimeout(() => {
      this.#options.logger.log(
        "warn",
        `${this.name} did not stop within ${stopGraceMs / 1000} s and is killed`,
      );
      child.kill("SIGKILL");
    }, stopGraceMs);
    await child.exited;
    clearTimeout(killer);
  }

  kill(): void {
    clearTimeout(this.#timer);
    this.#change("stopping");
    this.#child?.kill("SIGKILL");
  }

  describe(): ProcessState {
    return {
      name: this.#options.name,
      role: this.#options.role,
      state: this.#state,
      ...(this.#child === undefined ? {} : { pid: this.#child.pid }),
      ...(this.#identity === undefined ? {} : { identity: this.#identity }),
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      restarts: this.#restarts,
      ...(this.#lastError === undefined ? {} : { lastError: this.#lastError }),
      ...(this.#status === undefined ? {} : { status: this.#status }),
    };
  }

  async #identify(child: Child): Promise<void> {
    const identity = await child.identity();
    if (this.#child !== child) return;
    this.#identity = identity;
    this.#options.onChange();
  }

  #receive(child: Child, message: FromChild): void {
    if (this.#child !== child) return;
    if (message.type === "ready") {
      this.#readyAt = this.#now();
      if (this.#state === "starting") this.#change("ready");
    } else if (message.type === "restart" && this.#state === "ready" && !this.#again) {
      this.#options.logger.log("info", `${this.name} is started again ${message.why}`, { slot: this.name });
      this.#again = true;
      void this.#end(child);
    } else if (message.type === "failed") {
      this.#reported = message.error;
    } else if (message.type === "status") {
      this.#status = message.status;
      this.#options.onChange();
    } else if (message.type === "drained") {
      this.#onDrained?.(message.error);
      this.#onDrained = undefined;
    }
  }

  #ended(exit: ChildExit): void {
    this.#child = undefined;
    const how = exit.signal === null ? `with code ${exit.code}` : `by ${exit.signal}`;
    const error = this.#reported ?? { code: "process_failed", message: `${this.name} ended ${how}.` };
    this.#onDrained?.(error);
    this.#onDrained = undefined;
    if (this.#state === "stopping") {
      this.#change("stopped");
      return;
    }
    if (this.#again && exit.code === 0) {
      this.#again = false;
      this.#change("waiting");
      this.start();
      return;
    }
    this.#again = false;
    this.#lastError = { code: error.code, message: error.message, at: new Date().toISOString() };
    if (isPermanent(error) && this.#options.giveUp(error)) {
      this.#change("stopped");
      return;
    }
    const readyMs = this.#readyAt === undefined ? 0 : this.#now() - this.#readyAt;
    this.#failures = failuresAfter(this.#failures, readyMs);
    const delayMs = restartDelayMs(this.#failures);
    this.#restarts += 1;
    this.#options.logger.log("error", `${this.name} ended ${how}; starting it again in ${delayMs / 1000} s`, {
      slot: this.name,
      error: this.#reported,
      restarts: this.#restarts,
    });
    this.#change("waiting");
    this.#timer = setTimeout(() => this.start(), delayMs);
  }

  #change(state: ProcessState["state"]): void {
    this.#state = state;
    this.#options.onChange();
    for (const wake of this.#waiters.splice(0)) wake();
  }

  async #changed(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      // Timers longer than 2^31 ms fire at once; the caller looks at its own deadline again.
      const timer = setTimeout(resolve, Math.min(timeoutMs, 60_000));
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
