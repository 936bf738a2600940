import { isUtf8 } from "node:buffer";
import type { CaptureContext } from "../capture.ts";
import { LineBuffer } from "../line-buffer.ts";
import { lineHead } from "../record-lines.ts";
import { copyValues } from "./copy-text.ts";
import { changeLine, columnPrefixes, keyText, maxRowBytes, rowText, withinBounds } from "./row-text.ts";
import type { CopySink, Wire } from "./wire.ts";

/** Bytes of records that one reader may have on their way to the log. */
const maxInFlight = 8 * 1024 * 1024;
const fullBatch = 512 * 1024;

const tab = 0x09;
const space = 0x20;
const quote = 0x22;
const comma = 0x2c;
const capitalN = 0x4e;
const backslash = 0x5c;
const sqlNull = Buffer.from("null");
const lineEnd = Buffer.from("}}\n");

export interface RowWriterOptions {
  readonly wire: Wire;
  /** Contract of the records: the source's name. */
  readonly source: string;
  readonly append: CaptureContext["appendLines"];
  readonly unencoded: boolean;
  readonly stream: string;
  /** Columns of a row, and which of them are its key. */
  readonly names: readonly string[];
  readonly keyAt: readonly number[];
  readonly version: string;
  readonly at: string;
}

/**
 * Makes records of the rows of a COPY and sends them to the log, stopping the COPY while too many are on their way.
 *
 * Most rows are carried over byte by byte; those with something that JSON writes otherwise than COPY go through strings. Both
 * ways give the same bytes.
 */
export class RowWriter implements CopySink {
  readonly #options: RowWriterOptions;
  readonly #streamText: string;
  readonly #prefixes: readonly string[];
  readonly #fixed: FixedParts;
  /** Where the values of the row at hand start; behind them, where one more would. */
  readonly #starts: Int32Array;
  #lines: LineBuffer;
  #head: Buffer;
  #inFlight = 0;
  #failure: unknown;
  #appended: Promise<void> = Promise.resolve();
  #lastRow: Uint8Array = new Uint8Array();
  rows = 0;
  bytes = 0;

  constructor(options: RowWriterOptions) {
    this.#options = options;
    this.#streamText = JSON.stringify(options.stream);
    this.#prefixes = columnPrefixes(options.names);
    this.#fixed = fixedParts(options, this.#prefixes);
    this.#starts = new Int32Array(options.names.length + 1);
    this.#lines = new LineBuffer(fullBatch + fullBatch / 4);
    this.#head = this.#headBytes();
  }

