import { CommanderError } from "commander";
import { WeirError } from "@weir/contract";
import { exitCodeFor } from "../exit-code.ts";
import type { ExitCode } from "../exit-code.ts";
import { toPlainError } from "../processes/messages.ts";
import type { PlainError } from "../processes/messages.ts";
import type { Terminal } from "./terminal.ts";

/**
 * Prints an error to standard error (code, what, where, what to do; with --json as `{"error": {...}}`).
 *
 * @returns the exit code
 */
export function reportError(terminal: Terminal, error: unknown): ExitCode {
  const plain = error instanceof CommanderError ? usageError(error).toJSON() : toPlainError(error);
  printError(terminal, plain);
  return exitCodeFor(plain.code);
}

export function printError(terminal: Terminal, error: PlainError): void {
  terminal.note(terminal.json ? JSON.stringify({ error }) : errorText(error));
}

/** An error as the lines a person reads. */
export function errorText(error: PlainError): string {
  const [first = "", ...more] = error.message.split("\n");
  const lines = [`error ${error.code}: ${first}`, ...more.map((line) => `  ${line}`)];
  if (error.where !== undefined) lines.push(`  where: ${error.where}`);
  if (error.remedy !== undefined) lines.push(`  do:    ${error.remedy}`);
  return lines.join("\n");
}

function usageError(error: CommanderError): WeirError {
  const message = error.message.replace(/^error: /, "").replace(/\n.*/s, "");
  const text = error.code === "commander.help" ? "a command is missing" : message;
  return new WeirError(
    "invalid_usage",
    `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.+$/, "")}.`,
    {
      remedy: "Run weir --help, or weir COMMAND --help.",
    },
  );
}
