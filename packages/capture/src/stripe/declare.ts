import { WeirError, changeContract, durationMs, rowTagsProblem } from "@weir/contract";
import type { Contract, Duration, RowTags } from "@weir/contract";
import { defaultObjects, isListable } from "./objects.ts";

export interface StripeOptions {
  /** Secret or restricted key that may read events and objects. Without it there is no reconciliation. */
  readonly apiKey?: string;
  /** Signing secrets of the webhook endpoint; several while one is replaced by the next. Without any, no calls are taken. */
  readonly webhookSecrets?: readonly string[];
  /** The version, such as `2026-10-28.endive`, that objects are kept in. Create the webhook endpoint with the same. */
  readonly apiVersion: string;
  /** How often the list of events is read for those that no webhook brought; default 10m; false: never. Needs `apiKey`. */
  readonly reconcile?: Duration | false;
  /** Types that are listed whole at first, and after more than 30 days without reconciling; default: `defaultObjects`. */
  readonly objects?: readonly string[];
  /** How old, or how far ahead, a call's signature may be; default 300s. */
  readonly tolerance?: Duration;
  /** Events younger than this are not reconciled yet, as the list may still miss some; default 60s. */
  readonly hold?: Duration;
  /** Default https://api.stripe.com. */
  readonly apiUrl?: string;
  /** Personal columns, by stream: `{ customer: { id: "subject", email: "email" } }`. See docs/guide/privacy.md. */
  readonly pii?: RowTags;
}

/** A Stripe account's objects, declared: pushed by webhooks, and pulled by reconciliation. Plain data, with secrets. */
export interface StripeSource {
  readonly kind: "stripe";
  readonly apiKey: string | undefined;
  readonly webhookSecrets: readonly string[];
  readonly apiVersion: string;
  /** Undefined: never. */
  readonly reconcileMs: number | undefined;
  readonly objects: readonly string[];
  readonly toleranceMs: number;
  readonly holdMs: number;
  readonly apiUrl: string;
  /** The contracts of its records; the name is the one the project gives the source. */
  contractsFor(source: string): readonly Contract[];
}

/**
 * Declares a Stripe account as a source of changes: one stream per type of object (`invoice`, `charge`, ...), see
 * docs/guide/stripe.md.
 *
 * @throws WeirError `invalid_source`, `duration_invalid`
 */
export function stripe(options: StripeOptions): StripeSource {
  const { apiKey, webhookSecrets = [], apiVersion, objects = defaultObjects } = options;
  if (apiKey === undefined && webhookSecrets.length === 0) {
    throw invalid("A stripe source needs webhookSecrets, an apiKey, or both.");
  }
  if (!/^\d{4}-\d\d-\d\d(\.[a-z_]+)?$/.test(apiVersion)) {
    throw invalid(`${JSON.stringify(apiVersion)} is no version of Stripe's API, such as 2026-10-28.endive.`);
  }
  if (apiKey !== undefined && !/^[\x21-\x7e]+$/.test(apiKey)) {
    throw invalid("The apiKey has characters that no key has, such as a space or a line break.");
  }
  for (const secret of webhookSecrets) {
    if (!/^[\x21-\x7e]+$/.test(secret)) {
      throw invalid("A webhook secret is empty, or has a space or a line break in it.");
    }
  }
  const apiUrl = options.apiUrl ?? "https://api.stripe.com";
  if (!isSafe(apiUrl)) {
    throw invalid(`apiUrl ${JSON.stringify(apiUrl)} is no https address; the key is sent there.`);
  }
  for (const type of objects) {
    if (!isListable(type)) throw invalid(`Objects of type ${JSON.stringify(type)} cannot be listed.`);
  }
  const reconcile = options.reconcile ?? "10m";
  const reconcileMs = apiKey === undefined || reconcile === false ? undefined : durationMs(reconcile);
  const { pii = {} } = options;
  const problem = rowTagsProblem(pii);
  if (problem !== undefined) throw invalid(`${problem}.`);
  if (reconcileMs === 0) throw invalid("reconcile must be longer than 0, or false.");
  return {
    kind: "stripe",
    apiKey,
    webhookSecrets: [...webhookSecrets],
    apiVersion,
    reconcileMs,
    objects: [...objects],
    toleranceMs: durationMs(options.tolerance ?? "300s"),
    holdMs: durationMs(options.hold ?? "60s"),
    apiUrl,
    contractsFor: (source) => [changeContract(source, pii)],
  };
}

/** Nothing but this machine may be asked without TLS. */
function isSafe(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return protocol === "https:" || (protocol === "http:" && ["127.0.0.1", "localhost"].includes(hostname));
}

function invalid(message: string): WeirError {
  return new WeirError("invalid_source", message, { where: "stripe source" });
}
