import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { RevealOptions } from "../program.ts";
import { renderTable, visible } from "../table.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/**
 * Prints the values behind tokens. With --json: `{values: [{token, value}]}`; a value is null where the vault has none. Exit code 1 if
 * one has none.
 */
export async function vaultReveal(
  terminal: Terminal,
  tokens: readonly string[],
  options: RevealOptions,
): Promise<ExitCode> {
  const values = await withEngine(terminal, options, (backend) => backend.reveal(tokens, options.reason));
  result(terminal, { values }, () =>
    renderTable(
      terminal,
      ["TOKEN", "VALUE"],
      values.map(({ token, value }) => [token, value === null ? null : visible(value)]),
    ),
  );
  return values.every(({ value }) => value !== null) ? exitCodes.ok : exitCodes.failed;
}
