/** Results that are read while what is made of them is appended on the same connection. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Database } from "./database.ts";
import { eachRow } from "./each-row.ts";

/** An appender writes what it has every 204,800 rows. */
const rows = 300_000;
let directory: string;
let database: Database;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "weir-held-"));
  database = await Database.open(join(directory, "weir.duckdb"), join(directory, "tmp"), {
    memoryLimit: "256MB",
  });
});
afterEach(async () => {
  await database.close();
  rmSync(directory, { recursive: true });
});

test.each([
  ["held: all of them", "held", rows],
  ["a stream: it ends at the first statement, without an error", "stream", 204_800],
] as const)("%s", async (_, how, expected) => {
  const sql = await database.connect();
  await sql.run("CREATE TABLE memory.main.copied (n BIGINT)");
  const result = await sql[how](`SELECT i::BIGINT AS n FROM range(${rows}) r(i)`);
  const appender = await sql.connection.createAppender("copied", "main", "memory");
  await eachRow(result, (value) => {
    appender.appendBigInt(value(0) as bigint);
    appender.endRow();
  });
  appender.closeSync();
  const { n } = await sql.row<{ n: number }>("SELECT count(*)::INTEGER AS n FROM memory.main.copied");
  expect(n).toBe(expected);
  sql.close();
});
