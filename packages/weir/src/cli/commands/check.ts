import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Finding } from "@weir/capture";
import { WeirError, errorCodes } from "@weir/contract";
import { loadCompiled } from "../../compiled.ts";
import { captureStateDir, createCapture } from "../../connectors.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { shownPath } from "../../load-error.ts";
import { findProject } from "../../load.ts";
import type { ProjectSummary } from "../../processes/messages.ts";
import { toPlainError } from "../../processes/messages.ts";
import type { Project } from "../../project.ts";
import { summarize } from "../../summary.ts";
import { dataDirOf } from "../place.ts";
import type { CheckOptions } from "../program.ts";
import { renderTable } from "../table.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** What is wrong with a source. */
interface SourceFinding extends Finding {
  readonly source: string;
}

/** A source that does not answer at all must not keep the command. */
const connectMs = 60_000;

/**
 * Loads and compiles the project; with --connect also looks at the sources that are captured, changing nothing. With --json:
 * `{ok, name, file, sources, contracts, tables}`, and `findings` with --connect. Exit code 1 if a source has an error.
 */
export async function check(terminal: Terminal, options: CheckOptions): Promise<ExitCode> {
  const { project, file } = await loadCompiled(findProject(options.project));
  const summary = summarize(project, file);
  if (options.connect !== true) {
    result(terminal, { ok: true, ...summary }, () => summaryText(terminal, summary));
    return exitCodes.ok;
  }
  const places = { dataDir: dataDirOf(options), baseDir: dirname(file) };
  const findings = await findingsOf(project, summary, places);
  const ok = findings.every(({ severity }) => severity !== "error");
  result(terminal, { ok, ...summary, findings }, () =>
    [summaryText(terminal, summary), findingsText(terminal, findings)].join("\n\n"),
  );
  return ok ? exitCodes.ok : exitCodes.failed;
}

async function findingsOf(
  project: Project,
  { sources }: ProjectSummary,
  { dataDir, baseDir }: { dataDir: string; baseDir: string },
): Promise<SourceFinding[]> {
  const found = sources.map(async ({ name: source, pulled }) => {
    if (!pulled) return [];
    const stateDir = captureStateDir(dataDir, source);
    const timer = new AbortController();
    try {
      const capture = await createCapture(project, { source, stateDir, baseDir });
      const late = delay(connectMs, undefined, { signal: timer.signal }).then(() => {
        throw new WeirError("capture_failed", `It did not answer within ${connectMs / 1000} s.`);
      });
      const findings = await Promise.race([capture.check(), late]);
      return findings.map((finding) => ({ source, ...finding }));
    } catch (error) {
      const { code, ...plain } = toPlainError(error);
      return [{ source, severity: "error", code: code as Finding["code"], ...plain } as const];
    } finally {
      timer.abort();
    }
  });
  return (await Promise.all(found)).flat();
}

function findingsText(terminal: Terminal, findings: readonly SourceFinding[]): string {
  if (findings.length === 0) return "The captured sources answer, and nothing is wrong with them.";
  return findings
    .map(({ source, severity, code, message, where, remedy }) => {
      const head = `${paint(terminal, severity === "error" ? "red" : "yellow", severity)} ${source}: ${message} [${code}]`;
      const place = where === undefined ? [] : [`  where: ${where}`];
      return [head, ...place, `  ${remedy ?? errorCodes[code].remedy}`].join("\n");
    })
    .join("\n");
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
