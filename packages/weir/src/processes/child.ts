import type { Server } from "node:net";
import type { Runtime } from "../load.ts";
import { createLogger } from "./logger.ts";
import type { Logger } from "./logger.ts";
import { toPlainError } from "./messages.ts";
import type { FromChild, ToChild } from "./messages.ts";

/** What `bin/child.mjs` hands over. */
export interface ChildRuntime extends Runtime {
  readonly onDisconnect: (listener: () => void) => void;
  readonly takeMessages: (listener: (message: ToChild, handle: Server | undefined) => void) => void;
}

/** A role of a child, once it runs. Each method is called at most once at a time. */
export interface RunningRole {
  /** Loads all that the log holds; a collector has nothing to drain. */
  drain(timeoutMs: number): Promise<void>;
  /** Finishes what is in flight and closes everything. */
  stop(): Promise<void>;
}

/** What a role gets when it starts. */
export interface RoleContext {
  readonly runtime: Runtime;
  readonly logger: Logger;
  readonly handle: Server | undefined;
  readonly send: (message: FromChild) => void;
  /** Ends the process with an error that the supervisor reports; for what fails after the start. */
  readonly fail: (error: unknown) => void;
}

/** How long an orphan may take to finish what is in flight. Both roles are crash-safe. */
const orphanGraceMs = 10_000;

/** Runs a child process until its supervisor says stop or is gone. The process exits by itself. */
export async function runChild(runtime: ChildRuntime): Promise<void> {
  let role: Promise<RunningRole | undefined> | undefined;
  let ending = false;

  const end = async (code: number): Promise<void> => {
    if (ending) return;
    ending = true;
    try {
      await (await role)?.stop();
    } finally {
      process.exit(code);
    }
  };
  const fail = (error: unknown): void => {
    // The report must leave before the process does.
    const report: FromChild = { type: "failed", error: toPlainError(error) };
    if (process.connected) process.send?.(report, undefined, undefined, () => process.exit(1));
    else process.exit(1);
  };

  runtime.onDisconnect(() => {
    setTimeout(() => process.exit(1), orphanGraceMs);
    void end(0);
  });
  process.on("uncaughtException", fail);

  runtime.takeMessages((message, handle) => {
    if (message.type === "start") {
      const logger = createLogger(message.name, message.logFormat);
      const send = (reply: FromChild): void => {
        if (process.connected) process.send?.(reply);
      };
      role = startRole(message, { runtime, logger, handle, send, fail }).then(
        (started) => {
          if (started !== undefined) send({ type: "ready" });
          return started;
        },
        (error: unknown) => {
          fail(error);
          return undefined;
        },
      );
    } else if (message.type === "drain") {
      void drain(role, message.timeoutMs);
    } else {
      void end(0);
    }
  });
}

async function startRole(
  start: ToChild & { type: "start" },
  context: RoleContext,
): Promise<RunningRole | undefined> {
  const { settings } = start;
  if (settings.kind === "collector") {
    return await (await import("./collector-role.ts")).startCollector(settings, context);
  }
  if (settings.kind === "engine")
    return await (await import("./engine-role.ts")).startEngine(settings, context);
  if (settings.kind === "capture")
    return await (await import("./capture-role.ts")).startCapture(settings, context);
  await (await import("./checker-role.ts")).runChecker(settings, context);
  return undefined;
}

async function drain(role: Promise<RunningRole | undefined> | undefined, timeoutMs: number): Promise<void> {
  let reply: FromChild;
  try {
    await (await role)?.drain(timeoutMs);
    reply = { type: "drained" };
  } catch (error) {
    reply = { type: "drained", error: toPlainError(error) };
  }
  if (process.connected) process.send?.(reply);
}
