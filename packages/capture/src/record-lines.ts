import type { CapturedRecord } from "./capture.ts";

/** Columns 2 to 7 of log lines for records, and the byte length of each: what `SegmentWriter.append` takes. */
export function recordLines(
  records: readonly CapturedRecord[],
  receivedUs: number,
): { bytes: Uint8Array; lengths: Uint32Array } {
  const lengths = new Uint32Array(records.length);
  const lines = records.map((record, i) => {
    const line = `${receivedUs}\t${columns(record)}\n`;
    lengths[i] = Buffer.byteLength(line);
    return line;
  });
  return { bytes: Buffer.from(lines.join("")), lengths };
}

function columns(record: CapturedRecord): string {
  const name = column(record.contract);
  if ("text" in record) return `${name}\t${record.keys}\t0\t\t${record.text}`;
  const detail = record.detail === undefined ? "" : `: ${column(record.detail)}`;
  const bytes = Buffer.from(record.bytes.buffer, record.bytes.byteOffset, record.bytes.byteLength);
  return `${name}\t0\t0\t${record.error}${detail}\t${bytes.toString("base64")}`;
}

/** A text that fits into a column. */
const column = (text: string): string => text.replaceAll(/[\t\n\r\0]/g, " ").slice(0, 400);
