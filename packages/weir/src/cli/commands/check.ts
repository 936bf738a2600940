import { loadCompiled } from "../../compiled.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { shownPath } from "../../load-error.ts";
import { findProject } from "../../load.ts";
import type { ProjectSummary } from "../../processes/messages.ts";
import { summarize } from "../../summary.ts";
import type { CommonOptions } from "../program.ts";
import { renderTable } from "../table.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Loads and compiles the project. With --json: `{ok: true, name, file, sources, contracts, tables}`. */
export async function check(terminal: Terminal, options: CommonOptions): Promise<ExitCode> {
  const { project, file } = await loadCompiled(findProject(options.project));
  const summary = summarize(project, file);
  result(terminal, { ok: true, ...summary }, () => summaryText(terminal, summary));
  return exitCodes.ok;
}

function summaryText(terminal: Terminal, summary: ProjectSummary): string {
  const { name, file, sources, contracts, tables } = summary;
  const head = `${paint(terminal, "green", "ok")} project ${paint(terminal, "bold", name)} (${shownPath(file)})`;
  const parts = [
    head,
    renderTable(
      terminal,
      ["SOURCE", "KIND", "CONTRACTS"],
      sources.map((source) => [source.name, source.kind, source.contracts.join(", ")]),
    ),
    renderTable(
      terminal,
      ["CONTRACT", "VERSION", "OWNER"],
      contracts.map((contract) => [contract.name, contract.version, contract.owner]),
    ),
  ];
  if (tables.length > 0) {
    parts.push(
      renderTable(
        terminal,
        ["TABLE", "KIND"],
        tables.map((table) => [table.name, table.kind]),
      ),
    );
  }
  return parts.join("\n\n");
}
