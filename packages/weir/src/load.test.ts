import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { smallProject } from "./cli/sandbox.fixture.ts";

interface Outcome {
  readonly name?: string;
  readonly error?: { code: string; message: string; where: string; remedy: string };
}

const cases = {
  js: { "weir.config.js": smallProject },
  mjs: { "weir.config.mjs": smallProject, "package.json": "{}" },
  mts: { "weir.config.mts": smallProject, "package.json": "{}" },
  awaits: { "weir.config.ts": smallProject.replace('"small"', 'await Promise.resolve("awaited")') },
  syntax: { "weir.config.ts": "const a = 1;\nconst b = = 2;\n" },
  importedSyntax: { "weir.config.ts": 'import "./lib/x.ts";', "lib/x.ts": "\n\nlet let = 1;" },
  throws: { "weir.config.ts": "const a: number = 1;\nthrow new RangeError(`no ${a}`);" },
  importedThrows: {
    "weir.config.ts": 'import { f } from "./lib.ts";\n\nf();',
    "lib.ts": "export function f(): void {\n  JSON.parse('{');\n}",
  },
  throwsText: { "weir.config.ts": 'throw "just a string";' },
  throwsNull: { "weir.config.ts": "throw null;" },
  exits: { "weir.config.ts": "const code: number = 0;\nprocess.exit(code);" },
  importedExits: {
    "weir.config.ts": 'import { f } from "./lib.ts";\n\nf();',
    "lib.ts": 'import { exit } from "node:process";\nexport function f(): void {\n  exit();\n}',
  },
  exitsCaught: { "weir.config.ts": `try {\n  process.exit(0);\n} catch {}\n${smallProject}` },
  exitsLater: {
    "weir.config.ts": "setTimeout(() => process.exit(0), 1);\nawait new Promise(() => undefined);",
  },
  packageExits: {
    "weir.config.ts": 'import "leaves";',
    "node_modules/leaves/package.json": '{"name": "leaves", "type": "module", "main": "x.js"}',
    "node_modules/leaves/x.js": "process.exit(7);",
  },
  badContract: { "weir.config.ts": smallProject.replace('id: "id"', 'id: "missing" as never') },
  badTable: {
    "weir.config.ts": smallProject.replace('by: "page"', 'by: "nowhere"').replace('"small"', '"Not A Name"'),
  },
  noPackage: { "weir.config.ts": 'import "not-installed";' },
  noModule: { "weir.config.ts": 'import { x } from "./x.ts";\nx();' },
  noExport: { "weir.config.ts": '\nimport { nothing } from "weir";\nnothing();' },
  otherDefault: { "weir.config.ts": "export default { name: 'x' };" },
  noDefault: { "weir.config.ts": "export const a = 1;" },
  noVariable: {
    "weir.config.ts": smallProject.replace('"small"', 'env("NOT_SET")').replace("count,", "count, env,"),
  },
  variable: {
    "weir.config.ts": smallProject.replace('"small"', 'env("IS_SET")').replace("count,", "count, env,"),
  },
  fallback: {
    "weir.config.ts": smallProject
      .replace('"small"', 'env("NOT_SET", "fallen")')
      .replace("count,", "count, env,"),
  },
  noKind: {
    "weir.config.ts": smallProject.replace("http({ contracts: [Clicked] })", "{ contracts: [Clicked] }"),
  },
  commonjs: { "weir.config.ts": smallProject, "package.json": "{}" },
  brokenManifest: { "weir.config.ts": smallProject, "package.json": "{" },
  absent: {},
} satisfies Record<string, Record<string, string>>;

let root: string;
const outcomes = new Map<string, Outcome>();

beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "weir-load-")));
  mkdirSync(join(root, "node_modules"));
  symlinkSync(fileURLToPath(new URL("../", import.meta.url)), join(root, "node_modules", "weir"));
  for (const [name, files] of Object.entries(cases)) {
    for (const [path, text] of Object.entries({ "package.json": '{"type": "module"}', ...files })) {
      mkdirSync(dirname(join(root, name, path)), { recursive: true });
      writeFileSync(join(root, name, path), text);
    }
  }
  const names = Object.keys(cases);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [fileURLToPath(new URL("load.fixture.mjs", import.meta.url)), ...names.map((name) => join(root, name))],
    { encoding: "utf8", env: { ...process.env, IS_SET: "from-env" } },
  );
  if (stderr !== "") throw new Error(stderr);
  for (const [i, line] of stdout.trim().split("\n").entries()) {
    outcomes.set(names[i] ?? "", JSON.parse(line) as Outcome);
  }
});

