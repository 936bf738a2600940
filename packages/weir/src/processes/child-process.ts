import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import type { Server } from "node:net";
import { fileURLToPath } from "node:url";
import { identifyProcess } from "./identity.ts";
import type { FromChild, ToChild } from "./messages.ts";
import type { ProcessRole } from "./run-files.ts";

const entry = fileURLToPath(new URL("../../bin/child.mjs", import.meta.url));

/** How a child ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One forked process and its message channel; knows nothing of restarts. */
export class Child {
  readonly pid: number;
  /** Resolves once the process is gone, and never rejects. */
  readonly exited: Promise<ChildExit>;
  readonly #process: ChildProcess;

  /**
   * Forks `bin/child.mjs <role>` and sends `start`, with the listening socket if there is one. Standard error is
   * shared with this process; standard output is not, because a command's output must hold nothing but its result.
   */
  constructor(
    role: ProcessRole | "checker",
    start: ToChild & { type: "start" },
    handle: Server | undefined,
    onMessage: (message: FromChild) => void,
  ) {
    this.#process = fork(entry, [role], {
      execArgv: [],
      // Each running DuckDB statement holds one thread of libuv's pool, and file system calls need some too; the pool's
      // default of 4 would let two lanes, a commit and a query stop everything else.
      env: { ...process.env, UV_THREADPOOL_SIZE: process.env["UV_THREADPOOL_SIZE"] ?? "16" },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    this.pid = this.#process.pid ?? 0;
    this.exited = new Promise((resolve) => {
      this.#process.once("exit", (code, signal) => resolve({ code, signal }));
      this.#process.once("error", (error) => {
        // Without a pid the fork itself failed and "exit" never comes.
        if (this.#process.pid === undefined)
          resolve({ code: (error as { errno?: number }).errno ?? -1, signal: null });
      });
    });
    this.#process.on("message", (message) => {
      onMessage(message as FromChild);
    });
    this.#send(start, handle);
  }

  send(message: ToChild): void {
    this.#send(message, undefined);
  }

  kill(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** `started` of the process's identity, for a successor of the supervisor; undefined when it has gone already. */
  async identity(): Promise<string | undefined> {
    return (await identifyProcess(this.pid))?.started;
  }

  #send(message: ToChild, handle: Server | undefined): void {
    if (!this.#process.connected) return;
    // A child may die between the look and the write; "exit" tells, so the error of the write does not matter.
    this.#process.send(message, handle, { keepOpen: true }, () => {});
  }
}