  /** Values of these columns in the row that came last. */
  last(columns: readonly string[]): string[] {
    const { names } = this.#options;
    const values = copyValues(Buffer.from(this.#lastRow).toString());
    return columns.map((name) => values[names.indexOf(name)] ?? "");
  }

  data(buffer: Buffer, start: number, end: number): void {
    if (this.#failure !== undefined) return;
    this.rows += 1;
    this.bytes += end - start;
    this.#lastRow = buffer.subarray(start, end - 1);
    const plain =
      !this.#options.unencoded && end - start <= maxRowBytes / 8 && this.#carryOver(buffer, start, end - 1);
    if (!plain) this.#rewrite(buffer, start, end);
    if (this.#lines.size >= fullBatch || this.#lines.isFull) this.#flush();
  }

  chunk(): void {
    if (this.#inFlight > maxInFlight && this.#failure === undefined) this.#options.wire.pause();
  }

  /** Resolves when all rows are durable. */
  async end(): Promise<void> {
    this.#flush();
    await this.#appended;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** A row whose values stand in JSON as they stand in COPY. False, with nothing done, if it is none. */
  #carryOver(row: Buffer, start: number, end: number): boolean {
    const { keyAt } = this.#options;
    const { id, middle, rowHead, columns, size } = this.#fixed;
    if (!this.#findValues(row, start, end)) return false;
    const starts = this.#starts;
    // A value stands in the row, and may stand twice more in the key.
    const target = this.#lines.room(this.#head.length + size + 3 * (end - start));
    let at = put(this.#head, 0, this.#head.length, target, this.#lines.size);
    for (const before of [id, middle]) {
      at = put(before, 0, before.length, target, at);
      for (let i = 0; i < keyAt.length; i++) {
        const column = keyAt[i]!;
        if (i > 0) target[at++] = comma;
        target[at++] = backslash;
        target[at++] = quote;
        at = put(row, starts[column]!, starts[column + 1]! - 1, target, at);
        target[at++] = backslash;
        target[at++] = quote;
      }
    }
    at = put(rowHead, 0, rowHead.length, target, at);
    for (let column = 0; column < columns.length; column++) {
      const name = columns[column]!;
      at = put(name, 0, name.length, target, at);
      const from = starts[column]!;
      if (row[from] === backslash) {
        at = put(sqlNull, 0, sqlNull.length, target, at);
        continue;
      }
      target[at++] = quote;
      at = put(row, from, starts[column + 1]! - 1, target, at);
      target[at++] = quote;
    }
    at = put(lineEnd, 0, lineEnd.length, target, at);
    this.#lines.added(at);
    return true;
  }

  /** Finds where each value of a row starts. False if one of them stands in JSON otherwise than in COPY, or in the key is NULL. */
  #findValues(row: Buffer, start: number, end: number): boolean {
    const starts = this.#starts;
    starts[0] = start;
    let column = 0;
    for (let i = start; i < end; i++) {
      const byte = row[i]!;
      if (byte === tab) starts[++column] = i + 1;
      else if (byte === quote || byte < space) return false;
      else if (byte === backslash) {
        const isNull = i === starts[column] && row[i + 1] === capitalN;
        if (!isNull || this.#options.keyAt.includes(column)) return false;
      }
    }
    starts[++column] = end + 1;
    return true;
  }

  /** Any other row. */
  #rewrite(buffer: Buffer, start: number, end: number): void {
    const { stream, names, keyAt, version, at, source } = this.#options;
    const values: (string | null | undefined)[] = copyValues(buffer.toString("utf8", start, end - 1));
    if (this.#options.unencoded && !isUtf8(buffer.subarray(start, end))) {
      this.#unreadable("invalid_utf8", "a row with bytes that are not UTF-8", buffer.subarray(start, end));
      return;
    }
    const key = keyText(keyAt, values);
    let unknown: string[] | undefined;
    if (end - start > maxRowBytes / 8) {
      unknown = withinBounds(values, this.#prefixes).map((i) => names[i] ?? "");
      if (unknown.length > 0) {
        this.#unreadable(
          "too_large",
          `values of ${unknown.join(", ")} are left out of a row`,
          Buffer.from(key),
        );
      }
    }
    const { text, keys } = changeLine({
      id: `${version}/${stream}/${key}`,
      at,
      stream: this.#streamText,
      op: "snapshot",
      key,
      version,
      row: rowText(this.#prefixes, values),
      unknown,
    });
    this.#lines.add({ contract: source, text, keys });
  }

  #unreadable(error: "invalid_utf8" | "too_large", detail: string, bytes: Uint8Array): void {
    const { source, stream } = this.#options;
    this.#lines.add({ contract: source, error, detail: `${stream}: ${detail}`, bytes });
  }

  #headBytes(): Buffer {
    return Buffer.from(lineHead({ contract: this.#options.source, keys: 7 }, this.#lines.receivedUs));
  }

  #flush(): void {
    const lines = this.#lines;
    const { size } = lines;
    if (size === 0) return;
    const before = this.#appended;
    const appended = this.#options.append(lines);
    this.#lines = new LineBuffer(fullBatch + fullBatch / 4);
    this.#head = this.#headBytes();
    this.#inFlight += size;
    this.#appended = this.#settle(Promise.all([before, appended]), size);
  }

  async #settle(appended: Promise<unknown>, size: number): Promise<void> {
    const { wire } = this.#options;
    try {
      await appended;
      this.#inFlight -= size;
      if (this.#inFlight < maxInFlight / 2 && wire.paused) wire.resume();
    } catch (error) {
      this.#failure ??= error;
      // What is left of the COPY is read and thrown away, so that the connection can be used again.
      wire.resume();
    }
  }
}

/** What is the same in the lines of all rows of a COPY, in the order of a line. */
interface FixedParts {
  /** Up to the key in the id. */
  readonly id: Buffer;
  /** From behind it up to the key. */
  readonly middle: Buffer;
  /** From behind the key up to the row. */
  readonly rowHead: Buffer;
  /** Up to the value of each column. */
  readonly columns: readonly Buffer[];
  /** All of it, and the quotes of values. */
  readonly size: number;
}

/** Cuts the line of a row whose only unknowns are its values where they stand. */
function fixedParts(
  { stream, keyAt, version, at }: RowWriterOptions,
  prefixes: readonly string[],
): FixedParts {
  // Longer than the stream's name, so nowhere in it.
  const key = "k".repeat(stream.length + 1);
  const { text } = changeLine({
    id: `${version}/${stream}/[${key}]`,
    at,
    stream: JSON.stringify(stream),
    op: "snapshot",
    key: `[${key}]`,
    version,
    row: "{",
  });
  const [id = "", middle = "", rest = ""] = text.split(key);
  const columns = prefixes.map((prefix, i) => Buffer.from(`${i === 0 ? "" : ","}${prefix}`));
  const parts = { id: Buffer.from(id), middle: Buffer.from(middle), rowHead: Buffer.from(rest.slice(0, -1)) };
  const names = columns.reduce((sum, { length }) => sum + length + sqlNull.length, 0);
  const size =
    parts.id.length + parts.middle.length + parts.rowHead.length + names + 10 * keyAt.length + lineEnd.length;
  return { ...parts, columns, size };
}

/** Copies bytes; gives where they end. By a loop, as most are few: `set` costs 60 ns a call. */
function put(from: Uint8Array, start: number, end: number, target: Uint8Array, at: number): number {
  if (end - start > 64) {
    target.set(from.subarray(start, end), at);
    return at + end - start;
  }
  for (let i = start; i < end; i++) target[at++] = from[i]!;
  return at;
}
