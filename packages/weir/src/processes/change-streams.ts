import type { IncomingMessage, ServerResponse } from "node:http";
import { WeirError } from "@weir/contract";
import { parsePosition, positionText } from "@weir/engine";
import type { ChangePosition, Engine, TableChanges } from "@weir/engine";
import { toPlainError } from "./messages.ts";

export interface StreamLimits {
  /** Readers at a time. */
  readonly streams: number;
  /** Between two signs of life on a stream. */
  readonly heartbeatMs: number;
  /** A reader that takes nothing for so long is cut off. */
  readonly stallMs: number;
}

export const defaultStreamLimits: StreamLimits = { streams: 256, heartbeatMs: 15_000, stallMs: 30_000 };

/** Changes of a page: at first, and at most. */
const [firstPage, largestPage] = [500, 5_000];
const pageChars = 4 * 1024 * 1024;
/** For readers who are at the same place. */
const pagesKept = 8;
/** Written at once; the reader must take that much within `stallMs`. */
const writeChars = 64 * 1024;
/** For the last words to a reader that is cut off. */
const lingerMs = 2_000;

/** A table, and the role that reads it: roles may see different columns. */
export interface TableFor {
  readonly table: string;
  readonly role: string;
}

/**
 * Server-sent events (the HTML standard, section 9.2) of the changes of tables. Each event's id is a position: a reader
 * that connects again with the last one it got misses nothing and gets nothing twice.
 *
 * Nothing is queued for a reader: each reads on when it has taken what it got. Readers at the same position share what is read.
 */
export class ChangeStreams {
  readonly #engine: Engine;
  readonly #limits: StreamLimits;
  readonly #closing = new AbortController();
  readonly #open = new Map<ServerResponse, Promise<void>>();
  /** What was read since the last commit, by table, position and limit. */
  readonly #pages = new Map<string, Promise<TableChanges>>();
  #pagesOf = -1;

  constructor(engine: Engine, limits: StreamLimits = defaultStreamLimits) {
    this.#engine = engine;
    this.#limits = limits;
  }

  /**
   * Answers with a table's changes until the client leaves.
   *
   * @param since a position or commit number as text; undefined: from now on
   * @throws WeirError while nothing has been sent: `too_many_streams`, and what `Engine.changes` throws
   */
  async serve(
    request: IncomingMessage,
    response: ServerResponse,
    of: TableFor,
    since: string | undefined,
  ): Promise<void> {
    if (this.#open.size >= this.#limits.streams) {
      throw new WeirError("too_many_streams", `${this.#open.size} readers follow changes already.`);
    }
    const left = new AbortController();
    const leave = (): void => left.abort();
    response.on("close", leave);
    this.#closing.signal.addEventListener("abort", leave);
    const resumed = request.headers["last-event-id"];
    const text = typeof resumed === "string" && resumed !== "" ? resumed : since;
    const serving = this.#follow(response, of, text, left.signal);
    this.#open.set(response, serving);
    try {
      await serving;
    } finally {
      this.#open.delete(response);
      this.#closing.signal.removeEventListener("abort", leave);
    }
  }

