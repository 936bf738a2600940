import { unnamed } from "./contract-names.ts";
import { scannedText } from "./flat-record.ts";
import { LogIds } from "./log-ids.ts";
import { logLineRecord } from "./log-line-record.ts";
import type { Protocol } from "./protocol.ts";
import type { Receipt } from "./receipt.ts";
import type { Scanner } from "./scan.ts";
import { type RecordSink, splitJson, splitLines } from "./split.ts";

const lineTypes = new Set([
  "application/x-ndjson",
  "application/ndjson",
  "application/jsonl",
  "application/x-jsonlines",
]);

/**
 * `POST /v1/logs/ndjson`: log records as JSON objects, one a line (Fluent Bit's HTTP output with `format json_lines`), or in an array
 * (`format json`). Its records are made by the rules of docs/reference/http.md.
 */
export const logLines: Protocol = {
  name: "log_lines",
  kind: "logs",
  allowsEmpty: () => false,
  accepts: ({ name, isUtf8 }) => isUtf8 && (lineTypes.has(name) || name === "application/json"),
  read({ mediaType, body, limits }, scanner, receipt) {
    // Members move one level down when they land in `attributes`.
    scanner.open(body.bytes, body.isUtf8, { ...limits, depth: limits.depth - 1 });
    const split = lineTypes.has(mediaType) ? splitLines : splitJson;
    split(scanner, body.start, body.end, new LineSink(receipt));
  },
};

class LineSink implements RecordSink {
  readonly #receipt: Receipt;
  readonly #ids = new LogIds();

  constructor(receipt: Receipt) {
    this.#receipt = receipt;
  }

  record(scanner: Scanner, start: number, end: number): void {
    const receipt = this.#receipt;
    if (scanner.code !== undefined) {
      receipt.addUnreadable(scanner.code, scanner.detail, scanner.bytes.subarray(start, end));
      return;
    }
    const record = logLineRecord(scannedText(scanner));
    const content = record.text.slice(1);
    const id = this.#ids.of(content);
    const text = content === "}" ? `{"id":"${id}"}` : `{"id":"${id}",${content}`;
    receipt.addText(receipt.names.only ?? unnamed, record.keys + 1, record.nulls, text);
  }
}
