import type { Traced } from "@weir/engine";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { TraceOptions } from "../program.ts";
import { renderTable } from "../table.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

const notFound =
  "No record with this id was found. It may wait in the log (weir drain loads it), or have been removed by retention; and where fields are tagged as personal, records that failed are sealed, and not looked into.";

/**
 * Prints what became of a record. With --json: `{contracts: [{contract, receipts: [{position, receivedAt, sent, outcome, reason}], tables:
 * [{name, kind}]}]}`. Exit code 1 if it was not found.
 */
export async function trace(terminal: Terminal, id: string, options: TraceOptions): Promise<ExitCode> {
  const contracts = await withEngine(terminal, options, (backend) => backend.trace(id, options.contract));
  result(terminal, { contracts }, () =>
    contracts.length === 0 ? notFound : contracts.map((one) => shown(terminal, one)).join("\n\n"),
  );
  return contracts.length === 0 ? exitCodes.failed : exitCodes.ok;
}

function shown(terminal: Terminal, { contract, receipts, tables }: Traced): string {
  const rows = receipts.map(({ position, receivedAt, sent, outcome, reason }) => [
    receivedAt,
    position,
    sent,
    reason === null ? outcome : `${outcome}: ${reason}`,
  ]);
  const list = tables.map(({ name, kind }) => `${name} (${kind})`).join(", ");
  return [
    paint(terminal, "bold", contract),
    renderTable(terminal, ["RECEIVED", "POSITION", "SENT AS", "OUTCOME"], rows),
    ...(tables.length === 0 ? [] : [`tables: ${list}`]),
  ].join("\n");
}
