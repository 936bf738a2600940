import { WeirError } from "@weir/contract";
import type { CaptureContext } from "../capture.ts";
import type { FileLedger } from "./ledger.ts";

/** Saving takes at most this share of the time: the ledger is written whole, and there may be 10,000 small files to read. */
const share = 20;

/**
 * Saves a ledger now and then. Every state of it is a good one to go on from: what was read since is read again, and ids make
 * duplicates of it.
 */
export class LedgerSaver {
  readonly #ledger: FileLedger;
  readonly #context: CaptureContext;
  #isChanged = false;
  #savedMs = -Infinity;
  #tookMs = 0;

  constructor(ledger: FileLedger, context: CaptureContext) {
    this.#ledger = ledger;
    this.#context = context;
  }

  /** Notes a change. Saves it if the last saving is long enough ago, at least `everyMs`. Returns whether it did. */
  async changed(everyMs: number): Promise<boolean> {
    this.#isChanged = true;
    if (performance.now() - this.#savedMs < Math.max(everyMs, this.#tookMs * share)) return false;
    await this.flush();
    return true;
  }

  /**
   * Saves what has changed.
   *
   * @throws WeirError `capture_failed`, as no fault of a file's
   */
  async flush(): Promise<void> {
    if (!this.#isChanged) return;
    const startMs = performance.now();
    try {
      await this.#context.saveCursor(this.#ledger.toJSON());
    } catch (cause) {
      const message = `What was read cannot be remembered: ${(cause as Error).message}.`;
      throw new WeirError("capture_failed", message, { where: `source ${this.#context.source}`, cause });
    }
    this.#isChanged = false;
    this.#savedMs = performance.now();
    this.#tookMs = this.#savedMs - startMs;
  }
}
