import type { IncomingHttpHeaders } from "node:http";
import type { JsonObject } from "@weir/contract";
import { changeText } from "@weir/contract";
import { readEvent } from "./change.ts";
import type { StripeSource } from "./declare.ts";
import { verifySignature } from "./signature.ts";

/** What the collector's `WebhookReceiver` is, for Stripe. */
export interface StripeWebhook {
  readonly contract: string;
  verify(headers: IncomingHttpHeaders, body: Uint8Array, nowMs: number): void;
  read(call: JsonObject): readonly { text: string; keys: number; nulls: number }[] | string;
}

/** Receives the webhook calls of a source, which the project has named. The source must have webhook secrets. */
export function stripeWebhook(source: string, spec: StripeSource): StripeWebhook {
  const { webhookSecrets: secrets, toleranceMs, apiVersion } = spec;
  return {
    contract: source,
    verify(headers, body, nowMs) {
      const header = headers["stripe-signature"];
      verifySignature(typeof header === "string" ? header : undefined, body, { secrets, toleranceMs }, nowMs);
    },
    read(call) {
      const event = readEvent(call, apiVersion);
      return typeof event === "string" ? event : [{ ...changeText(event.change), nulls: 0 }];
    },
  };
}
