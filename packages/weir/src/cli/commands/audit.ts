import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { AuditOptions, CommonOptions } from "../program.ts";
import { renderTable } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/** Prints entries, oldest first. With --json: `{entries: [...]}`, each as the log has it. */
export async function auditList(terminal: Terminal, options: AuditOptions): Promise<ExitCode> {
  const { after, limit } = options;
  const entries = await withEngine(terminal, options, (backend) => backend.audit(after, limit));
  result(terminal, { entries }, () => {
    if (entries.length === 0) return "No entries.";
    const rows = entries.map(({ number, at, actor, role, action, target, detail }) => [
      String(number),
      at,
      `${actor} (${role})`,
      action,
      target,
      JSON.stringify(detail),
    ]);
    return renderTable(terminal, ["NUMBER", "AT", "BY", "ACTION", "TARGET", "DETAIL"], rows);
  });
  return exitCodes.ok;
}

/** Goes through the chain. With --json: `{ok, entries, first, last, hash, problem}`. Exit code 1 if it is broken. */
export async function auditVerify(terminal: Terminal, options: CommonOptions): Promise<ExitCode> {
  const verdict = await withEngine(terminal, options, (backend) => backend.verifyAudit());
  const { ok, entries, first, last, hash, problem } = verdict;
  result(terminal, verdict, () => {
    if (!ok) return `The audit log is broken: ${problem}.`;
    if (entries === 0) return "The audit log is empty.";
    return `${entries} entries, ${first} to ${last}, follow each other.\nThe last has the hash ${hash}.`;
  });
  return ok ? exitCodes.ok : exitCodes.failed;
}