  /** Ends every stream; readers connect again elsewhere with their last id. */
  async close(): Promise<void> {
    this.#closing.abort();
    const timer = setTimeout(() => {
      for (const response of this.#open.keys()) response.destroy();
    }, lingerMs);
    await Promise.allSettled(this.#open.values());
    clearTimeout(timer);
  }

  async #follow(
    response: ServerResponse,
    of: TableFor,
    since: string | undefined,
    left: AbortSignal,
  ): Promise<void> {
    const { table } = of;
    const start = since === undefined ? await this.#engine.lastPosition(table) : parsePosition(since);
    let limit = firstPage;
    let page = await this.#page(of, start, limit);
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-content-type-options": "nosniff",
    });
    const stream = new EventWriter(response, this.#limits.stallMs);
    try {
      await stream.write("retry: 1000\n\n");
      for (let isFirst = true; !left.aborted; isFirst = false) {
        const written = await writeChanges(stream, page);
        if (!page.more) {
          if (isFirst || written > 0) await stream.write(commitEvent(page.next));
          if (!(await this.#wait(stream, table, page.next, left))) break;
        }
        limit = written > pageChars ? Math.max(10, limit >> 2) : Math.min(largestPage, limit * 2);
        page = await this.#page(of, page.next, limit);
      }
      response.end();
    } catch (error) {
      await stream.end(error);
    }
  }

  /**
   * Waits for the next commit that may have changed the table. A sign of life, now and then, is a position too: that of a reader of a table in which nothing
   * changes must not grow old.
   *
   * @returns false where there will be none, or nobody to tell
   */
  async #wait(stream: EventWriter, table: string, from: ChangePosition, left: AbortSignal): Promise<boolean> {
    const { commits } = this.#engine;
    for (;;) {
      const isTouched = commits.touches(table, from.commit);
      const position = isTouched ? from : { ...from, commit: Math.max(from.commit, commits.current) };
      const silentMs = performance.now() - stream.writtenMs;
      if (silentMs >= this.#limits.heartbeatMs) await stream.write(`: heartbeat\n\n${commitEvent(position)}`);
      if (left.aborted || commits.closed) return false;
      if (isTouched) return true;
      const over = new AbortController();
      const end = (): void => over.abort();
      const timer = setTimeout(end, Math.max(10, this.#limits.heartbeatMs - silentMs));
      left.addEventListener("abort", end);
      await commits.after(position.commit, over.signal);
      clearTimeout(timer);
      left.removeEventListener("abort", end);
    }
  }

  #page({ table, role }: TableFor, since: ChangePosition, limit: number): Promise<TableChanges> {
    const { current } = this.#engine.commits;
    if (this.#pagesOf !== current) this.#pages.clear();
    this.#pagesOf = current;
    const name = `${role} ${table} ${positionText(since)} ${limit}`;
    const known = this.#pages.get(name);
    if (known !== undefined) return known;
    const page = this.#engine.changes(table, since, limit, role);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size >= pagesKept && oldest !== undefined) this.#pages.delete(oldest);
    this.#pages.set(name, page);
    page.catch(() => this.#pages.delete(name));
    return page;
  }
}

const commitEvent = (position: ChangePosition): string =>
  `event: commit\nid: ${positionText(position)}\ndata: {"commit":${position.commit}}\n\n`;

/** @returns characters written */
async function writeChanges(stream: EventWriter, { changes }: TableChanges): Promise<number> {
  let written = 0;
  let text = "";
  for (const { op, commit, position, key, row } of changes) {
    const rest = row === undefined ? "" : `,"row":${row}`;
    text += `event: change\nid: ${positionText(position)}\ndata: {"op":"${op}","commit":${commit},"key":${key}${rest}}\n\n`;
    if (text.length < writeChars) continue;
    written += text.length;
    await stream.write(text);
    text = "";
    // A reader that takes all at once must not keep others from their turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (text !== "") await stream.write(text);
  return written + text.length;
}

/** Writes to a reader no faster than it reads. */
class EventWriter {
  readonly #response: ServerResponse;
  readonly #stallMs: number;
  /** When it was last written to, by the process's clock. */
  writtenMs = performance.now();

  constructor(response: ServerResponse, stallMs: number) {
    this.#response = response;
    this.#stallMs = stallMs;
  }

  /** @throws WeirError `reader_too_slow` */
  async write(text: string): Promise<void> {
    const response = this.#response;
    this.writtenMs = performance.now();
    if (response.destroyed || response.write(text)) return;
    const isRead = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => done(), this.#stallMs);
      const done = (): void => {
        clearTimeout(timer);
        response.off("drain", done).off("close", done);
        resolve(response.destroyed || !response.writableNeedDrain);
      };
      response.on("drain", done).on("close", done);
    });
    if (!isRead) throw new WeirError("reader_too_slow", `The reader took nothing for ${this.#stallMs} ms.`);
  }

  /** Says why, if the reader hears it, and ends. `reset`: it must start over; `dropped`: it may go on from its last id. */
  async end(error: unknown): Promise<void> {
    const response = this.#response;
    const plain = toPlainError(error);
    const event = plain.code === "changes_gone" ? "reset" : "dropped";
    // No id: the last one that the reader got stays.
    response.end(`event: ${event}\ndata: ${JSON.stringify(plain)}\n\n`);
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lingerMs);
      response.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
    });
    response.destroy();
  }
}
