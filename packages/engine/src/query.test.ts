import { existsSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { compileProject } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

const Note = contract("note", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp() }),
});

const harness = new Harness();
beforeAll(async () => {
  await harness.open(compileProject({ name: "p", sources: { web: { contracts: [Note] } }, tables: {} }));
});
afterAll(() => harness.end());

describe("EXPLAIN", () => {
  test.each([
    "EXPLAIN SELECT * FROM note",
    "explain analyze\n  FROM note",
    "EXPLAIN (FORMAT json) SELECT * FROM note",
    "EXPLAIN WITH n AS (SELECT * FROM note) SELECT count(*) FROM n",
  ])("of a query: %s", async (sql) => {
    expect(await harness.rows(sql)).not.toEqual([]);
  });

  const file = join(harness.dataDir, "written.csv");
  test.each([
    `EXPLAIN ANALYZE COPY (SELECT 1) TO '${file}'`,
    `EXPLAIN (ANALYZE) COPY (SELECT 1) TO '${file}'`,
    `EXPLAIN /* ( */ ANALYZE /* ) SELECT */ COPY (SELECT 1) TO '${file}'`,
    `-- EXPLAIN SELECT 1\nEXPLAIN ANALYZE COPY (SELECT 1) TO '${file}'`,
    `EXPLAIN (ANALYZE /* ) SELECT 1 -- */) COPY (SELECT 1) TO '${file}'`,
    "EXPLAIN ANALYZE SET memory_limit = '1MB'",
    "EXPLAIN ANALYZE SET TimeZone = 'Asia/Tokyo'",
    "EXPLAIN ANALYZE CREATE TEMP TABLE note AS SELECT 1 AS id",
    "EXPLAIN ANALYZE CHECKPOINT",
  ])("of anything else is refused and not run: %s", async (sql) => {
    const before = await harness.rows("SELECT value FROM duckdb_settings() ORDER BY name");

    await expect(harness.engine.query(sql)).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^query_(not_readonly|invalid)$/) as string }),
    );

    expect(existsSync(file)).toBe(false);
    expect(await harness.rows("SELECT value FROM duckdb_settings() ORDER BY name")).toEqual(before);
    expect(await harness.rows("SELECT table_name FROM duckdb_tables() WHERE temporary")).toEqual([]);
  });
});

describe("A query reaches nothing but the data", () => {
  const outside = join(tmpdir(), `weir-outside-${process.pid}.txt`);
  beforeAll(() => {
    writeFileSync(outside, "secret");
  });
  afterAll(() => {
    rmSync(outside, { force: true });
  });

  test.each([
    `SELECT * FROM read_text('${outside}')`,
    `SELECT * FROM read_csv('${outside}')`,
    `SELECT * FROM glob('${outside}')`,
    `SELECT * FROM read_text('${harness.dataDir}/../${basename(outside)}')`,
    `SELECT * FROM query('SELECT * FROM read_text(''${outside}'')')`,
  ])("no file elsewhere: %s", async (sql) => {
    await expect(harness.engine.query(sql)).rejects.toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^query_(not_readonly|invalid)$/) as string }),
    );
  });

  test.each([
    `SELECT * FROM enable_logging(storage = 'file', storage_path = '${outside}.d')`,
    "FROM disable_logging()",
    "SELECT * FROM query('FROM enable_' || 'logging()')",
    `SELECT * FROM main."query" /* */ ('SELECT 1')`,
    "SELECT * FROM query/* /* */ */('SELECT 1')",
    "SELECT * FROM query --\n('SELECT 1')",
  ])("no function that changes the engine: %s", async (sql) => {
    await expect(harness.engine.query(sql)).rejects.toThrow(
      expect.objectContaining({ code: "query_not_readonly" }),
    );
  });

  test("columns may have such names", async () => {
    expect(await harness.rows("SELECT query FROM (SELECT 1 AS query) WHERE query IN (1)")).toEqual([[1]]);
  });
});
