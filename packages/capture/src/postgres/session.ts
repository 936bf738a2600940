import { setTimeout as pause } from "node:timers/promises";
import type { CaptureContext, CaptureStatus } from "../capture.ts";
import type { CapturedTables } from "./captured-tables.ts";
import { ChangeReader } from "./change-reader.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { TypeNames } from "./columns.ts";
import { connect } from "./connect.ts";
import type { PostgresCursor } from "./cursor.ts";
import { formatLsn, parseLsn } from "./lsn.ts";
import { announceAgain, forgetsAdditions } from "./publication.ts";
import { Replication } from "./replication.ts";
import type { Progress } from "./replication.ts";
import { reread } from "./reread.ts";
import type { ServerFacts } from "./server-facts.ts";
import { readSlot } from "./slot.ts";
import type { SlotState } from "./slot.ts";
import type { PostgresSource } from "./source.ts";
import { TableReaders } from "./table-readers.ts";
import { WalBudget } from "./wal-budget.ts";
import { ServerError } from "./wire.ts";
import type { Wire } from "./wire.ts";

/** Numbers for `weir status` are this old at most. */
const reportEveryMs = 2_000;

export interface SessionOptions {
  readonly spec: PostgresSource;
  readonly context: CaptureContext;
  /** For queries; reading tables has connections of its own. */
  readonly control: Wire;
  readonly facts: ServerFacts;
  readonly types: TypeNames;
  readonly cursor: PostgresCursor;
  readonly checkpoint: Checkpoint;
  readonly tables: CapturedTables;
  readonly publication: string;
}

