import type { Duplex } from "node:stream";

/** What the server said was wrong (ErrorResponse, PostgreSQL protocol 3.0, section "Error and Notice Message Fields"). */
export class ServerError extends Error {
  override readonly name = "ServerError";
  /** SQLSTATE. */
  readonly code: string;
  readonly detail: string | undefined;

  constructor(fields: ReadonlyMap<string, string>) {
    super(fields.get("M") ?? "the server reported an error without a message");
    this.code = fields.get("C") ?? "XX000";
    this.detail = fields.get("D");
  }
}

/** The connection ended, or cannot be used any more. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

export type Row = readonly (string | null)[];

/** What takes the messages of a COPY. `buffer` does not change afterwards; what keeps a part of it keeps the piece that came from the socket. */
export interface CopySink {
  data(buffer: Buffer, start: number, end: number): void;
  /** After the messages of each piece that came from the socket: the time to pause. */
  chunk(): void;
}

interface Exchange {
  /** Results of the statements so far; only the last is kept whole. */
  rows: Row[];
  readonly sink: CopySink | undefined;
  error: ServerError | undefined;
  readonly started: (() => void) | undefined;
  readonly resolve: (rows: Row[]) => void;
  readonly reject: (error: Error) => void;
}

const code = (letter: string): number => letter.charCodeAt(0);
const dataRow = code("D");
const copyData = code("d");
const copyDone = code("c");
const ready = code("Z");
const error = code("E");
const rowDescription = code("T");
const copyBoth = code("W");

/**
 * The frontend of a connection that is authenticated: simple queries, COPY out, and the COPY of both directions that
 * replication runs in (PostgreSQL protocol 3.0, "Message Formats"). One exchange at a time.
 *
 * It works on the socket itself. Through `pg`, each row of a COPY is an event with a message object and a copy of its
 * bytes, and nothing can stop the flow: 170K rows/s of 200 bytes against 900K here.
 */
