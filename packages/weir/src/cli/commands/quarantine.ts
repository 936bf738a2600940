import type { QuarantinedRecord } from "@weir/engine";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { CommonOptions, QuarantineOptions } from "../program.ts";
import { renderTable, visible } from "../table.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/** Lists records in quarantine, newest first. With --json: `{records: [...]}`, each as `quarantineShow` prints it. */
export async function quarantineList(terminal: Terminal, options: QuarantineOptions): Promise<ExitCode> {
  const { source, contract, reason, limit, offset } = options;
  const filter = {
    limit,
    offset,
    ...(source === undefined ? {} : { source }),
    ...(contract === undefined ? {} : { contract }),
    ...(reason === undefined ? {} : { reason }),
  };
  const records = await withEngine(terminal, options, (backend) => backend.quarantineList(filter));
  result(terminal, { records }, () => {
    if (records.length === 0) return "No records.";
    const rows = records.map((record) => [
      record.id,
      record.receivedAt,
      record.contract ?? record.sent,
      record.reason,
      summary(record),
    ]);
    return renderTable(terminal, ["ID", "RECEIVED", "CONTRACT", "REASON", "DETAIL"], rows);
  });
  return exitCodes.ok;
}

/**
 * Prints one record and its path. With --json: `{id, source, receivedAt, contract, sent, reason, detail, violations, text, base64,
 * receivedCommit, attempts, task, raw}`.
 */
export async function quarantineShow(
  terminal: Terminal,
  id: string,
  options: CommonOptions,
): Promise<ExitCode> {
  const record = await withEngine(terminal, options, (backend) => backend.quarantineShow(id));
  result(terminal, record, () => {
    const facts: [string, string | null][] = [
      ["id", record.id],
      ["received", record.receivedAt],
      ["source", record.source],
      ["contract", record.contract ?? record.sent],
      ["reason", record.reason],
      ["detail", record.detail],
      ["commit", record.receivedCommit === null ? null : String(record.receivedCommit)],
      ["raw", record.raw.join(", ") || null],
      ["attempts", record.task === null ? null : `${record.attempts}, the last by task ${record.task}`],
    ];
    const lines = facts.flatMap(([name, value]) =>
      value === null ? [] : [`${paint(terminal, "dim", name.padEnd(9))} ${visible(value)}`],
    );
    for (const { pointer, keyword, expected, found } of violationsOf(record)) {
      lines.push(
        visible(`  ${pointer === "" ? "(record)" : pointer}: ${keyword} ${expected}, found ${found}`),
      );
    }
    const body = record.text ?? (record.base64 === null ? null : `base64 ${record.base64}`);
    if (body !== null) lines.push("", visible(body));
    return lines.join("\n");
  });
  return exitCodes.ok;
}

interface ShownViolation {
  readonly pointer: string;
  readonly keyword: string;
  readonly expected: string;
  readonly found: string;
}

function violationsOf(record: QuarantinedRecord): ShownViolation[] {
  if (!Array.isArray(record.violations)) return [];
  return record.violations.flatMap((violation) => {
    if (typeof violation !== "object" || violation === null || Array.isArray(violation)) return [];
    const text = (name: string): string => {
      const value = violation[name];
      return typeof value === "string" ? value : JSON.stringify(value ?? null);
    };
    return [
      {
        pointer: text("pointer"),
        keyword: text("keyword"),
        expected: text("expected"),
        found: text("found"),
      },
    ];
  });
}

function summary(record: QuarantinedRecord): string | null {
  const [first, ...more] = violationsOf(record);
  if (first === undefined) return record.detail;
  const rest = more.length === 0 ? "" : ` (and ${more.length} more)`;
  return `${first.pointer} ${first.keyword} ${first.expected}${rest}`.trim();
}
