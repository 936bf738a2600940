import { hash } from "node:crypto";
import { failpoint } from "@weir/log";
import type { CaptureContext } from "../capture.ts";
import { avroReader } from "./avro.ts";
import { csvReader } from "./csv.ts";
import { type FileFormat, type FilesSource, formatByEnding } from "./declare.ts";
import type { FoundFile } from "./directory.ts";
import type { Batch, FormatReader } from "./format.ts";
import { jsonReader } from "./json.ts";
import type { FileLedger, Progress } from "./ledger.ts";
import type { LedgerSaver } from "./ledger-saver.ts";
import { ndjsonReader } from "./ndjson.ts";
import { DamagedFile, OpenFile, isSameStamp, ofFile } from "./open-file.ts";
import { parquetReader } from "./parquet.ts";
import { RowRecords } from "./row-record.ts";

/** What reading a file came to. */
export interface FileResult {
  readonly identity: string;
  readonly rows: number;
  /** Nothing was read, as the same file was read before. */
  readonly isKnown: boolean;
}

/** What all files of a capture share. */
export interface FileWork {
  readonly ledger: FileLedger;
  readonly saver: LedgerSaver;
  readonly context: CaptureContext;
}

/** Progress in a file is saved this often. */
const progressMs = 2000;

/**
 * Reads one file, from where the ledger's progress in it is: its rows are appended, in order, with one append under way while the
 * next rows are read.
 *
 * @throws DamagedFile before any row was appended, ChangedFile, UnreadableFile, and what appending throws
 */
export async function readFile(found: FoundFile, source: FilesSource, work: FileWork): Promise<FileResult> {
  const { ledger, context } = work;
  const { signal } = context;
  const reader = readerOf(found, source);
  const file = await ofFile(() => OpenFile.open(found.absolute));
  try {
    const { progress } = ledger;
    const resumed =
      progress !== undefined && progress.path === found.path && isSameStamp(progress.stamp, file.stamp)
        ? progress
        : undefined;
    const identity = resumed?.identity ?? identityOf(found, source, await ofFile(() => file.hash(signal)));
    if (ledger.wasRead(identity)) return { identity, rows: 0, isKnown: true };
    if (resumed === undefined) {
      await ofFile(async () => {
        await reader.verify(file, signal);
        await file.checkUnchanged();
      });
    }
    const rows = new RowRecords(source, found.contract, { path: found.path, identity, unit: reader.unit });
    const batches = reader.read(file, rows, resumed?.position, signal);
    const taken = await appendAll(batches, { found, file, identity, resumed }, work);
    return { identity, rows: taken, isKnown: false };
  } finally {
    await file.close();
  }
}

interface Reading {
  readonly found: FoundFile;
  readonly file: OpenFile;
  readonly identity: string;
  readonly resumed: Progress | undefined;
}

/** Returns the number of rows of the whole file. */
async function appendAll(
  batches: AsyncIterable<Batch>,
  { found, file, identity, resumed }: Reading,
  { ledger, saver, context }: FileWork,
): Promise<number> {
  const iterator = batches[Symbol.asyncIterator]();
  let rows = resumed?.rows ?? 0;
  let pending: Promise<void> = Promise.resolve();
  let next: Progress | undefined;
  const settle = async (): Promise<void> => {
    await pending;
    ledger.progress = next ?? ledger.progress;
  };
  try {
    for (;;) {
      const batch = await ofFile(async () => {
        const read = await iterator.next();
        // A file that grows is not complete; what is already appended stays.
        await file.checkUnchanged();
        return read;
      });
      await settle();
      if (batch.done === true) break;
      context.signal.throwIfAborted();
      const { records, position } = batch.value;
      if (next !== undefined && (await saver.changed(progressMs))) failpoint("files.progress.saved");
      rows += records.length;
      next = { path: found.path, stamp: file.stamp, identity, position, rows };
      pending = context.append(records);
      // It is awaited above or below; until then its failure must not count as unhandled.
      pending.catch(() => {});
    }
  } finally {
    await iterator.return?.();
    await settle();
  }
  failpoint("files.rows.appended");
  return rows;
}

/** What a file is known again by. Names count unless the content alone does. */
function identityOf({ path }: FoundFile, { once }: FilesSource, contentHash: string): string {
  const identity = once === "content" ? contentHash : hash("sha256", `${path}\0${contentHash}`, "hex");
  return identity.slice(0, 32);
}

/** @throws DamagedFile for a name that does not tell its format */
function readerOf({ path, contract }: FoundFile, source: FilesSource): FormatReader {
  const ending = /\.[^./]*$/.exec(path.replace(/\.gz$/i, ""))?.[0].toLowerCase() ?? "";
  const format = source.format ?? formatByEnding.get(ending);
  if (format === undefined) {
    throw new DamagedFile("Its name does not tell its format: give the source a `format`.");
  }
  const readers: Record<FileFormat, () => FormatReader> = {
    csv: () => csvReader(source, contract, source.csv.delimiter ?? (ending === ".tsv" ? "\t" : ",")),
    json: () => jsonReader(source),
    ndjson: () => ndjsonReader(source),
    parquet: () => parquetReader(source, contract),
    avro: () => avroReader(source, contract),
  };
  return readers[format]();
}