test("a timer that outlives loading ends no command: code 0 would say that it has done its work", () => {
  const folder = join(root, "exitsAfter");
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{"type": "module"}');
  const masked = smallProject.replace("tables: {", 'access: { columns: { "*.page": [] } }, tables: {');
  writeFileSync(join(folder, "weir.config.ts"), `setTimeout(() => process.exit(0), 1);\n${masked}`);
  const fixture = fileURLToPath(new URL("load.fixture.mjs", import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [fixture, folder], { encoding: "utf8" });
  expect(status).toBe(1);
  expect(stderr).toContain("The project ends the process, by process.exit(0).");
});
afterAll(() => rmSync(root, { recursive: true }));

function errorOf(name: keyof typeof cases): NonNullable<Outcome["error"]> {
  const error = outcomes.get(name)?.error;
  if (error === undefined) throw new Error(`${name} loaded`);
  // Whatever is wrong, no stack of ours is shown.
  expect(error.message).not.toMatch(/^\s+at /m);
  return error;
}

describe("project files that load", () => {
  test("with any of the four names, of ES modules, also with top-level await", () => {
    for (const name of ["js", "mjs", "mts"]) expect(outcomes.get(name)).toEqual({ name: "small" });
    expect(outcomes.get("awaits")).toEqual({ name: "awaited" });
  });

  test("with a variable that is set, and with a default for one that is not", () => {
    expect(outcomes.get("variable")).toEqual({ name: "from-env" });
    expect(outcomes.get("fallback")).toEqual({ name: "fallen" });
  });
});

describe("project files that do not, with the place in the user's file", () => {
  test("syntax error", () => {
    expect(errorOf("syntax")).toMatchObject({
      code: "project_invalid",
      message: 'Syntax error: Unexpected "="',
      where: "weir.config.ts:2:11",
    });
    expect(errorOf("importedSyntax").where).toMatch(/^lib\/x\.ts:3:/);
  });

  test("exception, in the file itself and in one that it imports", () => {
    expect(errorOf("throws")).toMatchObject({
      code: "project_invalid",
      message: "RangeError: no 1",
      where: "weir.config.ts:2:7",
    });
    expect(errorOf("importedThrows").where).toBe("lib.ts:2:8");
    expect(errorOf("throwsText").message).toBe("It threw just a string");
    expect(errorOf("throwsNull")).toMatchObject({ code: "project_invalid", message: "It threw null" });
  });

  test("an end of the process: called, imported, caught, or by a timer", () => {
    const told = (code: string): string => `The project ends the process, by process.exit(${code}).`;
    expect(errorOf("exits")).toMatchObject({
      code: "project_invalid",
      message: told("0"),
      where: "weir.config.ts:2:9",
    });
    expect(errorOf("importedExits")).toMatchObject({ message: told(""), where: "lib.ts:3:3" });
    expect(errorOf("exitsCaught")).toMatchObject({ message: told("0"), where: "weir.config.ts:2:11" });
    expect(errorOf("packageExits")).toMatchObject({ message: told("7"), where: "weir.config.ts" });
    expect(errorOf("exitsLater")).toMatchObject({ message: told("0"), where: "weir.config.ts:1:26" });
  });

  test("a declaration that is not valid", () => {
    const { code, where } = errorOf("badContract");
    expect(code).toBe("contract_invalid");
    expect(where).toMatch(/^weir\.config\.ts:4:\d+/);
  });

  test("declarations that do not fit together, all of them at once", () => {
    const { code, message, where } = errorOf("badTable");
    expect({ code, where }).toEqual({ code: "project_invalid", where: "weir.config.ts" });
    expect(message.split("\n")).toHaveLength(2);
    expect(message).toContain('"nowhere"');
    expect(message).toContain('"Not A Name"');
  });

  test("a source of no known kind", () => {
    expect(errorOf("noKind")).toMatchObject({ code: "project_invalid" });
  });

  test("packages, modules and exports that are not there", () => {
    expect(errorOf("noPackage")).toMatchObject({
      code: "project_invalid",
      message: "Cannot find package 'not-installed'; is it installed?",
      where: "weir.config.ts",
    });
    expect(errorOf("noModule").message).toBe(`Cannot find module '${root}/noModule/x.ts'; is it installed?`);
    const { message, where } = errorOf("noExport");
    expect(message).toContain("nothing");
    expect(where).toMatch(/^weir\.config\.ts/);
  });

  test("a default export that is not a project, and none", () => {
    expect(errorOf("otherDefault")).toMatchObject({ code: "project_invalid", where: "weir.config.ts" });
    expect(errorOf("noDefault").message).toContain("no default export");
  });

  test("a variable that is not set", () => {
    const { code, message, where } = errorOf("noVariable");
    expect(code).toBe("project_env_missing");
    expect(message).toContain("NOT_SET");
    expect(where).toMatch(/^weir\.config\.ts:10:/);
  });

  test("a package that is not of ES modules, with both ways out", () => {
    expect(errorOf("commonjs").remedy).toBe(
      'Add "type": "module" to package.json, or rename the file to weir.config.mts.',
    );
    expect(errorOf("brokenManifest")).toMatchObject({ code: "project_invalid", where: "package.json" });
  });

  test("no file at all", () => {
    expect(errorOf("absent")).toMatchObject({ code: "project_not_found", where: join(root, "absent") });
  });
});
