import type { ErrorCode } from "@weir/contract";

/** A record for the log. `text` is minified strict JSON of an object with `keys` top-level members. */
export type CapturedRecord =
  | { readonly contract: string; readonly text: string; readonly keys: number }
  | {
      readonly contract: string;
      /** Why it cannot be read, a code of the errors that arrive at collecting. */
      readonly error: ErrorCode;
      /** Where and how, for people; becomes part of the quarantine's row. */
      readonly detail?: string;
      readonly bytes: Uint8Array;
    };

/** Columns 2 to 7 of log lines for records, and the byte length of each: what `SegmentWriter.append` takes. */
export interface Lines {
  readonly bytes: Uint8Array;
  readonly lengths: Uint32Array;
}

export function recordLines(records: readonly CapturedRecord[], receivedUs: number): Lines {
  const lengths = new Uint32Array(records.length);
  const lines = records.map((record, i) => {
    const line = recordLine(record, receivedUs);
    lengths[i] = Buffer.byteLength(line);
    return line;
  });
  return { bytes: Buffer.from(lines.join("")), lengths };
}

export function recordLine(record: CapturedRecord, receivedUs: number): string {
  if ("text" in record) return `${lineHead(record, receivedUs)}${record.text}\n`;
  const detail = record.detail === undefined ? "" : `: ${column(record.detail)}`;
  const bytes = Buffer.from(record.bytes.buffer, record.bytes.byteOffset, record.bytes.byteLength);
  return `${receivedUs}\t${column(record.contract)}\t0\t0\t${record.error}${detail}\t${bytes.toString("base64")}\n`;
}

/** What comes before the text of a record that can be read. */
export const lineHead = (record: { contract: string; keys: number }, receivedUs: number): string =>
  `${receivedUs}\t${column(record.contract)}\t${record.keys}\t0\t\t`;

/** A text that fits into a column. */
const column = (text: string): string => text.replaceAll(/[\t\n\r\0]/g, " ").slice(0, 400);
