import { join } from "node:path";
import { WeirError } from "@weir/contract";
import type {
  Capture,
  FilesSource,
  Interval,
  IntervalCapture,
  PostgresSource,
  SalesforceSource,
  StripeSource,
} from "@weir/capture";
import type { Collector, CollectorOptions, PushSource, WebhookReceiver } from "@weir/collect";
import type { Project } from "./project.ts";

type Source = Project["sources"][string];

/** How sources of a kind are run. */
interface Kind {
  /** Clients send it records over HTTP. */
  readonly pushed?: boolean;
  /** A provider calls its address; gives what reads the calls, or undefined where the declaration asks for none. */
  webhook?(declared: never, source: string): Promise<WebhookReceiver | undefined>;
  /** Whether a process of its own captures it. */
  pulled?(declared: never): boolean;
  capture?(declared: never, place: CapturePlace): Promise<Capture>;
  /** Reads a past interval of it, beside its capture. */
  interval?(declared: never, interval: Interval, place: IntervalPlace): Promise<IntervalCapture>;
}

/** What a connector that pulls may need besides its declaration. */
interface CapturePlace {
  readonly source: string;
  /** A directory of the source's own, made when it is needed. */
  readonly stateDir: string;
  /** Paths in the declaration are relative to this directory, that of the project file. */
  readonly baseDir: string;
}

/** What reading an interval may need besides the declaration. */
interface IntervalPlace {
  readonly source: string;
  /** Of what the source may take, where it is limited by somebody else. */
  readonly share: number;
  readonly dataDir: string;
  /** Of a database: the column that is in the interval, and patterns of the tables. */
  readonly column: string | undefined;
  readonly tables: readonly string[] | undefined;
}

/** Where a source's capture keeps what it needs besides its cursor; what reads an interval of the source looks there too. */
export const captureStateDir = (dataDir: string, source: string): string => join(dataDir, "capture", source);

/**
 * The one place that knows the connectors. A connector is loaded when a project uses it, so that nobody pays for, or
 * installs, what they do not use.
 */
const kinds: Readonly<Record<string, Kind>> = {
  http: { pushed: true },
  logs: { pushed: true },
  files: {
    pulled: () => true,
    capture: async (declared: FilesSource, { baseDir }) => {
      const { createFilesCapture } = await import("@weir/capture/files");
      return createFilesCapture(declared, { baseDir });
    },
  },
  postgres: {
    pulled: () => true,
    capture: async (declared: PostgresSource, { source }) => {
      const { createPostgresCapture } = await import("@weir/capture/postgres");
      return createPostgresCapture(declared, { source });
    },
    interval: async (declared: PostgresSource, interval, { source, dataDir, column, tables }) => {
      if (column === undefined) {
        throw new WeirError("invalid_usage", "An interval of a PostgreSQL source is one of a column.", {
          remedy: "Name it with --column, such as --column updated_at.",
        });
      }
      const { captureCursorFile } = await import("@weir/capture");
      const { createPostgresInterval } = await import("@weir/capture/postgres");
      const cursorFile = captureCursorFile(dataDir, source);
      return createPostgresInterval(declared, interval, { source, column, tables, cursorFile });
    },
  },
  salesforce: {
    pulled: () => true,
    capture: async (declared: SalesforceSource, { stateDir }) => {
      const { createSalesforceCapture } = await import("@weir/capture/salesforce");
      return createSalesforceCapture(declared, { stateDir });
    },
    interval: async (declared: SalesforceSource, interval, { share, source, dataDir }) => {
      const { createSalesforceInterval } = await import("@weir/capture/salesforce");
      return createSalesforceInterval(declared, interval, {
        share,
        stateDir: captureStateDir(dataDir, source),
      });
    },
  },
  stripe: {
    webhook: async (declared: StripeSource, source) => {
      const { stripeWebhook } = await import("@weir/capture/stripe");
      return declared.webhookSecrets.length > 0 ? stripeWebhook(source, declared) : undefined;
    },
    pulled: (declared: StripeSource) => declared.apiKey !== undefined && declared.reconcileMs !== undefined,
    capture: async (declared: StripeSource) => {
      const { createStripeCapture } = await import("@weir/capture/stripe");
      return createStripeCapture(declared);
    },
    interval: async (declared: StripeSource, interval) => {
      const { createStripeInterval } = await import("@weir/capture/stripe");
      return createStripeInterval(declared, interval);
    },
  },
};

