import { errorCodes } from "@weir/contract";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { dataDirOf } from "../place.ts";
import type { CommonOptions } from "../program.ts";
import { printError } from "../report.ts";
import { paint, result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";
import { withEngine } from "../with-engine.ts";

/** Checks the invariants; exit code 1 when one fails. With --json: `{ok, commit, checks: [{name, ok, detail}]}`. */
export async function verify(terminal: Terminal, options: CommonOptions): Promise<ExitCode> {
  const report = await withEngine(terminal, options, (backend) => backend.verify());
  result(terminal, report, () =>
    report.checks
      .map(({ name, ok, detail }) => {
        const mark = ok ? paint(terminal, "green", "ok    ") : paint(terminal, "red", "FAILED");
        return `${mark} ${name}: ${detail}`;
      })
      .join("\n"),
  );
  if (report.ok) return exitCodes.ok;
  const failed = report.checks.filter(({ ok }) => !ok).map(({ name }) => name);
  printError(terminal, {
    code: "verify_failed",
    message: `At commit ${report.commit} these do not hold: ${failed.join(", ")}.`,
    where: dataDirOf(options),
    remedy: errorCodes.verify_failed.remedy,
  });
  return exitCodes.failed;
}
