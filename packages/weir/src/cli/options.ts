import { InvalidArgumentError, Option } from "commander";
import type { Command } from "commander";
import type { Duration } from "@weir/contract";

/** The options that every command takes. */
export function common(command: Command): Command {
  return command
    .option("-p, --project <path>", "the project file, or its folder (default: the working directory)")
    .option("-d, --data-dir <folder>", "the data directory (default: .weir beside the project file)")
    .option("--json", "print one JSON value");
}

export function integer(flags: string, text: string, standard: number, min: number, max: number): Option {
  return new Option(flags, text).default(standard).argParser((value) => {
    const number = Number(value);
    if (!/^\d+$/.test(value) || number < min || number > max) {
      throw new InvalidArgumentError(`It must be an integer from ${min} to ${max}.`);
    }
    return number;
  });
}

export function share(flags: string, text: string, standard: number): Option {
  return new Option(flags, text).default(standard).argParser((value) => {
    const number = Number(value);
    if (/^\d*\.?\d+$/.test(value) && number >= 0.01 && number <= 1) return number;
    throw new InvalidArgumentError("It must be a number from 0.01 to 1.");
  });
}

/**
 * An option in the notation of durations ("30s"). Kept as text: turning it into milliseconds takes @weir/contract, which
 * would double the time of `weir --help`.
 */
export function duration(flags: string, text: string, standard: Duration): Option {
  return life(flags, text).default(standard);
}

/** The same without a default. */
export function life(flags: string, text: string): Option {
  return new Option(flags, text).argParser((value) => {
    if (/^\d{1,9}(ms|s|m|h|d|w)$/.test(value)) return value;
    throw new InvalidArgumentError('It must be a duration such as "500ms", "30s" or "5m".');
  });
}