export class Wire {
  readonly #socket: Duplex;
  #exchange: Exchange | undefined;
  #lost: ConnectionLost | undefined;
  /** Bytes of a message that has not come whole, in pieces, so that one of 1 GB is put together once. */
  #pieces: Buffer[] = [];
  #held = 0;
  #needed = 5;
  readonly #closed: Promise<void>;
  #queue: Promise<unknown> = Promise.resolve();
  /** When the last byte came, in milliseconds of the monotonic clock. */
  lastHeardMs = performance.now();

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.on("error", (cause) => this.#fail(new ConnectionLost(cause.message, { cause })));
    this.#closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#fail(new ConnectionLost("the server closed the connection"));
        resolve();
      });
    });
  }

  /**
   * Runs statements and returns the rows of the last one that has any, values as text. Calls wait for those before them.
   *
   * @throws ServerError, ConnectionLost
   */
  query(sql: string): Promise<Row[]> {
    const run = (): Promise<Row[]> => this.#run(sql, undefined, undefined);
    const rows = this.#queue.then(run, run);
    this.#queue = rows;
    return rows;
  }

  /** Runs `COPY ... TO STDOUT`; resolves when all of it was given to the sink. */
  async copyOut(sql: string, sink: CopySink): Promise<void> {
    await this.#run(sql, sink, undefined);
  }

  /**
   * Starts replication. `ended` resolves when the server ended it after `copyDone`.
   *
   * @throws ServerError, ConnectionLost, also through `ended`
   */
  async copyBoth(sql: string, sink: CopySink): Promise<{ ended: Promise<void> }> {
    let ended: Promise<void> = Promise.resolve();
    await new Promise<void>((resolve, reject) => {
      ended = this.#run(sql, sink, resolve).then(() => undefined);
      ended.catch(reject);
    });
    return { ended };
  }

  sendCopyData(payload: Uint8Array): void {
    const head = Buffer.allocUnsafe(5);
    head[0] = copyData;
    head.writeUInt32BE(payload.length + 4, 1);
    if (this.#lost === undefined) this.#socket.write(Buffer.concat([head, payload]));
  }

  sendCopyDone(): void {
    if (this.#lost === undefined) this.#socket.write(Buffer.from([copyDone, 0, 0, 0, 4]));
  }

  /** Stops reading from the socket, so that the server stops sending. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  get paused(): boolean {
    return this.#socket.isPaused();
  }

  /** Ends the connection, whatever it is doing. */
  async close(): Promise<void> {
    if (this.#lost === undefined && this.#exchange === undefined) {
      this.#socket.end(Buffer.from([code("X"), 0, 0, 0, 4]));
    } else {
      this.#socket.destroy();
    }
    this.#socket.resume();
    await this.#closed;
  }

  #run(sql: string, sink: CopySink | undefined, started: (() => void) | undefined): Promise<Row[]> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    if (this.#exchange !== undefined) throw new Error("a connection runs one statement at a time");
    return new Promise((resolve, reject) => {
      this.#exchange = { rows: [], sink, error: undefined, started, resolve, reject };
      const text = Buffer.from(sql);
      const message = Buffer.allocUnsafe(text.length + 6);
      message[0] = code("Q");
      message.writeUInt32BE(text.length + 5, 1);
      text.copy(message, 5);
      message[text.length + 5] = 0;
      this.#socket.write(message);
    });
  }

  #receive(chunk: Buffer): void {
    this.lastHeardMs = performance.now();
    this.#pieces.push(chunk);
    this.#held += chunk.length;
    if (this.#held < this.#needed) return;
    const buffer = this.#pieces.length === 1 ? chunk : Buffer.concat(this.#pieces, this.#held);
    let at = 0;
    this.#needed = 5;
    while (buffer.length - at >= 5) {
      const end = at + 1 + buffer.readUInt32BE(at + 1);
      if (end > buffer.length) {
        this.#needed = end - at;
        break;
      }
      this.#message(buffer[at] ?? 0, buffer, at + 5, end);
      at = end;
    }
    // A copy of the rest, so that a few bytes do not keep a large piece in memory.
    const rest = at === buffer.length ? undefined : Buffer.from(buffer.subarray(at));
    this.#pieces = rest === undefined ? [] : [rest];
    this.#held = rest?.length ?? 0;
    this.#exchange?.sink?.chunk();
  }

  #message(type: number, buffer: Buffer, start: number, end: number): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // Unasked, the server only says why it is about to end the connection.
      if (type === error)
        this.#lost ??= new ConnectionLost(new ServerError(fields(buffer, start, end)).message);
      return;
    }
    if (type === copyData) exchange.sink?.data(buffer, start, end);
    else if (type === dataRow) exchange.rows.push(row(buffer, start));
    else if (type === rowDescription) exchange.rows = [];
    else if (type === error) exchange.error = new ServerError(fields(buffer, start, end));
    else if (type === copyBoth) exchange.started?.();
    else if (type === ready) {
      this.#exchange = undefined;
      if (exchange.error === undefined) exchange.resolve(exchange.rows);
      else exchange.reject(exchange.error);
    }
  }

  #fail(lost: ConnectionLost): void {
    // FATAL errors come before the end of the connection and say why it ends.
    this.#lost ??= lost;
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.reject(exchange.error ?? this.#lost);
    this.#socket.destroy();
  }
}

function row(buffer: Buffer, start: number): Row {
  const values: (string | null)[] = [];
  let at = start + 2;
  for (let n = buffer.readUInt16BE(start); n > 0; n--) {
    const length = buffer.readInt32BE(at);
    at += 4;
    values.push(length < 0 ? null : buffer.toString("utf8", at, at + length));
    if (length > 0) at += length;
  }
  return values;
}

function fields(buffer: Buffer, start: number, end: number): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = start; at < end && buffer[at] !== 0;) {
    const stop = buffer.indexOf(0, at + 1);
    found.set(String.fromCharCode(buffer[at] ?? 0), buffer.toString("utf8", at + 1, stop));
    at = stop + 1;
  }
  return found;
}

/** A text as a literal of SQL. `standard_conforming_strings` is on in every session of ours. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A name as an identifier of SQL. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
