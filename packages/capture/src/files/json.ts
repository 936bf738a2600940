import type { Json } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { FilesSource } from "./declare.ts";
import type { Batch, FormatReader } from "./format.ts";
import { JsonRecords } from "./json-records.ts";
import { DamagedFile, type OpenFile } from "./open-file.ts";
import type { RowRecords } from "./row-record.ts";
import { textWindow } from "./text-stream.ts";
import type { ByteWindow } from "./window.ts";

interface ElementPosition {
  readonly offset: number;
  /** Of the element at `offset`, from 1. */
  readonly row: number;
  readonly form: Form;
}

/** `unknown` at the start; `closed` behind an array. */
type Form = "unknown" | "sequence" | "array" | "closed";

/** Where an element is in the window, or that it is larger than a row may be. */
type Element =
  | { readonly start: number; readonly end: number }
  | { readonly size: number; readonly kept: Buffer };

/**
 * A JSON file: an array of objects, or objects one behind the other, of any size. Elements end where strings and brackets say
 * so; each is then judged by itself.
 */
export function jsonReader(source: FilesSource): FormatReader {
  return {
    unit: "row",
    async verify(file, signal) {
      const elements = new Elements(await textWindow(file, "utf-8", 0, signal), source.rowBytes, "unknown");
      try {
        while ((await elements.next()) !== undefined) elements.done();
      } finally {
        await elements.close();
      }
    },
    read: (file, rows, from, signal) => read(source, file, rows, from as ElementPosition | undefined, signal),
  };
}

/** Rows of a batch; files of this format are small, or of few large rows. */
const batchRows = 500;

async function* read(
  source: FilesSource,
  file: OpenFile,
  rows: RowRecords,
  from: ElementPosition | undefined,
  signal: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
  const window = await textWindow(file, "utf-8", from?.offset ?? 0, signal);
  const elements = new Elements(window, rows.rowBytes, from?.form ?? "unknown");
  const json = new JsonRecords(source, rows);
  let row = from?.row ?? 1;
  let records: CapturedRecord[] = [];
  const batch = (): Batch => ({
    records,
    position: { offset: window.offset, row, form: elements.form } satisfies Json,
  });
  try {
    for (;;) {
      const element = await elements.next();
      if (element === undefined) break;
      if ("size" in element) records.push(rows.tooLarge(row, element.kept, element.size));
      else {
        const { start, end } = element;
        const record = json.record(row, window.bytes, start, end);
        // Nothing between two commas.
        records.push(
          record ??
            rows.unreadable({
              number: row,
              code: "invalid_json",
              detail: "no element",
              bytes: Buffer.alloc(0),
            }),
        );
      }
      elements.done();
      row++;
      if (records.length < batchRows) continue;
      yield batch();
      records = [];
    }
    if (records.length > 0) yield batch();
  } finally {
    await elements.close();
  }
}

const keptBytes = 64 * 1024;
const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;

const isOpening = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const isClosing = (byte: number): boolean => byte === 0x7d || byte === 0x5d;
const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** Finds the elements of a file one by one, by strings and brackets alone. */
class Elements {
  form: Form;
  readonly #window: ByteWindow;
  readonly #rowBytes: number;
  /** Position behind the element that was found last, and the form of the file there. */
  #after = 0;
  #formAfter: Form = "unknown";

  constructor(window: ByteWindow, rowBytes: number, form: Form) {
    this.#window = window;
    this.#rowBytes = rowBytes;
    this.form = form;
  }

  close(): Promise<void> {
    return this.#window.close();
  }

  /** Goes on behind the element that was found last. */
  done(): void {
    this.#window.advance(this.#after);
    this.form = this.#formAfter;
  }

  /**
   * The next element; `done` is to be called before the next call.
   *
   * @throws DamagedFile for an array that is not closed, or something else behind it
   */
  async next(): Promise<Element | undefined> {
    let first = await this.#skipSpace();
    if (this.form === "unknown") {
      this.form = first === 0x5b ? "array" : "sequence";
      if (first === 0x5b) {
        this.#window.advance(this.#window.start + 1);
        first = await this.#skipSpace();
        // An empty array; `]` elsewhere ends the element before it.
        if (first === 0x5d) {
          this.#window.advance(this.#window.start + 1);
          this.form = "closed";
          first = await this.#skipSpace();
        }
      }
    }
    if (this.form === "closed" && first !== undefined)
      throw new DamagedFile("There is something behind the array.");
    if (this.form === "array" && first === undefined) throw new DamagedFile("The array is not closed.");
    return first === undefined ? undefined : await this.#element(this.form === "array");
  }

  async #element(inArray: boolean): Promise<Element> {
    const window = this.#window;
    let [depth, inString, size] = [0, false, 0];
    let kept: Buffer | undefined;
    let at = window.start;
    for (;;) {
      for (; at < window.end; at++) {
        const byte = window.bytes[at]!;
        if (inString) {
          if (byte === backslash) at++;
          else if (byte === quote) inString = false;
        } else if (byte === quote) inString = true;
        else if (isOpening(byte)) depth++;
        else if (depth === 0 && inArray && (byte === comma || byte === 0x5d)) {
          return this.#found(at, at + 1, kept, size, byte === 0x5d ? "closed" : "array");
        } else if (isClosing(byte) && depth > 0) {
          depth--;
          if (depth === 0 && !inArray) return this.#found(at + 1, at + 1, kept, size);
        } else if (depth === 0 && !inArray && byte === 0x0a) return this.#found(at, at + 1, kept, size);
      }
      // `at` may be one behind the end, if a backslash was the last byte.
      const beyond = at - window.end;
      if (window.end - window.start > this.#rowBytes) {
        kept ??= Buffer.from(window.bytes.subarray(window.start, window.start + keptBytes));
        size += window.end - window.start;
        window.advance(window.end);
      }
      const scanned = window.end - window.start;
      if (!(await window.more())) {
        if (inArray) throw new DamagedFile("The array is not closed.");
        return this.#found(window.end, window.end, kept, size);
      }
      at = window.start + scanned + beyond;
    }
  }

  #found(
    end: number,
    after: number,
    kept: Buffer | undefined,
    size: number,
    form: Form = "sequence",
  ): Element {
    const { start } = this.#window;
    this.#formAfter = form;
    this.#after = after;
    if (kept === undefined) return { start, end };
    return { kept, size: size + end - start };
  }

  /** The first byte that is no white space; undefined at the end. */
  async #skipSpace(): Promise<number | undefined> {
    const window = this.#window;
    for (;;) {
      while (window.start < window.end && isSpace(window.bytes[window.start]!))
        window.advance(window.start + 1);
      if (window.start < window.end) return window.bytes[window.start];
      if (!(await window.more())) return undefined;
    }
  }
}
