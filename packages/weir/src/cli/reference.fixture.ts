import type { Command } from "commander";
import { errorCodes } from "@weir/contract";
import { exitCodeFor, exitCodes } from "../exit-code.ts";
import { createProgram } from "./program.ts";
import type { Handlers } from "./program.ts";

/** The parts of docs/reference/cli.md that are made from the code, by the name of their marker. */
export function generatedParts(): Map<string, string> {
  const program = createProgram({} as Handlers, "0.0.0", () => {});
  const parts = new Map<string, string>([["exit codes", exitCodeTable()]]);
  for (const command of leaves(program)) parts.set(nameOf(command), commandPart(command));
  return parts;
}

/** The document with every generated part in place. */
export function withGeneratedParts(text: string): string {
  let out = text;
  for (const [name, part] of generatedParts()) {
    const [start, end] = [`<!-- generated: ${name} -->`, "<!-- end -->"];
    const from = out.indexOf(start);
    if (from < 0) throw new Error(`docs/reference/cli.md has no ${start}`);
    const to = out.indexOf(end, from);
    out = `${out.slice(0, from)}${start}\n${part}\n${out.slice(to)}`;
  }
  return out;
}

function leaves(command: Command): Command[] {
  if (command.commands.length === 0) return [command];
  // One that does something by itself has options, as all of them do.
  const own = command.parent !== null && command.options.length > 0 ? [command] : [];
  return [...own, ...command.commands.flatMap(leaves)];
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;
}

function commandPart(command: Command): string {
  const words = command.registeredArguments.map((argument) => {
    return argument.required ? `<${argument.name()}>` : `[${argument.name()}]`;
  });
  const usage = [nameOf(command), ...words].join(" ");
  const rows = [
    ...command.registeredArguments.map((argument) => [
      `\`${argument.name()}\``,
      argument.description,
      shown(argument.defaultValue),
    ]),
    ...command.options.map((option) => {
      const choices = option.argChoices === undefined ? "" : `: ${option.argChoices.join(", ")}`;
      return [`\`${option.flags}\``, `${option.description}${choices}`, shown(option.defaultValue)];
    }),
  ];
  return [
    "```",
    usage,
    "```",
    "",
    "| argument or option | | default |",
    "| --- | --- | --- |",
    ...rows.map((cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`),
  ].join("\n");
}

function shown(value: string | number | undefined): string {
  return value === undefined ? "" : `\`${String(value)}\``;
}

const meanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: "done",
  failed: "understood and tried, and the answer is no",
  usage: "the command line or the SQL statement is wrong",
  projectInvalid: "the project file is missing or not valid",
  notRunning: "no instance answers, and there is no data to open",
  locked: "another process holds the data directory or the port",
  internal: "a defect in Weir, or a Node that is too old",
  interrupted: "a second signal ended `up` or `dev` before its drain was done",
};

function exitCodeTable(): string {
  const rows = Object.entries(exitCodes).map(([name, exit]) => {
    const codes = Object.keys(errorCodes).filter((code) => exitCodeFor(code) === exit);
    const shownCodes =
      exit === exitCodes.failed ? "every other" : codes.map((code) => `\`${code}\``).join(", ");
    return `| ${exit} | ${meanings[name as keyof typeof exitCodes]} | ${shownCodes} |`;
  });
  return ["| exit code | meaning | error codes |", "| --- | --- | --- |", ...rows].join("\n");
}
