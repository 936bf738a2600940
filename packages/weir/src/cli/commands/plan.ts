import { explainProgram, personalFields } from "@weir/compile";
import { loadCompiled } from "../../compiled.ts";
import { exitCodes } from "../../exit-code.ts";
import type { ExitCode } from "../../exit-code.ts";
import { findProject } from "../../load.ts";
import type { CommonOptions } from "../program.ts";
import { result } from "../terminal.ts";
import type { Terminal } from "../terminal.ts";

/** Prints the program. With --json: `{project, dialect, personal, sql}`; `personal` lists the fields with a tag. */
export async function plan(terminal: Terminal, options: CommonOptions): Promise<ExitCode> {
  const { program } = await loadCompiled(findProject(options.project));
  const sql = explainProgram(program);
  const personal = personalFields(program);
  result(terminal, { project: program.project, dialect: program.dialect, personal, sql }, () =>
    sql.trimEnd(),
  );
  return exitCodes.ok;
}
