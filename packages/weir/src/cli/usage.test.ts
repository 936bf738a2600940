import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createProgram } from "./program.ts";
import type { Handlers } from "./program.ts";
import { reportError } from "./report.ts";
import { Sandbox } from "./sandbox.fixture.ts";
import type { Terminal } from "./terminal.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = new Sandbox();
});
afterAll(() => sandbox.dispose());

/** Parses a command line that no handler should see, and reports the error as the command does. */
async function refusal(args: readonly string[]): Promise<{ code: number; error: unknown }> {
  const notes: string[] = [];
  const terminal: Terminal = {
    json: true,
    colour: false,
    out: () => {},
    note: (text) => void notes.push(text),
  };
  const reached = new Proxy({} as Handlers, {
    get: (_target, name) => () => {
      throw new TypeError(`${String(name)} was run`);
    },
  });
  const program = createProgram(reached, "0.0.0", () => {});
  for (const command of [program, ...program.commands]) command.configureOutput({ writeErr: () => {} });
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    const code = reportError(terminal, error);
    return { code, error: (JSON.parse(notes.join("")) as { error: unknown }).error };
  }
  throw new TypeError("it was accepted");
}

describe("usage", () => {
  test.each([
    [[], "A command is missing."],
    [["fly"], "Unknown command 'fly'."],
    [["up", "--fly"], "Unknown option '--fly'."],
    [
      ["up", "--port", "80x"],
      /^Option '--port <port>' argument '80x' is invalid\. It must be an integer from 0 to/,
    ],
    [["up", "--port", "65536"], /must be an integer from 0 to 65535\.$/],
    [["up", "--collectors", "0"], /must be an integer from 1 to 64\.$/],
    [["up", "--drain-timeout", "soon"], /must be a duration/],
    [["up", "--role", "king"], /Allowed choices are all, collect, engine, capture\.$/],
    [["dev", "--role", "all"], "Unknown option '--role'."],
    [["query", "--csv", "--json", "SELECT 1"], /cannot be used with option/],
    [["quarantine"], "A command is missing."],
    [["quarantine", "show"], /missing required argument 'id'/i],
    [["init", "a", "b"], /too many arguments/i],
  ])("%j is refused", async (args, message) => {
    const { code, error } = await refusal(args);
    expect(code).toBe(2);
    expect(error).toMatchObject({ code: "invalid_usage", message: expect.stringMatching(message) as string });
  });

  test("the command prints it to standard error and exits with 2", async () => {
    const ran = await sandbox.run(["fly"]);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(ran.stderr).toBe(
      "error invalid_usage: Unknown command 'fly'.\n  do:    Run weir --help, or weir COMMAND --help.\n",
    );
  });

  test.each([
    [["--help"], /^Usage: weir /],
    [["query", "--help"], /^Usage: weir query /],
    [["--version"], /^\d+\.\d+\.\d+\n$/],
  ])("%j prints to standard output", async (args, stdout) => {
    const ran = await sandbox.run(args);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(stdout);
  });

  test("help does not load what only commands need", () => {
    const entry = fileURLToPath(new URL("../../bin/weir.mjs", import.meta.url));
    const ran = spawnSync(process.execPath, [entry, "--help"], {
      encoding: "utf8",
      env: { ...process.env, NODE_DEBUG: "esm" },
    });
    expect(ran.status).toBe(0);
    // What Node says it loads: a proxy of the time it takes that does not depend on how busy the machine is.
    expect(ran.stderr).toContain("commander");
    for (const heavy of ["typebox", "ajv", "duckdb"]) expect(ran.stderr).not.toContain(heavy);
  });

  test("a reader that closes early is no error", () => {
    const entry = fileURLToPath(new URL("../../bin/weir.mjs", import.meta.url));
    const command = `set -o pipefail; "${process.execPath}" "${entry}" plan | head -c 10`;
    const ran = spawnSync("bash", ["-c", command], { cwd: sandbox.folder, encoding: "utf8" });
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout).toHaveLength(10);
  });
});
