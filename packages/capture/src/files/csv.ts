import type { Contract, Json } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import { type Cell, CsvSplitter, quotedEmpty } from "./csv-rows.ts";
import type { FilesSource } from "./declare.ts";
import { fieldShapes } from "./field-shape.ts";
import type { Batch, FormatReader } from "./format.ts";
import { DamagedFile, type OpenFile, readThrough } from "./open-file.ts";
import type { RowRecords } from "./row-record.ts";
import { type CellWriter, cellWriter } from "./text-value.ts";
import { skipLine, textWindow } from "./text-stream.ts";
import type { ByteWindow } from "./window.ts";

/** Where reading a CSV file goes on. */
interface CsvPosition {
  readonly offset: number;
  /** Of the row at `offset`, from 1. */
  readonly line: number;
  readonly columns: readonly string[];
}

/** One column: the member that it becomes, `"name":`, and how its cells are written. */
interface Column {
  readonly name: string;
  readonly prefix: string;
  readonly write: CellWriter;
}

/** CSV as RFC 4180 has it, with another delimiter, quote or encoding if so declared. */
export function csvReader(source: FilesSource, contract: Contract, delimiter: string): FormatReader {
  const reader = new CsvReader(source, contract, delimiter);
  return {
    unit: "line",
    verify: (file, signal) => reader.verify(file, signal),
    read: (file, rows, from, signal) => reader.read(file, rows, from, signal),
  };
}

class CsvReader {
  readonly #source: FilesSource;
  readonly #contract: Contract;
  readonly #delimiter: string;

  constructor(source: FilesSource, contract: Contract, delimiter: string) {
    this.#source = source;
    this.#contract = contract;
    this.#delimiter = delimiter;
  }

  /** The header is looked at, and gzip decompressed: nothing else of a CSV can be damaged but single rows. */
  async verify(file: OpenFile, signal: AbortSignal): Promise<void> {
    const window = await this.#window(file, 0, signal);
    try {
      await this.#start(window);
    } finally {
      await window.close();
    }
    if (file.isGzip) await readThrough(file.content(0, signal));
  }

