import { PADDING_BYTES, Scanner, membersOf, scannedText, splitSingle } from "@weir/collect";
import type { CapturedRecord } from "../capture.ts";
import type { FilesSource } from "./declare.ts";
import type { RowRecords } from "./row-record.ts";

/** Objects and arrays around a value, the record included. */
const maxDepth = 64;

/** Makes records of JSON texts, as they were written but for white space. One per reading of a file. */
export class JsonRecords {
  readonly #scanner = new Scanner();
  readonly #rows: RowRecords;
  /** Fields of the contract by the names that the file has for them. */
  readonly #fieldOf: ReadonlyMap<string, string>;
  #scratch = Buffer.alloc(64 * 1024);

  constructor(source: FilesSource, rows: RowRecords) {
    this.#rows = rows;
    this.#fieldOf = new Map(Object.entries(source.columns).map(([field, column]) => [column, field]));
  }

  /** The record of the row at `start..end`; undefined if there is only white space. */
  record(number: number, bytes: Buffer, start: number, end: number): CapturedRecord | undefined {
    if (end - start > this.#rows.rowBytes) return this.#rows.tooLarge(number, bytes.subarray(start, end));
    const size = end - start;
    if (size + PADDING_BYTES > this.#scratch.length) this.#scratch = Buffer.alloc(2 * size + PADDING_BYTES);
    bytes.copy(this.#scratch, 0, start, end);
    this.#scratch.fill(0, size, size + PADDING_BYTES);
    this.#scanner.open(this.#scratch, false, { recordBytes: this.#rows.rowBytes, depth: maxDepth });
    let record: CapturedRecord | undefined;
    splitSingle(this.#scanner, 0, size, {
      record: (scanner, from, to) => {
        const { code, detail } = scanner;
        if (code === undefined) record = this.#readable(number, scannedText(scanner), scanner.keys);
        else {
          const kept = Buffer.from(this.#scratch.subarray(from, to));
          record = this.#rows.unreadable({ number, code: code as "invalid_json", detail, bytes: kept });
        }
      },
    });
    return record;
  }

  /** `latin1` is the minified text, one character a byte. */
  #readable(number: number, latin1: string, keys: number): CapturedRecord {
    if (this.#fieldOf.size > 0) return this.#renamed(number, latin1);
    const text = decoded(latin1);
    // A name may also be written with escapes.
    const names = text.includes("\\u") ? new Set(membersOf(latin1).map(({ name }) => name)) : undefined;
    const has = (name: string): boolean =>
      names === undefined
        ? text.includes(`${JSON.stringify(name)}:`) && hasMember(latin1, name)
        : names.has(name);
    return this.#rows.ofObject(number, text, keys, has);
  }

  #renamed(number: number, latin1: string): CapturedRecord {
    const taken = new Set<string>();
    const members = membersOf(latin1).map(({ name, value }) => {
      let free = this.#fieldOf.get(name) ?? name;
      while (taken.has(free)) free += "_";
      taken.add(free);
      return `${JSON.stringify(free)}:${decoded(value)}`;
    });
    return this.#rows.of(number, members, (name) => taken.has(name));
  }
}

const hasMember = (latin1: string, name: string): boolean =>
  membersOf(latin1).some((member) => member.name === name);

const decoded = (latin1: string): string => Buffer.from(latin1, "latin1").toString();
