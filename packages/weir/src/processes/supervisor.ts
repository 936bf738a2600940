import type { TlsFiles } from "@weir/collect";
import { WeirError } from "@weir/contract";
import { checkInChild } from "./check.ts";
import { bindShared } from "./listen.ts";
import type { SharedSocket } from "./listen.ts";
import { acquireDuty } from "./lock.ts";
import type { Duty, DutyLock } from "./lock.ts";
import type { LogFormat, Logger } from "./logger.ts";
import { fromPlainError } from "./messages.ts";
import type { PlainError } from "./messages.ts";
import { awaitPredecessors } from "./predecessors.ts";
import { engineSocketPath, prepareRunDir, removeInstanceFile, writeInstanceFile } from "./run-files.ts";
import type { InstanceFile, InstanceFileName, ProcessState } from "./run-files.ts";
import { Slot } from "./slot.ts";

export type Role = "all" | "collect" | "engine" | "capture";

export interface SupervisorOptions {
  readonly projectFile: string;
  readonly dataDir: string;
  readonly role: Role;
  readonly collectors: number;
  readonly host: string;
  readonly port: number;
  /** The collectors speak HTTPS. */
  readonly tls?: TlsFiles | undefined;
  readonly drainTimeoutMs: number;
  readonly logFormat: LogFormat;
  readonly logger: Logger;
}

/** How long a new version of the project may take to become ready in `weir dev`. */
const reloadReadyMs = 60_000;

