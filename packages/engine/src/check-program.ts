import { ident } from "@weir/compile";
import type { Program } from "@weir/compile";
import { WeirError } from "@weir/contract";
import { DuckDBInstance } from "@duckdb/node-api";
import { maskProblems } from "./access-views.ts";
import type { RoleMasks } from "./access-views.ts";
import { Sql } from "./database.ts";
import { checkUserSql, showInputs } from "./user-sql.ts";
import { emptyViews } from "./views.ts";

/**
 * Checks what only a database can, over empty tables in memory: the SQL that users wrote, and that there are the columns which roles do not
 * see. Opens nothing else.
 *
 * @throws WeirError `project_invalid` with every problem found
 */
export async function checkProgram(program: Program, access: RoleMasks = {}): Promise<void> {
  const isMasked = Object.keys(access).length > 0;
  if (!isMasked && program.tables.every(({ userSql }) => userSql === undefined)) return;
  const instance = await DuckDBInstance.create(":memory:", {
    threads: "1",
    autoinstall_known_extensions: "false",
    autoload_known_extensions: "false",
  });
  const sql = new Sql(await instance.connect());
  try {
    const problems = await problemsOf(sql, program);
    // Without its table no view can be made.
    if (problems.length === 0 && isMasked) {
      for (const view of emptyViews(program))
        await sql.run(`CREATE VIEW db.main.${ident(view.name)} AS ${view.sql}`);
      problems.push(...(await maskProblems(sql, program, access)));
    }
    if (problems.length > 0)
      throw new WeirError("project_invalid", problems.join("\n"), { where: `project ${program.project}` });
  } finally {
    sql.close();
    instance.closeSync();
  }
}

async function problemsOf(sql: Sql, program: Program): Promise<string[]> {
  const problems: string[] = [];
  await sql.run(
    "ATTACH ':memory:' AS db; CREATE SCHEMA db.weir; CREATE SCHEMA db.state; SET enable_external_access = false",
  );
  const home = "SET search_path = 'memory.main'";
  await sql.run(home);
  for (const macro of program.setup) await sql.run(macro);
  const failed = new Set<string>();
  for (const { name, userSql, create, inputs } of program.tables) {
    const found: string[] = [];
    const problem = (text: string): void => void found.push(`table ${name}: ${text}`);
    // What is wrong with a table is not said once more of those that read it.
    if (inputs.some((input) => failed.has(input))) {
      failed.add(name);
      continue;
    }
    if (userSql !== undefined) {
      await showInputs(sql, `check_${name}`, userSql, problem);
      await checkUserSql(sql, userSql, problem);
      await sql.run(home);
    }
    if (found.length > 0) failed.add(name);
    else for (const statement of create) await sql.run(statement.sql);
    problems.push(...found);
  }
  return problems;
}
