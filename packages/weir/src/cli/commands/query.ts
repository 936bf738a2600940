import { readFileSync } from "node:fs";
import { WeirError, durationMs } from "@weir/contract";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import type { QueryOptions } from "../program.ts";
import { renderCsv, renderTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

const numericType = /^(U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|DECIMAL|DOUBLE|FLOAT)\b/;

/** Runs one statement. With --json: `{columns: [{name, type}], rows: [[...]], truncated, commit}`. */
export async function query(
  terminal: Terminal,
  given: string | undefined,
  options: QueryOptions,
): Promise<ExitCode> {
  const sql = statement(given, options.file);
  const limits = { maxRows: options.maxRows, timeoutMs: durationMs(options.timeout) };
  const answer = await withEngine(terminal, options, (backend) => backend.query(sql, limits));
  const names = answer.columns.map(({ name }) => name);
  if (terminal.json) {
    terminal.out(JSON.stringify(answer));
    return exitCodes.ok;
  }
  // 64-bit integers and decimals are strings in JSON, so the type tells which columns are numbers.
  const numeric = answer.columns.map(({ type }) => numericType.test(type));
  const { rows } = answer;
  terminal.out(options.csv === true ? renderCsv(names, rows) : renderTable(terminal, names, rows, numeric));
  if (answer.truncated) terminal.note(`Only the first ${options.maxRows} rows; --max-rows allows more.`);
  return exitCodes.ok;
}

function statement(given: string | undefined, file: string | undefined): string {
  if ((given === undefined) === (file === undefined)) {
    throw new WeirError("invalid_usage", "Give either a statement or --file.", {
      remedy: 'Run weir query "SELECT ...", or weir query --file query.sql.',
    });
  }
  if (given !== undefined) return given;
  try {
    return readFileSync(file === "-" || file === undefined ? 0 : file, "utf8");
  } catch (cause) {
    throw new WeirError("invalid_usage", `The statement cannot be read: ${(cause as Error).message}.`, {
      cause,
    });
  }
}
