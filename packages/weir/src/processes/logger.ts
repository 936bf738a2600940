import type { PlainError } from "./messages.ts";

export type LogFormat = "human" | "json";
export type LogLevel = "info" | "warn" | "error";

/** One line on stderr an event. `fields` are for machines; the human form shows the message and an error's parts. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * Writes structured lines: as JSON `{time, level, process, message, ...fields}`, or for people
 * `12:00:01 engine  message`. Each line is one write(2) to stderr, which all processes of an instance share: lines of
 * up to PIPE_BUF bytes stay whole.
 */
export function createLogger(processName: string, format: LogFormat): Logger {
  const time = (at: Date): string => at.toTimeString().slice(0, 8);
  const colour = format === "human" && process.stderr.isTTY && process.env["NO_COLOR"] === undefined;
  const paint = (code: string, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  return {
    log(level, message, fields = {}) {
      const now = new Date();
      if (format === "json") {
        process.stderr.write(
          `${JSON.stringify({ time: now.toISOString(), level, process: processName, message, ...fields })}\n`,
        );
        return;
      }
      const shade = level === "error" ? "31" : level === "warn" ? "33" : "2";
      const prefix = `${paint("2", time(now))} ${paint("36", processName.padEnd(11))} `;
      const text = level === "info" ? message : paint(shade, `${level}: ${message}`);
      process.stderr.write(`${prefix}${text}${errorTail(fields["error"])}\n`);
    },
  };
}

function errorTail(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { code, message, where, remedy } = error as PlainError;
  const lines = `${code}: ${message}`.split("\n");
  if (where !== undefined) lines.push(`where: ${where}`);
  if (remedy !== undefined) lines.push(`do:    ${remedy}`);
  return lines.map((line) => `\n           ${line}`).join("");
}