/**
 * Capturing, once it is known from where: the stream, the tables that are read beside it, and the look at slot and
 * tables now and then. Ends with the first that fails.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #budget = new WalBudget();
  readonly #checkpoint: Checkpoint;
  readonly #reader: ChangeReader;
  readonly #replication: Replication;
  readonly #readers: TableReaders;
  readonly #stream: Wire;
  #slot: SlotState | undefined;
  #fail: (error: unknown) => void = () => {};
  readonly #failed: Promise<never>;
  #lookWanted = false;
  #wakeUp: () => void = () => {};
  #beat = 0;
  #heartbeatFails = false;

  private constructor(options: SessionOptions, stream: Wire) {
    this.#options = options;
    this.#stream = stream;
    this.#failed = new Promise((_, reject) => {
      this.#fail = reject;
    });
    this.#failed.catch(() => undefined);
    const { checkpoint } = options;
    checkpoint.onSaved = (lsn) => this.#replication.acknowledge(lsn);
    checkpoint.onFailed = (error) => this.#fail(error);
    this.#checkpoint = checkpoint;
    this.#reader = this.#makeReader();
    options.tables.onTargets = () => this.#reader.retarget();
    this.#replication = this.#makeReplication();
    this.#readers = this.#makeReaders();
  }

  /** Connects the stream. */
  static async open(options: SessionOptions): Promise<Session> {
    const { spec, context } = options;
    const stream = await connect({ url: spec.url, name: `weir ${context.source}`, replication: true });
    return new Session(options, stream);
  }

  /** Captures until the signal aborts; resolves when the cursor covers all that was appended. */
  async run(): Promise<void> {
    const { context } = this.#options;
    const ending = new AbortController();
    const end = (): void => ending.abort();
    context.signal.addEventListener("abort", end);
    if (context.signal.aborted) end();
    const streaming = this.#replication.run(ending.signal, () => this.#serverIsBusy());
    const beating = this.#look(ending.signal);
    const reporting = this.#report(ending.signal);
    try {
      this.#readers.wake(ending.signal);
      await Promise.race([streaming, beating, reporting, this.#readers.failed, this.#failed]);
      await streaming;
      await this.#checkpoint.now();
      await this.#replication.end();
    } finally {
      end();
      context.signal.removeEventListener("abort", end);
      await Promise.allSettled([
        streaming,
        beating,
        reporting,
        this.#checkpoint.stop(),
        this.#stream.close(),
      ]);
    }
  }

  #makeReader(): ChangeReader {
    const { context, cursor, facts, tables, types } = this.#options;
    return new ChangeReader({
      source: context.source,
      epoch: cursor.epoch,
      types,
      target: (message) => tables.target(message),
      columnsOf: (stream) => cursor.tables[stream]?.columns ?? undefined,
      unencoded: facts.encoding === "SQL_ASCII",
    });
  }

  #makeReplication(): Replication {
    const { context, cursor, control, facts, tables, publication } = this.#options;
    return new Replication({
      wire: this.#stream,
      reader: this.#reader,
      slot: cursor.slot,
      publication,
      from: parseLsn(cursor.lsn),
      append: (records) => context.append(records),
      complete: ({ rereads }) => reread(control, context.source, rereads),
      durable: (progress) => this.#durable(progress),
      noticed: ({ truncatedParts }) => {
        for (const stream of truncatedParts) tables.again(stream, "a partition of it was truncated");
        this.#lookSoon();
      },
      serverTimeoutMs: facts.senderTimeoutMs,
    });
  }

  #makeReaders(): TableReaders {
    const { spec, context, control, facts, types, cursor, tables, publication } = this.#options;
    return new TableReaders({
      source: context.source,
      version: facts.version,
      types,
      append: (records) => context.append(records),
      appendLines: (lines) => context.appendLines(lines),
      unencoded: facts.encoding === "SQL_ASCII",
      tables,
      epoch: cursor.epoch,
      connections: spec.snapshot.connections,
      chunkRows: spec.snapshot.rows,
      connect: () => connect({ url: spec.url, name: `weir ${context.source} reading` }),
      changed: () => this.#checkpoint.changed(),
      look: () => this.#lookNow(),
      announce: async (table) => {
        if (!tables.ownsPublication || !forgetsAdditions(facts.version)) return;
        await announceAgain(control, facts.version, publication, table);
      },
    });
  }

  #durable({ lsn, at, schemas }: Progress): void {
    const { cursor } = this.#options;
    if (lsn !== undefined && lsn > parseLsn(cursor.lsn)) cursor.lsn = formatLsn(lsn);
    cursor.at = at ?? cursor.at;
    for (const [stream, columns] of schemas) {
      const state = cursor.tables[stream];
      if (state !== undefined) state.columns = columns;
    }
    this.#checkpoint.changed();
  }

  /** Looks at the slot and the tables now and then, or when the stream says that something is different. */
  async #look(signal: AbortSignal): Promise<void> {
    const { spec } = this.#options;
    while (!signal.aborted) {
      await this.#lookAtSlot();
      await this.#lookNow();
      this.#readers.wake(signal);
      await this.#emitHeartbeat();
      await this.#rest(signal, spec.heartbeatMs);
    }
  }

  /** Until the time is over, a look is wanted, or the signal aborts. */
  async #rest(signal: AbortSignal, ms: number): Promise<void> {
    if (!this.#lookWanted && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          resolve();
        };
        const timer = setTimeout(done, ms);
        signal.addEventListener("abort", done);
        this.#wakeUp = done;
      });
    }
    this.#lookWanted = false;
  }

  #lookSoon(): void {
    this.#lookWanted = true;
    this.#wakeUp();
  }

  async #lookNow(): Promise<void> {
    await this.#options.tables.look();
    this.#checkpoint.changed();
  }

  async #lookAtSlot(): Promise<void> {
    const { control, facts, cursor, context } = this.#options;
    this.#slot = await readSlot(control, facts.version, cursor.slot);
    const warning = this.#slot === undefined ? undefined : this.#budget.look(this.#slot, performance.now());
    if (warning === undefined) return;
    const { usedBytes, budgetBytes, secondsLeft } = warning;
    const eta = secondsLeft === null ? "" : `, and at this speed loses it in ${duration(secondsLeft)}`;
    const part = Math.round((100 * usedBytes) / budgetBytes);
    context.log(
      "warn",
      `The slot ${cursor.slot} holds back ${part} % of the write-ahead log that max_slot_wal_keep_size allows it${eta}.`,
      { code: "postgres_wal_budget", usedBytes, budgetBytes, secondsLeft },
    );
  }

  /** A record in the log of a database that nobody writes to, so that its slot moves on as other databases write. */
  async #emitHeartbeat(): Promise<void> {
    const { control, context, spec } = this.#options;
    const now = performance.now();
    if (now - this.#beat < spec.heartbeatMs * 0.9) return;
    this.#beat = now;
    try {
      await control.query("SELECT pg_logical_emit_message(false, 'weir', '')");
      this.#heartbeatFails = false;
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      if (!this.#heartbeatFails) context.log("warn", `no heartbeat can be written: ${error.message}`);
      this.#heartbeatFails = true;
    }
  }

  /** After a long silence: whether the server works its way through log that holds nothing for us. */
  async #serverIsBusy(): Promise<boolean> {
    const { control, facts, cursor } = this.#options;
    const slot = await Promise.race([
      readSlot(control, facts.version, cursor.slot),
      pause(10_000, undefined, { ref: false }),
    ]).catch(() => undefined);
    return slot !== undefined && slot.activePid !== null && slot.current > this.#replication.serverLsn;
  }

  async #report(signal: AbortSignal): Promise<void> {
    const { context } = this.#options;
    while (!signal.aborted) {
      context.report(this.#status());
      await pause(reportEveryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #status(): CaptureStatus {
    const { cursor, tables } = this.#options;
    const slot = this.#slot;
    const lsn = parseLsn(cursor.lsn);
    const reading = this.#readers.waiting;
    const reads = reading.map((stream) => tables.states[stream]?.read?.rows ?? 0);
    return {
      state: reading.length > 0 ? "reading tables" : "streaming",
      tables: Object.keys(tables.states).length,
      tablesLeftOut: tables.leftOut.length,
      tablesToRead: reading.length,
      rowsRead: this.#readers.rows,
      rowsOfTablesBeingRead: reads.reduce((sum, rows) => sum + rows, 0),
      lsn: cursor.lsn,
      lastCommitAt: cursor.at,
      lagBytes: slot === undefined ? null : Math.max(0, Number(slot.current - lsn)),
      slotRetainedBytes: slot?.retainedBytes ?? null,
      walBudgetBytes: slot?.budgetBytes ?? null,
      walBudgetSecondsLeft: this.#budget.secondsLeft,
      charactersInFlight: this.#replication.inFlight,
      changes: this.#replication.records,
    };
  }
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