  async *read(
    file: OpenFile,
    rows: RowRecords,
    from: Json | undefined,
    signal: AbortSignal,
  ): AsyncGenerator<Batch, void, undefined> {
    const position = from as CsvPosition | undefined;
    const window = await this.#window(file, position?.offset ?? 0, signal);
    try {
      const { line, columns } = position ?? (await this.#start(window));
      if (columns.length > 0) yield* this.#rows(window, rows, line, columns);
    } finally {
      await window.close();
    }
  }

  #window(file: OpenFile, from: number, signal: AbortSignal): Promise<ByteWindow> {
    return textWindow(file, this.#source.csv.encoding, from, signal);
  }

  /** Reads up to the first row. Of a file without any line there are no columns. */
  async #start(window: ByteWindow): Promise<{ line: number; columns: readonly string[] }> {
    const { header, skipLines, quote } = this.#source.csv;
    for (let i = 0; i < skipLines; i++) await skipLine(window);
    if (header !== true) return { line: 1 + skipLines, columns: header };
    const splitter = new CsvSplitter(this.#delimiter, quote, this.#source.rowBytes);
    let line = 1 + skipLines;
    for (;;) {
      splitter.reset();
      const row = splitter.next(window.bytes, window.start, window.end, window.isEnd);
      if (row === undefined) {
        if (window.end - window.start > this.#source.rowBytes)
          throw new DamagedFile("Its header is too large.");
        await window.more();
        continue;
      }
      const isEnd = row.end === window.start;
      window.advance(row.end);
      if ("fault" in row) throw new DamagedFile(`Its header, line ${line}, cannot be read: ${row.detail}.`);
      line += row.lines;
      if (isEnd) return { line, columns: [] };
      const names = row.cells.map((cell) => (cell === quotedEmpty ? "" : cell.trim()));
      if (names.some((name) => name !== "")) return { line, columns: checkedNames(names) };
    }
  }

  async *#rows(
    window: ByteWindow,
    rows: RowRecords,
    firstLine: number,
    names: readonly string[],
  ): AsyncGenerator<Batch, void, undefined> {
    const columns = this.#columns(names);
    const { quote } = this.#source.csv;
    const splitter = new CsvSplitter(this.#delimiter, quote, rows.rowBytes);
    let line = firstLine;
    for (;;) {
      const records: CapturedRecord[] = [];
      splitter.reset();
      while (window.start < window.end) {
        const { bytes, start, end } = window;
        const row = splitter.next(bytes, start, end, window.isEnd);
        if (row === undefined) break;
        const isTooLarge = row.end - start > rows.rowBytes;
        if (isTooLarge) records.push(rows.tooLarge(line, bytes.subarray(start, row.end)));
        else if ("fault" in row) {
          const { fault: code, detail } = row;
          records.push(
            rows.unreadable({ number: line, code, detail, bytes: rowBytes(bytes, start, row.end) }),
          );
        } else if (row.cells.length === columns.length)
          records.push(recordOf(rows, line, row.cells, columns));
        else if (row.cells.length > 1 || row.cells[0] !== "") {
          const detail = `${row.cells.length} cells, where the header has ${columns.length}`;
          records.push(
            rows.unreadable({
              number: line,
              code: "invalid_row",
              detail,
              bytes: rowBytes(bytes, start, row.end),
            }),
          );
        }
        line += row.lines;
        window.advance(row.end);
      }
      if (window.end - window.start > rows.rowBytes) {
        const { size, kept } = await skipLine(window);
        records.push(rows.tooLarge(line, kept, size));
        line++;
      }
      const position: CsvPosition = { offset: window.offset, line, columns: names };
      if (records.length > 0) yield { records, position: position as unknown as Json };
      if (!(await window.more()) && window.start === window.end) return;
    }
  }

  #columns(names: readonly string[]): Column[] {
    const { columns, csv, timezone } = this.#source;
    const fieldOf = new Map(Object.entries(columns).map(([field, column]) => [column, field]));
    const shapes = fieldShapes(this.#contract.schema);
    const rules = { nulls: new Set(csv.nulls), decimal: csv.decimal, timezone };
    const taken = new Set<string>();
    return names.map((column) => {
      let name = fieldOf.get(column) ?? column;
      while (taken.has(name)) name += "_";
      taken.add(name);
      return { name, prefix: `${JSON.stringify(name)}:`, write: cellWriter(shapes.get(name), rules) };
    });
  }
}

/** @throws DamagedFile if two columns go by one name: which of them is meant nobody can tell */
function checkedNames(names: readonly string[]): string[] {
  const seen = new Set<string>();
  return names.map((given, i) => {
    const name = given === "" ? `column_${i + 1}` : given;
    if (seen.has(name)) throw new DamagedFile(`Its header names the column ${JSON.stringify(name)} twice.`);
    seen.add(name);
    return name;
  });
}

function recordOf(
  rows: RowRecords,
  line: number,
  cells: readonly Cell[],
  columns: readonly Column[],
): CapturedRecord {
  const members: string[] = [];
  for (let i = 0; i < columns.length; i++) {
    const { prefix, write } = columns[i]!;
    const text = write(cells[i]!);
    if (text !== undefined) members.push(prefix + text);
  }
  return rows.of(line, members, (name) => {
    const at = columns.findIndex((column) => column.name === name);
    return at >= 0 && columns[at]!.write(cells[at]!) !== undefined;
  });
}

/** A copy without the line break, as the window's bytes move. */
function rowBytes(bytes: Buffer, start: number, end: number): Buffer {
  let last = end;
  if (bytes[last - 1] === 0x0a) last--;
  if (last > start && bytes[last - 1] === 0x0d) last--;
  return Buffer.from(bytes.subarray(start, last));
}
