import { afterEach, describe, expect, test } from "vitest";
import { Sandbox, smallProject } from "./sandbox.fixture.ts";

let sandbox: Sandbox;
afterEach(() => sandbox.dispose());

describe("weir check", () => {
  test("prints what the project declares", async () => {
    sandbox = new Sandbox();
    const { code, value } = await sandbox.json(["check"]);
    expect(code).toBe(0);
    expect(value).toEqual({
      ok: true,
      name: "small",
      file: `${sandbox.folder}/weir.config.ts`,
      sources: [{ name: "web", kind: "http", contracts: ["clicked"], pulled: false }],
      contracts: [{ name: "clicked", version: "1.0.0", owner: "tests" }],
      tables: [{ name: "clicks", kind: "rollup" }],
    });
    const human = await sandbox.run(["check"]);
    expect(human).toMatchObject({ code: 0, stderr: "" });
    expect(human.stdout).toMatch(/^ok project small \(weir\.config\.ts\)/);
  });

  test("takes the file or its folder with --project", async () => {
    sandbox = new Sandbox({ "a/weir.config.ts": smallProject, "b/other.ts": smallProject });
    for (const path of ["a", "b/other.ts"])
      expect((await sandbox.run(["check", "--project", path])).code).toBe(0);
    expect(await sandbox.json(["check", "--project", "nowhere.ts"])).toMatchObject({
      code: 3,
      error: { code: "project_not_found", where: `${sandbox.folder}/nowhere.ts` },
    });
  });

  test("an invalid project: code, what, where and what to do; exit code 3", async () => {
    sandbox = new Sandbox({ "weir.config.ts": smallProject.replace('by: "page"', 'by: "nowhere"') });
    const human = await sandbox.run(["check"]);
    expect(human).toMatchObject({ code: 3, stdout: "" });
    expect(human.stderr).toMatch(
      /^error project_invalid: .*"nowhere".*\n {2}where: weir\.config\.ts\n {2}do: {4}\S.*\n$/,
    );
    expect(await sandbox.json(["check"])).toMatchObject({
      code: 3,
      value: undefined,
      error: { code: "project_invalid", where: "weir.config.ts" },
    });
  });

  test("SQL in a project is checked against empty tables: the table, and DuckDB's message", async () => {
    const derived = (sql: string): string =>
      smallProject
        .replace("defineProject,", "defineProject, derive,")
        .replace(
          "tables: {",
          `tables: { pages: derive({ from: { c: "clicks" }, key: "page", keys: { c: "page" }, sql: "${sql}" }), `,
        );
    sandbox = new Sandbox({ "weir.config.ts": derived("SELECT page, n FROM c") });
    expect(await sandbox.json(["check"])).toMatchObject({ code: 0 });
    sandbox.write({ "weir.config.ts": derived("SELECT page, nowhere FROM c") });
    const human = await sandbox.run(["check"]);
    expect(human).toMatchObject({ code: 3, stdout: "" });
    expect(human.stderr).toContain(
      'error project_invalid: table pages: its SQL is wrong: Binder Error: Referenced column "nowhere"',
    );
    expect(human.stderr).toContain("where: weir.config.ts");
    const up = await sandbox.run(["up", "--port", "0"]);
    expect(up.code).toBe(3);
    expect(up.stderr).toContain('"nowhere" not found');
  });

  test.each([
    [`by: "page", measures: { n: count() }`, `by: "page"`, /table clicks: something is missing .*tsc/],
    [`n: count()`, `n: "count"`, /table clicks: something is missing .*tsc/],
    [`rollup({ from`, `({ from`, /table clicks: it is no table\. Declare it with sessions\(\), rollup\(\)/],
    [`name: "small"`, `nam: "small"`, /the name "undefined"/],
    [`tables: {`, `access: { columns: { "clicks.page": "admin" } }, tables: {`, /a declaration.*find is not/],
    [
      `tables: {`,
      `access: { columns: { "clicks.page": ["admin"], "clicks.pge": ["admin"], "nowhere.page": [], "*.more": ["admin"] } }, tables: {`,
      /there is no column clicks\.pge\..*\n.*no column nowhere\.page\..*\n.*no column \*\.more\./,
    ],
    [`tables: {`, `privacy: { deadline: "24h" }, tables: {`, /log keeps .* 48 h, and an erasure .* 24 h/],
  ])("what tsc would have found, or the start: %s as %s", async (from, to, message) => {
    sandbox = new Sandbox({ "weir.config.ts": smallProject.replace(from, to) });
    const check = await sandbox.json(["check"]);
    expect(check).toMatchObject({ code: 3, error: { code: "project_invalid", where: "weir.config.ts" } });
    expect((check.error as { message: string }).message).toMatch(message);
  });

  test("an instance does not start over and over with a declaration that it cannot read", async () => {
    sandbox = new Sandbox({ "weir.config.ts": smallProject.replace(", measures: { n: count() }", "") });
    const { code, stderr } = await sandbox.run(["up", "--port", "0"]);
    expect(code).toBe(3);
    expect(stderr).toContain("table clicks: something is missing");
  });
});

test("weir plan prints SQL that names the tables", async () => {
  sandbox = new Sandbox();
  const { code, value } = await sandbox.json(["plan"]);
  expect(code).toBe(0);
  expect(value).toMatchObject({ project: "small", dialect: "duckdb" });
  expect((value as { sql: string }).sql).toContain("-- Program of small in duckdb");
  expect((value as { sql: string }).sql).toContain("rows_clicked");
});
