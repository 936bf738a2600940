import type { Json } from "@weir/contract";
import type { CapturedRecord } from "../capture.ts";
import type { FilesSource } from "./declare.ts";
import type { Batch, FormatReader } from "./format.ts";
import { JsonRecords } from "./json-records.ts";
import { type OpenFile, readThrough } from "./open-file.ts";
import type { RowRecords } from "./row-record.ts";
import { skipLine, textWindow } from "./text-stream.ts";

interface LinePosition {
  readonly offset: number;
  /** Of the line at `offset`, from 1. */
  readonly line: number;
}

const lf = 0x0a;

/** One JSON object a line; lines of white space are skipped. */
export function ndjsonReader(source: FilesSource): FormatReader {
  return {
    unit: "line",
    async verify(file, signal) {
      if (file.isGzip) await readThrough(file.content(0, signal));
    },
    read: (file, rows, from, signal) => read(source, file, rows, from as LinePosition | undefined, signal),
  };
}

async function* read(
  source: FilesSource,
  file: OpenFile,
  rows: RowRecords,
  from: LinePosition | undefined,
  signal: AbortSignal,
): AsyncGenerator<Batch, void, undefined> {
  const window = await textWindow(file, "utf-8", from?.offset ?? 0, signal);
  const json = new JsonRecords(source, rows);
  let line = from?.line ?? 1;
  try {
    for (;;) {
      const records: CapturedRecord[] = [];
      while (window.start < window.end) {
        const { bytes, start, end } = window;
        const feed = bytes.indexOf(lf, start);
        const hasFeed = feed >= 0 && feed < end;
        if (!hasFeed && !window.isEnd) break;
        const record = json.record(line, bytes, start, hasFeed ? feed : end);
        if (record !== undefined) records.push(record);
        line++;
        window.advance(hasFeed ? feed + 1 : end);
      }
      if (window.end - window.start > rows.rowBytes) {
        const { size, kept } = await skipLine(window);
        records.push(rows.tooLarge(line, kept, size));
        line++;
      }
      if (records.length > 0) yield { records, position: { offset: window.offset, line } satisfies Json };
      if (!(await window.more()) && window.start === window.end) return;
    }
  } finally {
    await window.close();
  }
}
