import { setTimeout as pause } from "node:timers/promises";
import type { LogStore } from "@weir/log";
import type { Backend } from "../client/backend.ts";
import { isWeirError } from "../processes/messages.ts";

/** Segments that wait to be loaded at most; of 4 MB each. */
const mostWaiting = 8;
export const segmentBytes = 4 * 1_048_576;
const askEveryMs = 200;
/** An engine that starts, or starts again, is waited for. */
const passing = new Set(["engine_unavailable", "not_running", "engine_locked"]);

/**
 * Bounds what a backfill has in the log that is not loaded: an appender that is ahead of the engine waits. Where no instance
 * runs, the backend loads it itself.
 */
export class Backlog {
  readonly #store: LogStore;
  readonly #stream: { readonly source: string; readonly writer: string };
  readonly #withBackend: <T>(work: (backend: Backend) => Promise<T>) => Promise<T>;
  readonly #onWait: () => void;
  #unasked = 0;

  constructor(options: {
    readonly store: LogStore;
    readonly source: string;
    readonly writer: string;
    readonly withBackend: <T>(work: (backend: Backend) => Promise<T>) => Promise<T>;
    /** Called again and again while it waits. */
    readonly onWait: () => void;
  }) {
    this.#store = options.store;
    this.#stream = { source: options.source, writer: options.writer };
    this.#withBackend = options.withBackend;
    this.#onWait = options.onWait;
  }

  /** Resolves when there is room for so many bytes more. @throws WeirError what the backend throws and does not pass */
  async admit(bytes: number, signal: AbortSignal): Promise<void> {
    this.#unasked += bytes;
    if (this.#unasked < segmentBytes) return;
    this.#unasked = 0;
    while ((await this.#waiting(signal)) > mostWaiting) {
      this.#onWait();
      await pause(askEveryMs, undefined, { signal });
    }
  }

  /** Resolves when everything that is sealed is loaded. */
  async drained(signal: AbortSignal): Promise<void> {
    while ((await this.#waiting(signal, true)) > 0) {
      this.#onWait();
      await pause(askEveryMs, undefined, { signal });
    }
  }

  async #waiting(signal: AbortSignal, all = false): Promise<number> {
    const { source, writer } = this.#stream;
    const heads = await this.#store.heads();
    const head = heads.find((one) => one.source === source && one.writer === writer);
    const sealed = head?.sealed ?? 0;
    // What cannot be waiting in such a number needs no question.
    if (!all && sealed <= mostWaiting) return 0;
    try {
      return await this.#withBackend(async (backend) => {
        const committed = await backend.committedSegment(source, writer);
        const waiting = sealed - committed;
        if (backend.instance !== undefined || waiting <= (all ? 0 : mostWaiting)) return waiting;
        await backend.drain(3_600_000);
        return 0;
      });
    } catch (error) {
      if (!isWeirError(error) || !passing.has(error.code)) throw error;
      signal.throwIfAborted();
      return Infinity;
    }
  }
}
