import { setTimeout as pause } from "node:timers/promises";
import type { CaptureContext, CapturedRecord } from "../capture.ts";
import type { ChangeBatch, ChangeReader } from "./change-reader.ts";
import { formatLsn } from "./lsn.ts";
import type { Lsn } from "./lsn.ts";
import { ConnectionLost, literal, identifier } from "./wire.ts";
import type { CopySink, Wire } from "./wire.ts";

/** Characters of records that may wait for the log before reading from the socket stops. */
const maxInFlight = 24 * 1024 * 1024;
/** A batch this large does not wait for the one before it. */
const fullBatch = 1024 * 1024;

/** What a batch that is durable in our log, as all before it are, makes true. */
export interface Progress {
  /** Everything committed before is durable; undefined: as before. */
  readonly lsn: Lsn | undefined;
  /** When the last transaction before it was committed, if one was. */
  readonly at: string | undefined;
  readonly schemas: ReadonlyMap<string, string>;
}

export interface ReplicationOptions {
  readonly wire: Wire;
  readonly reader: ChangeReader;
  readonly slot: string;
  readonly publication: string;
  readonly from: Lsn;
  readonly append: CaptureContext["append"];
  /** Records that complete a batch; the batch's positions are not durable before they are. */
  readonly complete: (batch: ChangeBatch) => Promise<readonly CapturedRecord[]>;
  /** Called in order, after all that came before is durable. */
  readonly durable: (progress: Progress) => void;
  /** A batch holds something that needs a look at the tables. */
  readonly noticed: (batch: ChangeBatch) => void;
  /** From wal_sender_timeout; 0: it has none. Milliseconds. */
  readonly serverTimeoutMs: number;
}

/** A server that is in the midst of a large transaction answers when it pleases. */
const endWithinMs = 3_000;

/** Without a timeout of the server a silent connection is found dead in twice this time. */
const assumedTimeoutMs = 60_000;

/**
 * Streams from a slot into the log, as records.
 *
 * Nothing is acknowledged to the server but positions given to `acknowledge`, which the caller calls with what its
 * saved cursor covers. Backpressure: beyond `maxInFlight` the socket is not read, while status messages go on, so that
 * the server does not take us for dead.
 */
export class Replication {
  readonly #options: ReplicationOptions;
  readonly #wire: Wire;
  readonly #timeoutMs: number;
  #acknowledged: Lsn;
  /** Where the server is when there is nothing to send: with nothing in flight that position is reached. */
  #idle: Lsn | undefined;
  #inFlight = 0;
  #appending = 0;
  /** Resolves when everything flushed so far is durable. */
  #tail: Promise<void> = Promise.resolve();
  #ended: Promise<void> = Promise.resolve();
  #failure: unknown;
  #fail: (error: unknown) => void = () => {};
  readonly #failed: Promise<never>;
  #streaming = false;
  #stopping = false;
  /** Where the server is in its log, as it last said. */
  serverLsn: Lsn;
  records = 0;
  transactions = 0;

