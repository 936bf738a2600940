import { WeirError, isJsonObject } from "@weir/contract";
import type { Capture, CaptureContext, CaptureStatus, Finding } from "../capture.ts";
import { type Clock, systemClock } from "../web/clock.ts";
import { Refusal, SalesforceClient } from "./client.ts";
import { type ObjectCursor, loadedCursor, savedCursor } from "./cursor.ts";
import type { SalesforceSource } from "./declare.ts";
import { describe } from "./describe.ts";
import { IdJournal } from "./id-journal.ts";
import { ObjectCapture, type Shared } from "./object-capture.ts";
import { Quota, type QuotaState } from "./quota.ts";
import { UsageFiles, liveReader } from "./usage-files.ts";

export interface SalesforceCaptureOptions {
  /** A directory of the source's own, for the ids of captured rows. */
  readonly stateDir: string;
  readonly clock?: Clock;
  /** Between 0 and 1, as Math.random. */
  readonly random?: () => number;
  /** How long a connection may be silent; default 120 s, the longest that Salesforce takes for a query. */
  readonly idleMs?: number;
}

/** An object that Salesforce refuses is tried again after this, or its interval if that is longer. */
const refusedMs = 5 * 60_000;

/** Reads Salesforce objects by their changes. */
export function createSalesforceCapture(spec: SalesforceSource, options: SalesforceCaptureOptions): Capture {
  const { clock = systemClock, random = Math.random, idleMs = 120_000, stateDir } = options;
  const connect = (onQuota: (state: QuotaState, why: string) => void, usage?: UsageFiles) => {
    const shares = { source: spec.quotaShare, ...(usage === undefined ? {} : { usage }) };
    const quota = new Quota(clock, shares, onQuota);
    return { quota, client: new SalesforceClient(spec, { clock, random, idleMs, quota }) };
  };
  return {
    check: () => check(spec, connect(() => {}).client),
    run: async (context) => {
      let report = (): void => {};
      const { quota, client } = connect(
        (state, why) => {
          tellQuota(context, state, why);
          // A source that stops is not heard of again for a while.
          report();
        },
        new UsageFiles(stateDir, liveReader),
      );
      try {
        await run({ spec, clock, stateDir, context, quota, client }, (how) => {
          report = how;
        });
      } catch (error) {
        // Stopping ends requests under way; nothing of them was appended.
        if (!context.signal.aborted) throw error;
      }
    },
  };
}

function tellQuota(context: CaptureContext, state: QuotaState, why: string): void {
  if (state === "stopped")
    context.log("warn", `capturing stops: ${why}`, { code: "salesforce_quota_reached" });
  else if (state === "slow") context.log("info", `capturing slows down: ${why}`);
  else context.log("info", "capturing goes on at full speed");
}

interface Running {
  readonly spec: SalesforceSource;
  readonly clock: Clock;
  readonly stateDir: string;
  readonly context: CaptureContext;
  readonly quota: Quota;
  readonly client: SalesforceClient;
}

async function run(
  { spec, clock, stateDir, context, quota, client }: Running,
  onReporter: (report: () => void) => void,
): Promise<void> {
  const { signal } = context;
  const saved = loadedCursor(context.cursor);
  quota.load(saved.usage);
  const cursors: Record<string, ObjectCursor> = { ...saved.objects };
  const shared: Shared = {
    spec,
    client,
    clock,
    context,
    save: async (name, cursor) => {
      cursors[name] = cursor;
      await context.saveCursor(savedCursor({ objects: cursors, usage: quota.save() }));
      report();
    },
  };
  const objects = spec.objects.map((name) => {
    return new ObjectCapture(shared, name, cursors[name], new IdJournal(stateDir, name));
  });
  const report = (): void => context.report(statusOf(spec, objects, quota, client));
  onReporter(report);
  try {
    const dueMs = new Map<ObjectCapture, number>();
    while (!signal.aborted) {
      for (const object of objects) {
        if (signal.aborted) return;
        if (clock.now() < (dueMs.get(object) ?? 0)) continue;
        dueMs.set(object, clock.now() + (await turn(object, spec, context)));
      }
      report();
      const next = Math.min(...dueMs.values());
      await clock.sleep(Math.max(1, next - clock.now()), signal);
    }
  } finally {
    for (const object of objects) await object.settle();
  }
}

/** An object that Salesforce refuses does not hold up the others. */
async function turn(object: ObjectCapture, spec: SalesforceSource, context: CaptureContext): Promise<number> {
  try {
    const afterMs = await object.turn();
    object.problem = undefined;
    return afterMs;
  } catch (error) {
    const isItsOwn =
      error instanceof Refusal ||
      (error instanceof WeirError && error.code === "salesforce_object_unavailable");
    if (!isItsOwn || context.signal.aborted) throw error;
    const { code, message } = error;
    if (object.problem !== message) context.log("warn", `${object.name} is not read: ${message}`, { code });
    object.problem = message;
    return Math.max(spec.everyMs, refusedMs);
  }
}

function statusOf(
  spec: SalesforceSource,
  objects: readonly ObjectCapture[],
  quota: Quota,
  client: SalesforceClient,
): CaptureStatus {
  const status: Record<string, string | number | null> = {
    settleLagSeconds: spec.settleMs / 1000,
    ...quota.status(),
  };
  let lagMs = 0;
  for (const { name, cursor, counts, problem } of objects) {
    const { through, pass } = cursor;
    status[`${name}_through`] = through ?? null;
    if (through === undefined || pass?.job !== undefined)
      status[`${name}_reading`] = pass?.job === undefined ? "rest" : "bulk";
    if (problem !== undefined) status[`${name}_problem`] = problem;
    status[`${name}_rows`] = counts.rows;
    status[`${name}_deleted`] = counts.deleted;
    if (counts.purged > 0) status[`${name}_purged`] = counts.purged;
    if (counts.found > 0) status[`${name}_found`] = counts.found;
    lagMs = through === undefined ? lagMs : Math.max(lagMs, client.serverNow() - Date.parse(through));
  }
  return { ...status, lagSeconds: Math.round(lagMs / 1000) };
}

async function check(spec: SalesforceSource, client: SalesforceClient): Promise<Finding[]> {
  const signal = new AbortController().signal;
  const findings: Finding[] = [];
  const add = (error: unknown, severity: Finding["severity"]): WeirError => {
    if (!(error instanceof WeirError)) throw error;
    const { code, message, where, remedy } = error;
    findings.push({ severity, code, message, remedy, ...(where === undefined ? {} : { where }) });
    return error;
  };
  for (const object of spec.objects) {
    try {
      await describe(client, object, signal);
    } catch (error) {
      if (add(error, "error").code === "salesforce_auth_failed") return findings;
    }
  }
  try {
    const limits = await client.json("/limits", signal);
    const daily = isJsonObject(limits) ? limits["DailyApiRequests"] : undefined;
    const { Max: max, Remaining: left } = isJsonObject(daily) ? daily : {};
    if (typeof max === "number" && typeof left === "number" && left < max * (1 - spec.quotaShare)) {
      const message = `${left} of the organisation's ${max} daily API requests are left.`;
      findings.push({ severity: "warn", code: "salesforce_quota_reached", message });
    }
  } catch (error) {
    // Not every user may see the limits; the answers to other requests tell them.
    add(error, "warn");
  }
  return findings;
}
