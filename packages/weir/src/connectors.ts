import { WeirError } from "@weir/contract";
import type { Collector, CollectorOptions, HttpSource } from "@weir/collect";
import type { Project } from "./project.ts";

/**
 * The one place that knows the connectors: how a source of each kind is run. A connector is loaded when a project uses
 * it, so that nobody pays for, or installs, what they do not use.
 */
const pushKinds = {
  http: async (sources: Readonly<Record<string, HttpSource>>, options: Omit<CollectorOptions, "sources">) =>
    await (await import("@weir/collect")).createCollector({ ...options, sources }),
};

/**
 * Starts collecting for every push source of a project.
 *
 * @throws WeirError `project_invalid` for a source of an unknown kind, and what the connector throws
 */
export async function startPushSources(
  project: Project,
  options: Omit<CollectorOptions, "sources">,
): Promise<Collector> {
  const http: Record<string, HttpSource> = {};
  for (const [name, source] of Object.entries(project.sources)) http[name] = requireHttp(name, source);
  return await pushKinds.http(http, options);
}

/** @throws WeirError `project_invalid` unless every source is of a kind that this version runs */
export function checkSources(project: Project): void {
  for (const [name, source] of Object.entries(project.sources)) requireHttp(name, source);
}

function requireHttp(name: string, source: object): HttpSource {
  const kind = "kind" in source ? source.kind : undefined;
  if (kind === "http") return source as HttpSource;
  throw new WeirError("project_invalid", `Source ${name} is of no kind that Weir knows.`, {
    where: `source ${name}`,
    remedy: `Declare it with one of: ${Object.keys(pushKinds).join("(), ")}().`,
  });
}