  constructor(options: ReplicationOptions) {
    this.#options = options;
    this.#wire = options.wire;
    this.#acknowledged = options.from;
    this.serverLsn = options.from;
    this.#timeoutMs = options.serverTimeoutMs > 0 ? options.serverTimeoutMs : assumedTimeoutMs;
    this.#failed = new Promise((_, reject) => {
      this.#fail = (error) => {
        this.#failure ??= error;
        reject(error);
      };
    });
    this.#failed.catch(() => undefined);
  }

  /**
   * Streams until the signal aborts and what came until then is durable.
   *
   * @param stillThere asked after a long silence: whether the server is at work on something that it cannot send yet
   * @throws ServerError, ConnectionLost, and what appending throws
   */
  async run(signal: AbortSignal, stillThere: () => Promise<boolean>): Promise<void> {
    const { slot, publication, from } = this.#options;
    const sink: CopySink = {
      data: (buffer, start, end) => this.#payload(buffer, start, end),
      chunk: () => this.#chunk(),
    };
    const { ended } = await this.#wire.copyBoth(
      `START_REPLICATION SLOT ${identifier(slot)} LOGICAL ${formatLsn(from)} ` +
        `(proto_version '1', publication_names ${literal(identifier(publication))})`,
      sink,
    );
    this.#ended = ended;
    this.#streaming = true;
    const over = this.#over(ended);
    const watch = new AbortController();
    try {
      await Promise.race([over, this.#failed, aborted(signal), this.#watch(watch.signal, stillThere)]);
    } finally {
      watch.abort();
      this.#stopping = true;
      over.catch(() => undefined);
    }
    this.#flush();
    await Promise.race([this.#tail, this.#failed]);
  }

  /** Acknowledges a position to the server: it may remove what lies before. */
  acknowledge(lsn: Lsn): void {
    if (lsn > this.#acknowledged) this.#acknowledged = lsn;
    if (this.#streaming) this.#status(false);
  }

  /** Ends replication in good order, so that the server has the last acknowledgement before the slot is free. */
  async end(): Promise<void> {
    this.#status(false);
    this.#wire.sendCopyDone();
    this.#wire.resume();
    await Promise.race([this.#ended.catch(() => undefined), pause(endWithinMs, undefined, { ref: false })]);
    await this.#wire.close();
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** A message inside the COPY: a piece of the log, or a sign of life. */
  #payload(buffer: Buffer, start: number, end: number): void {
    if (this.#stopping || this.#failure !== undefined) return;
    const type = buffer[start];
    if (type === 0x77 /* w */) {
      try {
        this.#options.reader.read(buffer, start + 25, end);
      } catch (error) {
        this.#fail(error);
      }
      if (this.#options.reader.batch.size >= fullBatch) this.#flush();
    } else if (type === 0x6b /* k */) {
      const lsn = buffer.readBigUInt64BE(start + 1) as Lsn;
      if (lsn > this.serverLsn) this.serverLsn = lsn;
      // Amid a transaction it may lie behind the commit that we have not seen.
      if (!this.#options.reader.inTransaction) this.#idle = lsn;
      if (buffer[start + 17] === 1) this.#status(false);
    }
  }

  #chunk(): void {
    // While a batch is on its way the next one gathers: groups grow with the load, and latency is one fsync.
    if (this.#appending === 0) this.#flush();
    if (this.#inFlight > maxInFlight && !this.#wire.paused) this.#wire.pause();
  }

  /** Sends what was gathered to the log. */
  #flush(): void {
    const { reader, append, complete, noticed } = this.#options;
    if (this.#failure !== undefined) return;
    const batch = reader.take();
    const { end, endAt, schemas } = batch;
    const idle = reader.inTransaction ? undefined : this.#idle;
    this.#idle = undefined;
    const lsn = idle !== undefined && (end === undefined || idle > end) ? idle : end;
    if (batch.records.length === 0 && lsn === undefined && batch.truncatedParts.size === 0) return;
    if (schemas.size > 0 || batch.truncatedParts.size > 0) noticed(batch);
    this.#inFlight += batch.size;
    this.#appending += 1;
    this.records += batch.records.length;
    const appended = append(batch.records);
    const completed = batch.rereads.length === 0 ? appended : this.#complete(appended, complete(batch));
    this.#tail = this.#settle(this.#tail, completed, batch.size, { lsn, at: endAt, schemas });
    this.#tail.catch((error: unknown) => this.#fail(error));
  }

  /** The order in which positions become durable is the order of the stream, in whatever order appends end. */
  async #settle(
    before: Promise<void>,
    appended: Promise<void>,
    size: number,
    progress: Progress,
  ): Promise<void> {
    await Promise.all([before, appended]);
    this.#inFlight -= size;
    this.#appending -= 1;
    this.#options.durable(progress);
    if (this.#appending === 0 && !this.#stopping) this.#flush();
    if (this.#inFlight < maxInFlight / 2 && this.#wire.paused) this.#wire.resume();
  }

  async #complete(appended: Promise<void>, more: Promise<readonly CapturedRecord[]>): Promise<void> {
    const [, records] = await Promise.all([appended, more]);
    await this.#options.append(records);
  }

  async #over(ended: Promise<void>): Promise<void> {
    await ended;
    if (!this.#stopping) throw new ConnectionLost("the server ended replication");
  }

  /** Signs of life of both sides. */
  async #watch(signal: AbortSignal, stillThere: () => Promise<boolean>): Promise<void> {
    const everyMs = Math.max(10, Math.min(this.#timeoutMs * 0.75, 10_000));
    for (;;) {
      await pause(everyMs, undefined, { signal });
      const silentMs = performance.now() - this.#wire.lastHeardMs;
      this.#status(silentMs > this.#timeoutMs / 2);
      if (this.#wire.paused || silentMs < this.#timeoutMs * 2) continue;
      if (!(await stillThere())) {
        throw new ConnectionLost(`the server has sent nothing for ${Math.round(silentMs / 1000)} s`);
      }
    }
  }

  /** A standby status update; the three positions are one, as what we have written is flushed and applied. */
  #status(replyWanted: boolean): void {
    const message = Buffer.alloc(34);
    message[0] = 0x72; // r
    for (const at of [1, 9, 17]) message.writeBigUInt64BE(this.#acknowledged, at);
    message.writeBigInt64BE(BigInt(Date.now()) * 1000n - 946_684_800_000_000n, 25);
    message[33] = replyWanted ? 1 : 0;
    this.#wire.sendCopyData(message);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