/**
 * Starts collecting for every source of a project that is sent to Weir.
 *
 * @throws WeirError `project_invalid` for a source of an unknown kind, and what the connectors throw
 */
export async function startPushSources(
  project: Project,
  options: Omit<CollectorOptions, "sources" | "webhooks">,
): Promise<Collector> {
  checkSources(project);
  const sources: Record<string, PushSource> = {};
  const webhooks: Record<string, WebhookReceiver> = {};
  for (const [name, source] of Object.entries(project.sources)) {
    const kind = kinds[kindOf(source)];
    if (kind?.pushed === true) sources[name] = source as PushSource;
    const webhook = await kind?.webhook?.(source as never, name);
    if (webhook !== undefined) webhooks[name] = webhook;
  }
  const { createCollector } = await import("@weir/collect");
  return await createCollector({ ...options, sources, webhooks });
}

/** Whether a process of its own captures the source. */
export const isPulled = (source: Source): boolean =>
  kinds[kindOf(source)]?.pulled?.(source as never) ?? false;

/**
 * The capture of a pull source, not yet started.
 *
 * @throws WeirError `project_invalid` when the project has no such source, and what the connector throws
 */
export async function createCapture(project: Project, place: CapturePlace): Promise<Capture> {
  const { source } = place;
  const declared = project.sources[source];
  const capture =
    declared === undefined ? undefined : await kinds[kindOf(declared)]?.capture?.(declared as never, place);
  if (capture !== undefined) return capture;
  throw new WeirError("project_invalid", `There is no source ${source} that is captured.`, {
    where: `source ${source}`,
  });
}

/**
 * What reads a past interval of a source, not yet started.
 *
 * @throws WeirError `invalid_usage` when the source is of a kind that has no intervals, and what the connector throws
 */
export async function createIntervalCapture(
  project: Project,
  interval: Interval,
  place: IntervalPlace,
): Promise<IntervalCapture> {
  const { source } = place;
  const declared = project.sources[source];
  const kind = declared === undefined ? "unknown" : kindOf(declared);
  const isDatabase = kind === "postgres";
  if (!isDatabase && (place.column !== undefined || place.tables !== undefined)) {
    throw new WeirError("invalid_usage", "--column and --tables are for sources of kind postgres.", {
      where: `source ${source}`,
    });
  }
  const capture = await kinds[kind]?.interval?.(declared as never, interval, place);
  if (capture !== undefined) return capture;
  const able = Object.entries(kinds).flatMap(([name, has]) => ("interval" in has ? name : []));
  throw new WeirError("invalid_usage", `A source of kind ${kind} cannot be asked for a past interval.`, {
    where: `source ${source}`,
    remedy: `One of ${able.join(", ")} can. Export what is missing, and read it with --files.`,
  });
}

/** @throws WeirError `project_invalid` unless every source is of a kind that this version runs */
export function checkSources(project: Project): void {
  const known = Object.keys(kinds);
  for (const [name, source] of Object.entries(project.sources)) {
    if (known.includes(kindOf(source))) continue;
    throw new WeirError("project_invalid", `Source ${name} is of no kind that Weir knows.`, {
      where: `source ${name}`,
      remedy: `Declare it with one of: ${known.join("(), ")}().`,
    });
  }
}

function kindOf(source: Source): string {
  return "kind" in source && typeof source.kind === "string" ? source.kind : "unknown";
}
