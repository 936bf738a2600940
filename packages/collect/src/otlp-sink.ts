import { unnamed } from "./contract-names.ts";
import type { SourceLimits } from "./limits.ts";
import { LogIds } from "./log-ids.ts";
import { type Members, type OtlpLog, logMembers } from "./otlp-log-text.ts";
import type { Receipt } from "./receipt.ts";
import type { RecordErrorCode } from "./scan.ts";

/** Levels that a value is below the record, at most: the record, `attributes`, and the value itself. */
const levelsAbove = 2;

/** Puts the log records of one request together, gives them ids and adds them to the receipt. */
export class OtlpSink {
  /** How deep lists and maps may nest within an attribute or a body; at least 1. */
  readonly depth: number;
  readonly #receipt: Receipt;
  readonly #recordBytes: number;
  readonly #ids = new LogIds();

  constructor(receipt: Receipt, { depth, recordBytes }: SourceLimits) {
    this.#receipt = receipt;
    this.#recordBytes = recordBytes;
    this.depth = Math.max(1, depth - levelsAbove);
  }

  /** Adds a record; `raw` makes the bytes to keep should it be too large. */
  record(log: OtlpLog, resource: Members, scope: Members, raw: () => Uint8Array): void {
    const { members, uid } = logMembers(log);
    const content = members.text + resource.text + scope.text;
    const text = latin1(`{"id":${JSON.stringify(uid ?? this.#ids.of(content))}${content}}`);
    if (text.length > this.#recordBytes) {
      this.unreadable("too_large", `${text.length} bytes, limit ${this.#recordBytes}`, raw());
      return;
    }
    const named = this.#receipt.names.only ?? unnamed;
    this.#receipt.addText(named, 1 + members.count + resource.count + scope.count, 0, text);
  }

  unreadable(code: RecordErrorCode, detail: string, bytes: Uint8Array): void {
    this.#receipt.addUnreadable(code, detail, bytes);
  }
}

/** A text as its UTF-8 bytes, one character a byte: what the lines of the log are built of. */
function latin1(text: string): string {
  // eslint-disable-next-line no-control-regex
  return /[^\x00-\x7f]/.test(text) ? Buffer.from(text).toString("latin1") : text;
}
