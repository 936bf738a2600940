import { setTimeout as pause } from "node:timers/promises";
import { passes } from "./captured-tables.ts";
import type { CapturedTables } from "./captured-tables.ts";
import type { CatalogTable } from "./catalog.ts";
import type { TableRead } from "./cursor.ts";
import { versionLsn } from "./lsn.ts";
import { newPosition } from "./position.ts";
import type { Epoch } from "./lsn.ts";
import { TableReader } from "./table-read.ts";
import type { TableReaderOptions } from "./table-read.ts";
import { sameShape, shapeOf } from "./table-plan.ts";
import type { Wire } from "./wire.ts";

export interface TableReadersOptions extends TableReaderOptions {
  readonly tables: CapturedTables;
  readonly epoch: Epoch;
  readonly connections: number;
  readonly chunkRows: number;
  readonly connect: () => Promise<Wire>;
  /** The cursor's tables have changed. */
  readonly changed: () => void;
  /** The tables have to be looked at, as one is not as it was. Resolves when that is done. */
  readonly look: () => Promise<void>;
  /** Has the server notice that a table was added to the publication (see `announceAgain`). */
  readonly announce: (table: CatalogTable) => Promise<void>;
}

/** What a chunk should come to: it is a transaction, and longer ones hold back vacuum. Bytes as sent. */
const chunkBytes = 32 * 1024 * 1024;
const firstRows = 5_000;

/**
 * Reads tables whose state says so, several side by side, each chunk after chunk. A read that is planned anew while a chunk of
 * it is under way goes on with the new plan; what the chunk read stays right, only older.
 */
export class TableReaders {
  readonly #options: TableReadersOptions;
  readonly #atWork = new Set<string>();
  #workers = 0;
  #failed: (error: unknown) => void;
  readonly failed: Promise<never>;
  #rows = 0;

  constructor(options: TableReadersOptions) {
    this.#options = options;
    this.#failed = () => {};
    this.failed = new Promise((_, reject) => {
      this.#failed = reject;
    });
    this.failed.catch(() => undefined);
  }

  /** Rows read since the start. */
  get rows(): number {
    return this.#rows;
  }

  get waiting(): string[] {
    return Object.entries(this.#options.tables.states).flatMap(([stream, { read }]) =>
      read === null ? [] : [stream],
    );
  }

