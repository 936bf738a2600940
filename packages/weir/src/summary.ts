import { isPulled } from "./connectors.ts";
import type { Project } from "./project.ts";
import type { ProjectSummary } from "./processes/messages.ts";

/** What a project declares, each contract once however many sources bring it. */
export function summarize(project: Project, file: string): ProjectSummary {
  const contracts = new Map<string, ProjectSummary["contracts"][number]>();
  const sources = Object.entries(project.sources).map(([name, source]) => {
    for (const { name: contract, version, owner } of source.contracts) {
      contracts.set(contract, { name: contract, version, owner });
    }
    const kind = "kind" in source ? String(source.kind) : "unknown";
    return {
      name,
      kind,
      contracts: source.contracts.map((contract) => contract.name),
      pulled: isPulled(source),
    };
  });
  const tables = Object.entries(project.tables).map(([name, { kind }]) => ({ name, kind }));
  return { name: project.name, file, sources, contracts: [...contracts.values()], tables };
}
