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
/** `text/plain` is what navigator.sendBeacon makes of a string. */
const jsonTypes = new Set(["application/json", "text/plain", ""]);

/** Gives readable records to the receipt as they are. */
export class EventSink implements RecordSink {
  readonly #receipt: Receipt;

  constructor(receipt: Receipt) {
    this.#receipt = receipt;
  }

  record(scanner: Scanner, start: number, end: number): void {
    const { code } = scanner;
    if (code === undefined) this.#receipt.addScanned(scanner);
    else this.#receipt.addUnreadable(code, scanner.detail, scanner.bytes.subarray(start, end));
  }
}

/** `POST /v1/events`: one JSON object, an array of objects, or NDJSON. */
export const events: Protocol = {
  name: "events",
  kind: "http",
  allowsEmpty: () => false,
  accepts: ({ name, isUtf8 }) => isUtf8 && (jsonTypes.has(name) || lineTypes.has(name)),
  read({ mediaType, body, limits }, scanner, receipt) {
    scanner.open(body.bytes, body.isUtf8, limits);
    const split = lineTypes.has(mediaType) ? splitLines : splitJson;
    split(scanner, body.start, body.end, new EventSink(receipt));
  },
};
