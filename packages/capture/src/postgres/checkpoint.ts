import type { CaptureContext } from "../capture.ts";
import type { Json } from "@weir/contract";
import type { PostgresCursor } from "./cursor.ts";
import { parseLsn } from "./lsn.ts";
import type { Lsn } from "./lsn.ts";

/** Saving is three fsyncs; under load, this often. Milliseconds. */
const saveEveryMs = 250;

/**
 * Saves the cursor, some time after it changed, and tells what may be acknowledged: never more than what a saved
 * cursor covers, so that a slot is never ahead of it.
 */
export class Checkpoint {
  readonly #cursor: PostgresCursor;
  readonly #save: CaptureContext["saveCursor"];
  readonly #saved: (lsn: Lsn) => void;
  readonly #fail: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    cursor: PostgresCursor,
    save: CaptureContext["saveCursor"],
    saved: (lsn: Lsn) => void,
    fail: (error: unknown) => void,
  ) {
    this.#cursor = cursor;
    this.#save = save;
    this.#saved = saved;
    this.#fail = fail;
  }

  /** The cursor has changed; everything it covers is durable. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.now().catch(this.#fail);
    }, saveEveryMs);
  }

  /** Saves what the cursor is at this moment. */
  async now(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { lsn } = this.#cursor;
    const cursor = structuredClone(this.#cursor) as unknown as Json;
    this.#running = this.#running.then(() => this.#save(cursor));
    await this.#running;
    this.#saved(parseLsn(lsn));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
