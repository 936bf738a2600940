import { WeirError } from "@weir/contract";
import type { ContractNames, NamedContract } from "./contract-names.ts";
import { unnamed } from "./contract-names.ts";
import { Lines } from "./lines.ts";
import type { SourceLimits } from "./limits.ts";
import type { RecordErrorCode, Scanner } from "./scan.ts";

/** A record that was accepted as unreadable: `index` counts all records of the request from 0. */
export interface UnreadableRecord {
  readonly index: number;
  readonly code: RecordErrorCode;
  readonly message: string;
}

/** Unreadable records that a reply describes; all are counted. */
const maxDescribed = 100;

/**
 * The records of one request on their way into the log: it counts them, names their contracts and builds their lines. There is
 * one per collector, used again for each request, because a request is read in one go.
 */
export class Receipt {
  readonly lines = new Lines();
  names!: ContractNames;
  /** Unreadable records by code, and the first of them. */
  unreadable = new Map<RecordErrorCode, number>();
  described: UnreadableRecord[] = [];
  /** The contract that the request names for all its records. */
  requested: NamedContract | undefined;
  #maxRecords = 0;

  begin(
    names: ContractNames,
    requested: NamedContract | undefined,
    limits: SourceLimits,
    receivedUs: number,
  ): void {
    this.lines.begin(receivedUs);
    this.names = names;
    this.requested = requested;
    this.unreadable = new Map();
    this.described = [];
    this.#maxRecords = limits.records;
  }

  /** Adds the scanner's record under the contract that its request, its member `type` or its source says, in this order. */
  addScanned(scanner: Scanner): void {
    this.#count();
    const named = this.requested ?? this.names.findType(scanner) ?? this.names.only ?? unnamed;
    this.lines.addScanned(named, scanner);
  }

  /** Adds a readable record as `Lines.addText` does. */
  addText(named: NamedContract, keys: number, nulls: number, text: string): void {
    this.#count();
    this.lines.addText(this.requested ?? named, keys, nulls, text);
  }

  /** Adds a record that cannot be read. What its bytes say of a contract is not to be trusted, so it goes by its request or source. */
  addUnreadable(code: RecordErrorCode, detail: string, bytes: Uint8Array): void {
    this.#count();
    if (this.described.length < maxDescribed) {
      this.described.push({ index: this.lines.count, code, message: detail });
    }
    this.unreadable.set(code, (this.unreadable.get(code) ?? 0) + 1);
    this.lines.addUnreadable(this.requested ?? this.names.only ?? unnamed, code, detail, bytes);
  }

  get unreadableCount(): number {
    let count = 0;
    for (const some of this.unreadable.values()) count += some;
    return count;
  }

  /** What the client is told once the lines are durable. */
  reply(): string {
    const received = this.lines.count;
    const unreadable = this.unreadableCount;
    return JSON.stringify({
      success: true,
      received,
      accepted: received - unreadable,
      unreadable,
      quarantined: this.described,
    });
  }

  #count(): void {
    if (this.lines.count < this.#maxRecords) return;
    throw new WeirError("too_many_records", `The request has more than ${this.#maxRecords} records.`);
  }
}
