import { WeirError } from "@weir/contract";
import type { SegmentWriter } from "@weir/log";

/** A source's way into the log, and whether it is open. */
export class SourceWriter {
  readonly #writer: SegmentWriter;
  #failure: WeirError | undefined;
  #probing = false;

  constructor(writer: SegmentWriter) {
    this.#writer = writer;
  }

  /**
   * Resolves when the lines are durable. `lines` and `lengths` may be used again as soon as this returns.
   *
   * @throws WeirError of the log; `log_append_too_large` is the request's fault, all others mean that the log refuses everybody
   */
  async append(lines: Uint8Array, lengths: Uint32Array): Promise<void> {
    try {
      await this.#writer.append(lines, lengths);
      this.#failure = undefined;
    } catch (error) {
      if (error instanceof WeirError && error.code !== "log_append_too_large") this.#failure = error;
      throw error;
    }
  }

  /**
   * Why the next append would probably fail; undefined if nothing speaks against it. After a failure it keeps trying the log
   * itself: traffic that would show the recovery may stay away exactly because this says so.
   */
  problem(): WeirError | undefined {
    if (this.#failure !== undefined) void this.#probe();
    if (this.#failure !== undefined) return this.#failure;
    if (this.#writer.stats().full)
      return new WeirError("log_full", `The log of source ${this.#writer.source} is full.`);
    return undefined;
  }

  /** Sealing makes the writer repair and verify what failed before; with nothing to seal and nothing broken it does nothing. */
  async #probe(): Promise<void> {
    if (this.#probing) return;
    this.#probing = true;
    const probed = this.#failure;
    try {
      await this.#writer.seal();
      if (this.#failure === probed) this.#failure = undefined;
    } catch (error) {
      if (error instanceof WeirError) this.#failure = error;
    } finally {
      this.#probing = false;
    }
  }

  /** Seals what is there and gives the stream free. */
  close(): Promise<void> {
    return this.#writer.close();
  }
}
