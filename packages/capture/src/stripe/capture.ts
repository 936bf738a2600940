import { WeirError } from "@weir/contract";
import type { JsonObject } from "@weir/contract";
import type { Capture, Finding } from "../capture.ts";
import { type Clock, systemClock } from "../web/clock.ts";
import { StripeApi } from "./api.ts";
import type { StripeSource } from "./declare.ts";
import { listPath } from "./objects.ts";
import { Reconciliation } from "./reconciliation.ts";

export interface StripeCaptureOptions {
  readonly clock?: Clock;
  /** Between 0 and 1, as Math.random. */
  readonly random?: () => number;
  /** How long a connection may be silent; default 60 s. */
  readonly idleMs?: number;
}

/**
 * Reads what webhooks did not bring: all objects once, then the events, a while after they happened. The source must have
 * an API key and an interval.
 */
export function createStripeCapture(spec: StripeSource, options: StripeCaptureOptions = {}): Capture {
  const { clock = systemClock, random = Math.random, idleMs = 60_000 } = options;
  const api = new StripeApi(spec, { clock, random, idleMs });
  return {
    check: () => check(spec, api),
    run: async (context) => {
      try {
        await new Reconciliation(spec, api, clock, context).run();
      } catch (error) {
        // Stopping ends requests under way; nothing of them was appended.
        if (!context.signal.aborted) throw error;
      }
    },
  };
}

async function check(spec: StripeSource, api: StripeApi): Promise<Finding[]> {
  const signal = new AbortController().signal;
  const findings: Finding[] = [];
  const paths = [`/v1/events?limit=1`, ...spec.objects.map((type) => listPath(type, 1, undefined))];
  for (const path of paths) {
    try {
      const page = await api.list(path, signal);
      if (path.startsWith("/v1/events")) findings.push(...versionFinding(spec, page?.data[0]));
    } catch (error) {
      if (!(error instanceof WeirError)) throw error;
      const { code, message, where, remedy } = error;
      const isObject = code === "stripe_permission_missing" && !path.startsWith("/v1/events");
      findings.push({
        severity: isObject ? "warn" : "error",
        code,
        message,
        remedy,
        ...(where === undefined ? {} : { where }),
      });
      if (code === "stripe_auth_failed") break;
    }
  }
  return findings.sort((a, b) => Number(a.severity === "warn") - Number(b.severity === "warn"));
}

function versionFinding(spec: StripeSource, event: JsonObject | undefined): Finding[] {
  const version = event?.["api_version"];
  if (typeof version !== "string" || version === spec.apiVersion) return [];
  return [
    {
      severity: "warn",
      code: "stripe_version_differs",
      message: `The account's events are rendered in version ${version}, the source keeps ${spec.apiVersion}: each object with events is read again.`,
    },
  ];
}
