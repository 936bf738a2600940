/** What a query must not be able to do: write, read files, change the engine. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { compileProject, ident } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { DuckDBInstance } from "@duckdb/node-api";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Harness } from "./harness.fixture.ts";

const Note = contract("note", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({ id: Type.String(), at: timestamp() }),
});

const harness = new Harness({ internals: { stuckMs: 100 } });
const secret = (name: string): string => join(harness.dataDir, "govern", name);
let tableFunctions: string[] = [];
let settings: string[] = [];
let effects: string[] = [];
beforeAll(async () => {
  await harness.open(compileProject({ name: "p", sources: { web: { contracts: [Note] } }, tables: {} }));
  mkdirSync(secret(""), { recursive: true });
  for (const name of ["x.csv", "x.parquet", "x.json", "x.txt", "x.db"])
    writeFileSync(secret(name), "secret\n1\n");
  const instance = await DuckDBInstance.create(":memory:");
  const connection = await instance.connect();
  const list = async (sql: string): Promise<string[]> =>
    (await connection.runAndReadAll(sql)).getRows().map(([name]) => String(name));
  tableFunctions = await list(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type IN ('table', 'table_macro', 'pragma') ORDER BY 1",
  );
  settings = await list("SELECT name FROM duckdb_settings() ORDER BY 1");
  effects = await list(
    "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' AND (has_side_effects OR stability = 'VOLATILE') ORDER BY 1",
  );
  connection.closeSync();
  instance.closeSync();
});
afterAll(() => harness.end());

const refused = expect.objectContaining({
  code: expect.stringMatching(/^query_(not_readonly|invalid)$/) as string,
}) as Error;

async function refuse(sql: string): Promise<void> {
  await expect(harness.engine.query(sql), sql).rejects.toThrow(refused);
}

/** Of their arguments, or of what the query can see anyway. */
const harmless =
  `duckdb_columns duckdb_constraints duckdb_functions duckdb_keywords duckdb_memory duckdb_schemas duckdb_settings
  duckdb_tables duckdb_types duckdb_views generate_series json_each json_tree pragma_table_info range repeat repeat_row unnest`.split(
    /\s+/,
  );

test.each([
  "memory.information_schema.tables",
  "memory.b1.lines",
  "MEMORY.main.x",
  "weir_vault.main.tokens",
  "weir_vault.tokens",
  '"Weir_Vault"."main"."ciphers"',
  "temp.main.x",
])("the vault and what batches in work hold cannot be read: %s", async (table) => {
  await refuse(`SELECT * FROM ${table}`);
  await refuse(`SELECT (SELECT count(*) FROM ${table})`);
  await refuse(`WITH a AS (FROM ${table}) FROM a`);
  await refuse(`SELECT * FROM (SUMMARIZE ${table})`);
  await refuse(`SELECT * FROM (DESCRIBE ${table})`);
  await refuse(`SUMMARIZE ${table}`);
});

test("of all table functions and pragmas of DuckDB, only those that read nothing else", async () => {
  expect(tableFunctions.length).toBeGreaterThan(60);
  for (const name of tableFunctions) {
    if (harmless.includes(name)) continue;
    for (const given of ["", `'${secret("x.csv")}'`, `['${secret("x.csv")}']`]) {
      await refuse(`SELECT * FROM ${ident(name)}(${given})`);
      await refuse(`SELECT (SELECT count(*) FROM ${name}(${given}))`);
    }
    await refuse(`CALL ${ident(name)}()`);
    await refuse(`PRAGMA ${ident(name)}`);
  }
});

test("functions that DuckDB does not call functions of their arguments are known, and none reaches outside", () => {
  const known =
    `current_connection_id current_query current_query_id current_transaction_id currval error gen_random_uuid getvariable nextval
    now random set_bit setseed sleep_ms stats txid_current uuid uuidv4 uuidv7 write_log pg_typeof`.split(
      /\s+/,
    );
  expect(effects.filter((name) => !known.includes(name))).toEqual([]);
});

test("no setting can be set, by no statement", async () => {
  const before = await harness.rows("SELECT name, value FROM duckdb_settings() ORDER BY name");
  expect(settings.length).toBeGreaterThan(100);
  for (const name of settings) {
    await refuse(`SET ${name} = '1'`);
    await refuse(`SET GLOBAL ${name} = '1'`);
    await refuse(`RESET ${name}`);
    await refuse(`PRAGMA ${name} = '1'`);
  }
  expect(await harness.rows("SELECT name, value FROM duckdb_settings() ORDER BY name")).toEqual(before);
});

