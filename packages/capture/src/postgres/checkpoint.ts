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
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #stopped = false;
  /** Called with the position of a cursor once it is saved. */
  onSaved: (lsn: Lsn) => void = () => {};
  /** Called when saving fails that nobody waits for. */
  onFailed: (error: unknown) => void = () => {};

  constructor(cursor: PostgresCursor, save: CaptureContext["saveCursor"]) {
    this.#cursor = cursor;
    this.#save = save;
  }

  /** The cursor has changed; everything it covers is durable. */
  changed(): void {
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => {
      this.now().catch((error: unknown) => this.onFailed(error));
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
    this.onSaved(parseLsn(lsn));
  }

  /** Saves nothing any more; resolves when what is being saved is. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopped = true;
    await this.#running.catch(() => undefined);
  }
}