  /** Starts readers for what is to be read, as many as there may be; returns at once. */
  wake(signal: AbortSignal): void {
    const idle = this.waiting.filter((stream) => !this.#atWork.has(stream)).length;
    const room = this.#options.connections - this.#workers;
    for (let n = Math.min(idle, room); n > 0; n--) {
      this.#workers += 1;
      this.#work(signal)
        .catch((error: unknown) => {
          if (!signal.aborted) this.#failed(error);
        })
        .finally(() => {
          this.#workers -= 1;
        });
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    let wire: Wire | undefined;
    const close = (): void => void wire?.close();
    signal.addEventListener("abort", close);
    try {
      for (;;) {
        const stream = this.waiting.find((one) => !this.#atWork.has(one));
        if (stream === undefined || signal.aborted) return;
        this.#atWork.add(stream);
        try {
          wire ??= await this.#options.connect();
          await this.#read(wire, stream, signal);
        } finally {
          this.#atWork.delete(stream);
        }
      }
    } finally {
      signal.removeEventListener("abort", close);
      await wire?.close();
    }
  }

  /** Reads one table to its end. */
  async #read(wire: Wire, stream: string, signal: AbortSignal): Promise<void> {
    const { tables, changed, look } = this.#options;
    const reader = new TableReader(wire, this.#options);
    let limit = Math.min(firstRows, this.#options.chunkRows);
    while (!signal.aborted) {
      const state = tables.states[stream];
      const table = tables.table(stream);
      if (state === undefined || state.read === null) return;
      if (table === undefined || !sameShape(state.shape, shapeOf(table, tables.published(stream)))) {
        await look();
        continue;
      }
      if (!state.read.begun) {
        try {
          await this.#begin(wire, reader, stream, state.read, table, signal);
        } catch (error) {
          if (!passes(error)) throw error;
          await look();
        }
        continue;
      }
      const { read } = state;
      const startedMs = performance.now();
      const result = await reader.chunk(table, tables.published(stream), read, limit, (now) =>
        sameShape(state.shape, shapeOf(now, tables.published(stream))),
      );
      if (tables.states[stream]?.read !== read) continue;
      if (result.kind === "changed") {
        await this.#settle(stream, read);
        continue;
      }
      this.#rows += result.rows;
      read.rows += result.rows;
      read.after = result.last;
      if (result.last === null) await this.#partDone(reader, stream, table, read);
      changed();
      limit = nextLimit(limit, result, performance.now() - startedMs, this.#options.chunkRows);
    }
  }

  /** A table or partition that is not as planned: the tables are looked at, which plans anew. */
  async #settle(stream: string, read: TableRead): Promise<void> {
    const { tables, look } = this.#options;
    await look();
    const state = tables.states[stream];
    const [first, ...rest] = read.partitions ?? [];
    // A partition that was dropped before it was read; the look has planned what follows from that.
    if (state?.read === read && first !== undefined && !(String(first) in state.files)) {
      state.read = rest.length === 0 ? null : { ...read, partitions: rest, after: null };
    }
  }

  /**
   * Chooses the position of a read: every transaction before it that wrote to the table has ended, so that chunks see
   * what it did, and everything behind it is streamed.
   */
  async #begin(
    wire: Wire,
    reader: TableReader,
    stream: string,
    read: TableRead,
    table: CatalogTable,
    signal: AbortSignal,
  ): Promise<void> {
    const { tables, epoch, announce, changed } = this.#options;
    if (read.version === null && read.published) {
      await quietWriters(wire, table, signal);
      await announce(table);
    }
    const here = await newPosition(wire);
    const version = read.version ?? versionLsn(epoch, here.lsn);
    await quietWriters(wire, table, signal);
    const begun = { ...read, version, at: read.at ?? here.at, begun: true };
    const columns = await reader.schema(table, tables.published(stream), begun);
    const state = tables.states[stream];
    if (state?.read !== read) return;
    state.columns ??= columns;
    state.read = begun;
    changed();
  }

  /** A table, or a partition of it, was read to its end. */
  async #partDone(reader: TableReader, stream: string, table: CatalogTable, read: TableRead): Promise<void> {
    const state = this.#options.tables.states[stream];
    const rest = read.partitions?.slice(1) ?? [];
    if (rest.length > 0) {
      if (state?.read === read) state.read = { ...read, partitions: rest, after: null };
      return;
    }
    if (read.fence) await reader.fence(table, read);
    if (state?.read === read) state.read = null;
  }
}

/** Rows of the next chunk: it takes about as long as so many bytes should, at the row size of the last one. */
export function nextLimit(
  limit: number,
  { rows, bytes }: { rows: number; bytes: number },
  tookMs: number,
  most: number,
  aimBytes = chunkBytes,
): number {
  if (rows === 0) return limit;
  const bySize = Math.floor(aimBytes / (bytes / rows));
  const byTime = Math.floor((rows * 2_000) / Math.max(1, tookMs));
  return Math.max(1, Math.min(most, limit * 4, bySize, Math.max(100, byTime)));
}

/** Modes of locks that transactions hold on tables they write to. VACUUM's is none of them. */
const writing = "'RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'";

/**
 * Resolves when every transaction that has written to a table up to now has ended and its rows can be seen. A commit is
 * in the write-ahead log before others see it, up to as long as a synchronous standby takes, but a transaction
 * keeps its locks until they do.
 */
export async function quietWriters(wire: Wire, table: CatalogTable, signal: AbortSignal): Promise<void> {
  const oids = [table.oid, ...Object.keys(table.files)].join(", ");
  const holders = async (): Promise<Set<string>> => {
    const rows = await wire.query(`
      SELECT DISTINCT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND relation IN (${oids}) AND mode IN (${writing})`);
    return new Set(rows.map(([transaction]) => transaction ?? ""));
  };
  let left = await holders();
  while (left.size > 0 && !signal.aborted) {
    await pause(50, undefined, { signal }).catch(() => undefined);
    const now = await holders();
    left = new Set([...left].filter((transaction) => now.has(transaction)));
  }
}