/**
 * Runs an instance: forks the collectors and the engine, restarts what ends, stops all in the order that loses
 * nothing. It never loads the project itself, so that nothing in a project file can stop it.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #runDir: string;
  readonly #engineSocket: string;
  readonly #socket: SharedSocket | undefined;
  readonly #locks: readonly DutyLock[];
  readonly #startedAt = new Date().toISOString();
  #collectors: Slot[] = [];
  #captures: Slot[] = [];
  /** Which sources to capture is known once the project was loaded, which a process of its own does. */
  #capturing: Promise<void> = Promise.resolve();
  /** Collectors of the version before a reload that are still finishing. */
  readonly #retiring = new Set<Slot>();
  readonly #engine: Slot | undefined;
  #up = false;
  #stopping: Promise<void> | undefined;
  #publishing: Promise<void> | undefined;
  #publishAgain = false;
  #reloading = false;
  #fatal: PlainError | undefined;
  #fail: (error: WeirError) => void = () => {};
  readonly #failed: Promise<never>;

  /**
   * Takes the data directory and the port, then starts the processes.
   *
   * @returns as soon as they are started; `ready()` says when they work
   * @throws WeirError `tls_invalid`, `data_dir_unwritable`, `already_running`, `port_in_use`, `address_unavailable`
   */
  static async start(options: SupervisorOptions): Promise<Supervisor> {
    if (options.tls !== undefined) (await import("@weir/collect")).readValidTlsPair(options.tls);
    const runDir = await prepareRunDir(options.dataDir);
    const duties: Duty[] = options.role === "all" ? ["collect", "engine", "capture"] : [options.role];
    const locks: DutyLock[] = [];
    try {
      for (const duty of duties) locks.push(await acquireDuty(runDir, duty));
      for (const file of instanceFiles(options.role)) await awaitPredecessors(runDir, file, options.logger);
      const engineSocket = engineSocketPath(runDir);
      const collects = options.role === "all" || options.role === "collect";
      const socket = collects ? await bindShared(options.host, options.port, options.tls) : undefined;
      const supervisor = new Supervisor(options, runDir, engineSocket, socket, locks);
      await supervisor.#begin();
      return supervisor;
    } catch (error) {
      for (const lock of locks) await lock.release();
      throw error;
    }
  }

  private constructor(
    options: SupervisorOptions,
    runDir: string,
    engineSocket: string,
    socket: SharedSocket | undefined,
    locks: readonly DutyLock[],
  ) {
    this.#options = options;
    this.#runDir = runDir;
    this.#engineSocket = engineSocket;
    this.#socket = socket;
    this.#locks = locks;
    this.#failed = new Promise((_resolve, reject) => {
      this.#fail = reject;
    });
    // The failure is also seen by whoever awaits ready() or failed; without anyone it is not an unhandled rejection.
    this.#failed.catch(() => {});
    this.#engine = options.role === "all" || options.role === "engine" ? this.#engineSlot() : undefined;
  }

  /** Where clients reach the collector; undefined when this instance has none. */
  get url(): string | undefined {
    return this.#socket?.url;
  }

  get engineSocket(): string {
    return this.#engineSocket;
  }

  /** Rejects with the WeirError that stopped the instance by itself; stays pending otherwise. */
  get failed(): Promise<never> {
    return this.#failed;
  }

  /**
   * Resolves once every process is ready (true), or when the instance was stopped before (false).
   *
   * @throws WeirError the reason, when a process cannot start
   */
  async ready(): Promise<boolean> {
    await this.#capturing;
    const all = await Promise.all(this.#slots().map((slot) => slot.whenReady(Number.MAX_SAFE_INTEGER)));
    this.#up = all.every(Boolean);
    if (this.#up) return true;
    await this.#stopping;
    if (this.#fatal !== undefined) throw fromPlainError(this.#fatal);
    return false;
  }

  /**
   * Replaces the processes by ones that load the project anew: the engine first, so that no record of a new contract
   * meets the old program; then collectors, the old ones accepting until the new ones do.
   *
   * @throws WeirError when the new version does not become ready; old collectors then go on
   */
  async reload(): Promise<void> {
    if (this.#engine !== undefined) {
      await this.#engine.stop();
      if (this.#stopping !== undefined) return;
      this.#reloading = true;
      this.#engine.start();
      const ready = await this.#engine.whenReady(reloadReadyMs);
      this.#reloading = false;
      if (!ready && this.#stopping === undefined) throw notReady(this.#engine);
    }
    await this.#restartCaptures();
    if (this.#socket === undefined || this.#stopping !== undefined) return;
    const fresh: Slot[] = [];
    for (let i = 0; i < this.#options.collectors; i++) fresh.push(this.#collectorSlot(fresh));
    for (const slot of fresh) slot.start();
    const ready = await Promise.all(fresh.map((slot) => slot.whenReady(reloadReadyMs)));
    const failed = fresh.find((_slot, i) => ready[i] !== true);
    const retire = failed === undefined ? this.#collectors : fresh;
    if (failed === undefined) this.#collectors = fresh;
    for (const slot of retire) this.#retire(slot);
    if (failed !== undefined && this.#stopping === undefined) throw notReady(failed);
  }

  /**
   * Stops without losing or delaying anything acknowledged: collectors finish their requests and seal, the engine
   * loads all of it (for `drainTimeoutMs` at most; the rest stays in the log), then everything is released.
   */
  async stop(options: { drain: boolean } = { drain: true }): Promise<void> {
    this.#stopping ??= this.#stop(options.drain);
    await this.#stopping;
  }

  /** Ends every process now. What was acknowledged is in the log and is loaded at the next start. */
  kill(): void {
    for (const slot of this.#slots()) slot.kill();
  }

  processes(): ProcessState[] {
    return this.#slots().map((slot) => slot.describe());
  }

  async #begin(): Promise<void> {
    if (this.#socket !== undefined) {
      for (let i = 0; i < this.#options.collectors; i++) this.#collectors.push(this.#collectorSlot([]));
    }
    for (const slot of this.#slots()) slot.start();
    this.#capturing = this.#startCaptures();
    // ready() and stop() wait for it and report.
    this.#capturing.catch(() => {});
    await this.#publish();
  }

  /** A process for each source that is pulled. A project that cannot be loaded is for the other processes to report. */
  async #startCaptures(): Promise<void> {
    const { role, projectFile, logFormat } = this.#options;
    if (role !== "all" && role !== "capture") return;
    const { summary, error } = await checkInChild(projectFile, logFormat);
    if (this.#stopping !== undefined) return;
    if (error !== undefined && role === "capture") this.#giveUp(error);
    for (const { name, pulled } of summary?.sources ?? []) {
      if (!pulled) continue;
      const slot = this.#captureSlot(name);
      this.#captures.push(slot);
      slot.start();
    }
  }

  async #restartCaptures(): Promise<void> {
    await this.#capturing;
    await Promise.all(this.#captures.map((slot) => slot.stop()));
    this.#captures = [];
    if (this.#stopping !== undefined) return;
    this.#capturing = this.#startCaptures();
    await this.#capturing;
  }

  async #stop(drain: boolean): Promise<void> {
    const { logger, drainTimeoutMs } = this.#options;
    await this.#capturing.catch(() => {});
    const writers = [...this.#collectors, ...this.#retiring, ...this.#captures];
    await Promise.all(writers.map((slot) => slot.stop()));
    // Clients are refused from here on: held open, the socket would let them wait for nothing during the drain.
    this.#socket?.close();
    const engine = this.#engine;
    if (engine !== undefined && drain && !engine.stopped) {
      const error = await engine.drain(drainTimeoutMs);
      if (error !== undefined) logger.log("warn", "stopped before everything was loaded", { error });
    }
    await engine?.stop();
    await this.#release();
  }

  async #release(): Promise<void> {
    await this.#publishing;
    for (const file of instanceFiles(this.#options.role)) await removeInstanceFile(this.#runDir, file);
    for (const lock of this.#locks) await lock.release();
  }

  #engineSlot(): Slot {
    const { projectFile, dataDir, logFormat, logger } = this.#options;
    return new Slot({
      name: "engine",
      role: "engine",
      logger,
      start: () => ({
        message: {
          type: "start",
          name: "engine",
          logFormat,
          settings: {
            kind: "engine",
            projectFile,
            dataDir,
            runDir: this.#runDir,
            engineSocket: this.#engineSocket,
            localOnly: this.#socket?.localOnly ?? false,
          },
        },
      }),
      onChange: () => void this.#publish(),
      // Once the instance is up, an engine that cannot start must not end the acknowledging of records: it is tried
      // again and again, or, in a reload, once the project file changes.
      giveUp: (error) => this.#reloading || (!this.#up && this.#giveUp(error)),
    });
  }

  #captureSlot(source: string): Slot {
    const { projectFile, dataDir, logFormat, logger } = this.#options;
    const name = `capture-${source}`;
    return new Slot({
      name,
      role: "capture",
      logger,
      start: () => ({
        message: {
          type: "start",
          name,
          logFormat,
          settings: { kind: "capture", projectFile, dataDir, source },
        },
      }),
      onChange: () => void this.#publish(),
      // One source that cannot be captured stops no other, and may be mended where it is.
      giveUp: () => false,
    });
  }

  /** @param siblings slots made at the same time, whose writer names are taken too */
  #collectorSlot(siblings: readonly Slot[]): Slot {
    const { projectFile, dataDir, logFormat, logger, tls } = this.#options;
    const socket = this.#socket;
    if (socket === undefined) throw new TypeError("an instance without a socket has no collectors");
    const taken = new Set([...this.#slots(), ...siblings].map((slot) => slot.name));
    // The lowest free name: names repeat across reloads and restarts, so the log does not gather streams.
    let index = 0;
    while (taken.has(`c${index}`)) index += 1;
    const name = `c${index}`;
    const slot: Slot = new Slot({
      name,
      role: "collector",
      logger,
      start: () => ({
        message: {
          type: "start",
          name,
          logFormat,
          settings: {
            kind: "collector",
            projectFile,
            dataDir,
            writer: name,
            engineSocket: this.#engineSocket,
            url: socket.url,
            tls,
          },
        },
        handle: socket.handle,
      }),
      onChange: () => void this.#publish(),
      giveUp: (error) => {
        // One of a new version that never worked: reload() reports it and the old ones go on.
        if (!this.#collectors.includes(slot)) return true;
        return !this.#collectors.some((other) => other.ready) && this.#giveUp(error);
      },
    });
    return slot;
  }

  #giveUp(error: PlainError): true {
    this.#fatal = error;
    void (async () => {
      await this.stop({ drain: false });
      this.#fail(fromPlainError(error));
    })();
    return true;
  }

  #retire(slot: Slot): void {
    this.#retiring.add(slot);
    void (async () => {
      await slot.stop();
      this.#retiring.delete(slot);
    })();
  }

  #slots(): Slot[] {
    const engine = this.#engine === undefined ? [] : [this.#engine];
    return [...this.#collectors, ...this.#retiring, ...this.#captures, ...engine];
  }

  /** Writes the instance file; calls during a write are gathered into one more. */
  async #publish(): Promise<void> {
    if (this.#publishing !== undefined) {
      this.#publishAgain = true;
      return;
    }
    this.#publishing = (async () => {
      do {
        this.#publishAgain = false;
        const file: InstanceFile = {
          pid: process.pid,
          ...(this.#socket === undefined ? {} : { url: this.#socket.url }),
          ...(this.#engine === undefined ? {} : { socket: this.#engineSocket }),
          startedAt: this.#startedAt,
          processes: this.processes(),
        };
        for (const name of instanceFiles(this.#options.role))
          await writeInstanceFile(this.#runDir, name, file);
      } while (this.#publishAgain);
    })();
    try {
      await this.#publishing;
    } catch (cause) {
      this.#options.logger.log("warn", `cannot write the instance file: ${(cause as Error).message}`);
    } finally {
      this.#publishing = undefined;
    }
  }
}

function instanceFiles(role: Role): InstanceFileName[] {
  if (role === "engine") return ["engine.json"];
  return role === "capture" ? ["capture.json"] : ["weir.json"];
}

function notReady(slot: Slot): WeirError {
  const last = slot.lastError;
  return new WeirError(
    "process_failed",
    last === undefined
      ? `${slot.name} did not become ready.`
      : `${slot.name} did not become ready: ${last.code}: ${last.message}`,
  );
}
