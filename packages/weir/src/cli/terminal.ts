/**
 * Where a command writes: its result to standard output, everything said about it to standard error, so that
 * `weir query --json | jq` sees JSON and nothing else.
 */
export interface Terminal {
  /** True with --json: the result is one JSON value and errors are JSON as well. */
  readonly json: boolean;
  /** Standard output is a terminal and colour is welcome (no NO_COLOR, https://no-color.org). */
  readonly colour: boolean;
  out(text: string): void;
  note(text: string): void;
}

export function processTerminal(json: boolean): Terminal {
  const colour =
    process.stdout.isTTY && process.env["NO_COLOR"] === undefined && process.env["TERM"] !== "dumb";
  return {
    json,
    colour: colour && !json,
    out: (text) => {
      process.stdout.write(`${text}\n`);
    },
    note: (text) => {
      process.stderr.write(`${text}\n`);
    },
  };
}

const shades = { bold: "1", dim: "2", red: "31", green: "32", yellow: "33", cyan: "36" } as const;

export function paint(terminal: Terminal, shade: keyof typeof shades, text: string): string {
  return terminal.colour ? `\u001b[${shades[shade]}m${text}\u001b[0m` : text;
}

/** Prints a result: the value itself with --json, else what `human` makes of it. */
export function result(terminal: Terminal, value: unknown, human: () => string): void {
  terminal.out(terminal.json ? JSON.stringify(value) : human());
}
