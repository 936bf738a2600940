import type { Contract, Json } from "@weir/contract";
import { type AsyncBuffer, type FileMetaData, parquetMetadataAsync, parquetReadObjects } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { FilesSource } from "./declare.ts";
import type { Batch, FormatReader } from "./format.ts";
import { DamagedFile, type OpenFile } from "./open-file.ts";
import { type ParquetColumn, parquetColumns, rawParsers, withRawTypes } from "./parquet-values.ts";
import { TypedRows } from "./typed-rows.ts";

interface GroupPosition {
  /** Rows before it. */
  readonly rows: number;
}

/** A row group is decoded as a whole, so it is what memory depends on. Writers make them of 1 MB to 256 MB. */
const maxGroupBytes = 1024 * 1024 * 1024;
const batchRows = 2000;

/** Apache Parquet, with the codecs that hyparquet-compressors knows: snappy, gzip, brotli, zstd, lz4. */
export function parquetReader(source: FilesSource, contract: Contract): FormatReader {
  return {
    unit: "row",
    async verify(file, signal) {
      const parquet = await ParquetFile.open(file);
      for (const group of parquet.groups) {
        signal.throwIfAborted();
        await parquet.rows(group.start, group.end);
      }
    },
    async *read(file, rows, from, signal) {
      const parquet = await ParquetFile.open(file);
      const names = parquet.columns.map(({ name }) => name);
      const typed = new TypedRows(source, contract, rows, names);
      yield* batches(parquet, typed, from as GroupPosition | undefined, signal);
    },
  };
}

async function* batches(
  parquet: ParquetFile,
  typed: TypedRows,
  from: GroupPosition | undefined,
  signal: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
  const done = from?.rows ?? 0;
  for (const { start, end } of parquet.groups) {
    if (end <= done) continue;
    signal.throwIfAborted();
    const rows = await parquet.rows(start, end);
    for (let at = Math.max(0, done - start); at < rows.length; at += batchRows) {
      const records = rows.slice(at, at + batchRows).map((row, i) =>
        typed.record(
          start + at + i + 1,
          (column) => {
            const { name, value } = parquet.columns[column]!;
            return value(row[name]);
          },
          () => Buffer.from(shown(row)),
        ),
      );
      yield { records, position: { rows: start + Math.min(rows.length, at + batchRows) } satisfies Json };
    }
  }
}

interface RowRange {
  readonly start: number;
  readonly end: number;
}

class ParquetFile {
  readonly columns: readonly ParquetColumn[];
  readonly groups: readonly RowRange[];
  readonly #buffer: AsyncBuffer;
  readonly #metadata: FileMetaData;

  private constructor(buffer: AsyncBuffer, metadata: FileMetaData, groups: readonly RowRange[]) {
    this.#buffer = buffer;
    this.columns = parquetColumns(metadata);
    this.#metadata = withRawTypes(metadata);
    this.groups = groups;
  }

  /** @throws DamagedFile */
  static async open(file: OpenFile): Promise<ParquetFile> {
    if (file.isGzip) throw new DamagedFile("Parquet is compressed in itself, and is not read through gzip.");
    const { size } = file.stamp;
    const buffer = { byteLength: size, slice: (start: number, end = size) => file.slice(start, end) };
    const metadata = await orDamaged(() => parquetMetadataAsync(buffer));
    const groups: RowRange[] = [];
    let start = 0;
    for (const { num_rows: rows, total_byte_size: bytes } of metadata.row_groups) {
      if (bytes > maxGroupBytes) {
        throw new DamagedFile(
          `A row group has ${bytes} bytes, and is decoded whole: at most ${maxGroupBytes} are allowed.`,
        );
      }
      groups.push({ start, end: start + Number(rows) });
      start += Number(rows);
    }
    return new ParquetFile(buffer, metadata, groups);
  }

  rows(rowStart: number, rowEnd: number): Promise<Record<string, unknown>[]> {
    if (rowStart === rowEnd) return Promise.resolve([]);
    const file = this.#buffer;
    const metadata = this.#metadata;
    return orDamaged(async () => {
      const rows = await parquetReadObjects({
        file,
        metadata,
        rowStart,
        rowEnd,
        compressors,
        parsers: rawParsers,
        utf8: false,
        geoparquet: false,
      });
      if (rows.length === rowEnd - rowStart) return rows;
      throw new DamagedFile(`It has ${rows.length} of ${rowEnd - rowStart} rows of a row group.`);
    });
  }
}

/** What hyparquet throws says that the file is broken; errors of the file system have a code. */
async function orDamaged<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const isOurs = error instanceof Error && (error.name === "ChangedFile" || error.name === "DamagedFile");
    if (isOurs || (error as NodeJS.ErrnoException).code !== undefined) throw error;
    throw new DamagedFile(
      `It is no readable Parquet file: ${error instanceof Error ? error.message : String(error)}.`,
    );
  }
}

/** A row for people, as there are no bytes of a row. */
function shown(row: object): string {
  return JSON.stringify(row, (_, value: unknown) => {
    if (typeof value === "bigint") return String(value);
    return value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value;
  });
}
