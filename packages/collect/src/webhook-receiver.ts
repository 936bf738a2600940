import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject } from "@weir/contract";
import type { RecordLimits } from "./scan.ts";

/**
 * What knows one provider's webhooks, for one source: how its calls are told from forged ones, and what records they
 * are. Neither method waits for anything or looks at a clock. Whoever puts a project together gives the collector one
 * per source, so that the collector knows no provider.
 */
export interface WebhookReceiver {
  /** Name of the contract that its records, also unreadable ones, are sent under. */
  readonly contract: string;
  /**
   * Returns if the provider sent this body within the time that it allows.
   *
   * @param body as it came over the wire
   * @throws WeirError `webhook_signature_invalid`, `webhook_signature_expired`
   */
  verify(headers: IncomingHttpHeaders, body: Uint8Array, nowMs: number): void;
  /** The records of a verified call, minified strict JSON each; or, as a text in ASCII, why it is none. */
  read(call: JsonObject): readonly WebhookRecord[] | string;
}

export interface WebhookRecord {
  readonly text: string;
  /** Top-level members, and how many of them are null. */
  readonly keys: number;
  readonly nulls: number;
}

/** Bounds of one call. Calls carry one object of the provider's; Stripe's largest, invoices with all their lines, stay below 100 KB. */
export const webhookLimits: RecordLimits = { recordBytes: 1024 * 1024, depth: 64 };
