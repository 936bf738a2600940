import type { Capture, CaptureContext, Finding } from "../capture.ts";
import { typeNames } from "./catalog.ts";
import { preflight } from "./check.ts";
import { TypeNames } from "./columns.ts";
import { connect, placeOf, sourceError } from "./connect.ts";
import { serverFacts, unfitServer } from "./server-facts.ts";
import { Session } from "./session.ts";
import { serverNames } from "./source.ts";
import type { PostgresSource } from "./source.ts";
import { start } from "./start.ts";

export interface PostgresCaptureOptions {
  /** The name that the project gives the source. */
  readonly source: string;
  /** How long to wait for a slot that somebody reads from; default 20,000. Milliseconds. */
  readonly slotFreeWithinMs?: number;
}

/** A walsender outlives its client by up to wal_sender_timeout when the network is cut. */
const defaultSlotFreeWithinMs = 20_000;

/** Runs a declared PostgreSQL source: see docs/guide/postgres.md for what it does when. */
export function createPostgresCapture(
  spec: PostgresSource,
  { source, slotFreeWithinMs = defaultSlotFreeWithinMs }: PostgresCaptureOptions,
): Capture {
  const { slot, publication } = serverNames(spec, source);
  return {
    check: () => check(spec, source, slot, publication),
    run: (context) => run(spec, context, slot, publication, slotFreeWithinMs),
  };
}

async function check(
  spec: PostgresSource,
  source: string,
  slot: string,
  publication: string,
): Promise<Finding[]> {
  try {
    const control = await connect({ url: spec.url, name: `weir ${source} check` });
    try {
      return await preflight({ control, spec, slot, publication, where: placeOf(spec.url) });
    } finally {
      await control.close();
    }
  } catch (error) {
    const told = sourceError(spec.url, error);
    if (!(told instanceof Error) || !("code" in told)) throw told;
    const { code, message, where, remedy } = told as unknown as Omit<Finding, "severity">;
    return [
      {
        severity: "error",
        code,
        message,
        ...(where === undefined ? {} : { where }),
        ...(remedy === undefined ? {} : { remedy }),
      },
    ];
  }
}

async function run(
  spec: PostgresSource,
  context: CaptureContext,
  slot: string,
  publication: string,
  slotFreeWithinMs: number,
): Promise<void> {
  try {
    const control = await connect({ url: spec.url, name: `weir ${context.source} control` });
    try {
      const facts = await serverFacts(control);
      const unfit = unfitServer(facts, placeOf(spec.url));
      if (unfit !== undefined) throw unfit;
      const types = new TypeNames(await typeNames(control));
      const begun = await start({
        spec,
        context,
        control,
        facts,
        types,
        slot,
        publication,
        slotFreeWithinMs,
      }).catch((error: unknown) => {
        // Nothing was appended yet, so what went wrong while it was asked to end is of no consequence.
        if (context.signal.aborted) return undefined;
        throw error;
      });
      if (begun === undefined) return;
      const session = await Session.open({ spec, context, control, facts, types, publication, ...begun });
      await session.run();
    } finally {
      await control.close();
    }
  } catch (error) {
    throw sourceError(spec.url, error);
  }
}
