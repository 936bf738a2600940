import { WeirError } from "@weir/contract";
import type { Capture } from "@weir/capture";
import type { Collector, CollectorOptions, HttpSource } from "@weir/collect";
import type { Project } from "./project.ts";

type Source = Project["sources"][string];

/** What a connector that pulls may need besides its declaration. */
interface PullPlace {
  /** The source's name. */
  readonly source: string;
  /** A directory of the source's own, made when it is needed. */
  readonly stateDir: string;
}

/**
 * The one place that knows the connectors: how a source of each kind is run. A connector is loaded when a project uses
 * it, so that nobody pays for, or installs, what they do not use.
 */
const pushKinds = {
  http: async (sources: Readonly<Record<string, HttpSource>>, options: Omit<CollectorOptions, "sources">) =>
    await (await import("@weir/collect")).createCollector({ ...options, sources }),
};

const pullKinds: Readonly<Record<string, (declared: never, place: PullPlace) => Promise<Capture>>> = {};

/**
 * Starts collecting for every push source of a project.
 *
 * @throws WeirError `project_invalid` for a source of an unknown kind, and what the connector throws
 */
export async function startPushSources(
  project: Project,
  options: Omit<CollectorOptions, "sources">,
): Promise<Collector> {
  checkSources(project);
  const http: Record<string, HttpSource> = {};
  for (const [name, source] of Object.entries(project.sources))
    if (kindOf(source) === "http") http[name] = source as HttpSource;
  return await pushKinds.http(http, options);
}

/** Whether a process of its own captures the source. */
export const isPulled = (source: Source): boolean => Object.hasOwn(pullKinds, kindOf(source));

/**
 * The capture of a pull source, not yet started.
 *
 * @throws WeirError `project_invalid` when the project has no such source, and what the connector throws
 */
export async function createCapture(project: Project, source: string, stateDir: string): Promise<Capture> {
  const declared = project.sources[source];
  const create = declared === undefined ? undefined : pullKinds[kindOf(declared)];
  if (create === undefined) {
    throw new WeirError("project_invalid", `There is no source ${source} that is captured.`, {
      where: `source ${source}`,
    });
  }
  return await create(declared as never, { source, stateDir });
}

/** @throws WeirError `project_invalid` unless every source is of a kind that this version runs */
export function checkSources(project: Project): void {
  const kinds = [...Object.keys(pushKinds), ...Object.keys(pullKinds)];
  for (const [name, source] of Object.entries(project.sources)) {
    if (kinds.includes(kindOf(source))) continue;
    throw new WeirError("project_invalid", `Source ${name} is of no kind that Weir knows.`, {
      where: `source ${name}`,
      remedy: `Declare it with one of: ${kinds.join("(), ")}().`,
    });
  }
}

function kindOf(source: Source): string {
  return "kind" in source && typeof source.kind === "string" ? source.kind : "unknown";
}