describe("no file of the data directory", () => {
  test.each(["x.csv", "x.parquet", "x.json", "x.txt", "x.db", "*", "*.csv"])("%s", async (name) => {
    const path = secret(name);
    for (const from of [
      `'${path}'`,
      `"${path}"`,
      `read_text('${path}')`,
      `read_blob('${path}')`,
      `read_csv('${path}')`,
      `read_parquet('${path}')`,
      `parquet_metadata('${path}')`,
      `sniff_csv('${path}')`,
      `glob('${path}')`,
      `query_table('${path}')`,
      `query('FROM ''${path}''')`,
    ]) {
      for (const sql of [
        `FROM ${from}`,
        `SELECT * FROM note, ${from}`,
        `WITH w AS (SELECT * FROM ${from}) SELECT * FROM w`,
        `WITH RECURSIVE w AS (SELECT 1 AS a UNION ALL SELECT 1 FROM ${from}) SELECT * FROM w`,
        `SELECT (SELECT count(*) FROM ${from})`,
        `SELECT * FROM note WHERE id IN (SELECT 'a' FROM ${from})`,
        `SELECT 1 UNION ALL SELECT 1 FROM ${from}`,
        `SELECT * FROM (VALUES (1)) v, LATERAL (SELECT * FROM ${from}) l`,
        `DESCRIBE SELECT * FROM ${from}`,
        `SUMMARIZE SELECT * FROM ${from}`,
        `EXPLAIN SELECT * FROM ${from}`,
        `EXPLAIN ANALYZE SELECT * FROM ${from}`,
        `PIVOT (SELECT 1 AS a, 2 AS b FROM ${from}) ON a IN (1) USING sum(b)`,
        `SELECT list_transform([1], lambda x: (SELECT count(*) FROM ${from}))`,
      ])
        await refuse(sql);
    }
  });
});

test.each([
  "ATTACH ':memory:' AS other",
  "ATTACH '/etc/passwd' AS other",
  "DETACH db",
  "USE memory",
  "CREATE TABLE t (a INT)",
  "CREATE TEMP TABLE t AS SELECT 1",
  "CREATE VIEW v AS SELECT 1",
  "CREATE MACRO m() AS 1",
  "CREATE SECRET s (TYPE s3)",
  "INSERT INTO note VALUES (1)",
  "DELETE FROM db.weir.commits",
  "UPDATE db.weir.commits SET records = 0",
  "TRUNCATE db.weir.commits",
  "DROP VIEW note",
  "ALTER TABLE db.weir.commits ADD COLUMN x INT",
  "COPY note TO '/tmp/weir-stolen.csv'",
  "COPY (SELECT 1) TO '/tmp/weir-stolen.csv'",
  "EXPORT DATABASE '/tmp/weir-stolen'",
  "IMPORT DATABASE '/tmp/weir-stolen'",
  "INSTALL httpfs",
  "LOAD httpfs",
  "CHECKPOINT",
  "FORCE CHECKPOINT db",
  "VACUUM",
  "ANALYZE",
  "BEGIN",
  "COMMIT",
  "ROLLBACK",
  "SET VARIABLE x = 1",
  "PREPARE p AS SELECT 1",
  "EXECUTE p",
  "SELECT write_log('x')",
  "SELECT (SELECT \"write_log\"('x'))",
  "SELECT 1; SELECT 2",
  "SELECT 1; DROP VIEW note",
  "",
  ";",
  "-- nothing",
])("not: %s", async (sql) => {
  await refuse(sql);
});

test("what a query must be able to do, it can", async () => {
  for (const sql of [
    "SELECT count(*) FROM note",
    "FROM note",
    "DESCRIBE note",
    "SUMMARIZE note",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    'WITH "Wide name" AS (SELECT 1 AS a) SELECT * FROM "Wide name"',
    "SELECT * FROM db.main.note n JOIN raw r ON TRUE",
    "SELECT * FROM weir.commits",
    "SELECT unnest([1, 2]), * FROM range(2)",
    "FROM json_each('{\"a\": 1}')",
    "PIVOT (SELECT 1 AS a, 2 AS b) ON a IN (1) USING sum(b)",
    'SELECT * FROM note ASOF JOIN note n2 USING (id, "at")',
    "EXPLAIN ANALYZE SELECT * FROM note",
  ])
    await expect(harness.engine.query(sql), sql).resolves.toBeDefined();
  // And nothing of all this left a trace.
  expect(readdirSync(secret("")).sort()).toEqual(["x.csv", "x.db", "x.json", "x.parquet", "x.txt"]);
  expect(readFileSync(secret("x.csv"), "utf8")).toBe("secret\n1\n");
});

test("a query that would take all memory ends with an error, and the engine goes on", async () => {
  const greedy =
    "SELECT list(a) FROM (SELECT repeat('x', 1000) || i || j AS a FROM range(100000) t(i), range(1000) u(j))";
  await expect(harness.engine.query(greedy, { timeoutMs: 60_000 })).rejects.toThrow(
    expect.objectContaining({
      code: expect.stringMatching(/^(engine_out_of_memory|query_timeout|query_invalid)$/) as string,
    }),
  );
  expect(await harness.rows("SELECT count(*) FROM note")).toEqual([["0"]]);
});

test("a query that goes on although its time is over is told of", async () => {
  // One call, within which DuckDB does not look whether it was interrupted: 2 s.
  const stuck = "SELECT levenshtein(repeat('a', 20000), repeat('b', 20000))";
  await expect(harness.engine.query(stuck, { timeoutMs: 50 })).rejects.toThrow(
    expect.objectContaining({ code: "query_timeout" }),
  );
  expect(harness.events).toContainEqual({ kind: "query_stuck" });
});
