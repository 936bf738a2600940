/** What a role that does not see a column can get of it: nothing, in whatever way it asks. */
import { compileProject, count, entity, rollup } from "@weir/compile";
import { Type, contract, timestamp } from "@weir/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine } from "./engine.ts";
import { Harness } from "./harness.fixture.ts";
import type { RoleMasks } from "./access-views.ts";

const Signup = contract("signup", {
  version: "1.0.0",
  owner: "test",
  id: "id",
  time: "at",
  fields: Type.Object({
    id: Type.String(),
    at: timestamp(),
    email: Type.String(),
    age: Type.Integer(),
    address: Type.Object({ street: Type.String() }),
    tags: Type.Array(Type.String()),
    plan: Type.String(),
  }),
});
const program = compileProject({
  name: "p",
  sources: { web: { contracts: [Signup] } },
  tables: {
    customers: entity({ from: Signup, key: "plan" }),
    by_email: rollup({ from: Signup, by: "email", measures: { n: count() } }),
  },
});
const secrets = ["s3cret", "Hidden Lane", "424242", "t4g"];
const record = {
  id: "1",
  at: "2026-01-15T10:00:00Z",
  email: "s3cret@example.com",
  age: 424_242,
  address: { street: "Hidden Lane" },
  tags: ["t4g"],
  plan: "free",
};
const sensitive = ["*.email", "*.age", "*.address", "*.tags", "*._extra"];
const asSent = [
  "raw.text",
  "raw.error",
  "quarantine.text",
  "quarantine.base64",
  "quarantine.violations",
  "quarantine.detail",
];
const access: RoleMasks = {
  analyst: [...sensitive, ...asSent],
  viewer: ["customers.plan"],
  reader: ["raw.content"],
};

const harness = new Harness({ access });
let engine: Engine;
beforeAll(async () => {
  engine = await harness.open(program);
  const line = (text: object, sent = "signup") => ({ source: "web", sent, text: JSON.stringify(text) });
  await harness.load([
    line({ ...record, more: "s3cret too" }),
    line({ ...record, id: "2", age: "s3cret" }),
    line({ who: "s3cret" }, "nobody"),
    { source: "web", sent: "signup", error: "invalid_json: s3cret at byte 3", bytes: Buffer.from("{s3cret") },
  ]);
});
afterAll(() => harness.end());

/** All that a query gives: rows, names, types, or its error. */
async function answer(sql: string, role?: string): Promise<string> {
  try {
    const { columns, rows } = await engine.query(sql, role === undefined ? {} : { role });
    return JSON.stringify({ columns, rows });
  } catch (error) {
    return String(error);
  }
}
const leaks = (text: string): boolean => secrets.some((secret) => text.includes(secret));

const relations = ["signup", "customers", "customers_history", "by_email", "raw", "quarantine"];
const hostile: string[] = [
  ...relations.flatMap((name) => [
    `FROM ${name}`,
    `FROM main.${name}`,
    `FROM db.main.${name}`,
    `FROM "db"."main"."${name}"`,
    `FROM DB.MAIN.${name.toUpperCase()}`,
    `FROM access_viewer.${name}`,
    `FROM db.access_viewer.${name}`,
    `WITH ${name} AS (FROM main.${name}) FROM ${name}`,
    `WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r, main.${name} WHERE i < 2) FROM r, main.${name}`,
    `SELECT (SELECT t::VARCHAR FROM main.${name} t LIMIT 1)`,
    `SELECT * FROM ${name} a, LATERAL (SELECT * FROM main.${name} b) c`,
    `SELECT main.${name}.* FROM ${name}`,
    `FROM (DESCRIBE main.${name})`,
    `FROM (SUMMARIZE main.${name})`,
    `FROM (SUMMARIZE ${name})`,
    `SUMMARIZE main.${name}`,
    `EXPLAIN ANALYZE FROM main.${name}`,
    `EXPLAIN FROM ${name}`,
    `TABLE main.${name}`,
    `FROM query_table('main.${name}')`,
    `FROM query('FROM main.${name}')`,
    `FROM pragma_table_info('main.${name}')`,
    `FROM pragma_storage_info('main.${name}')`,
    `SELECT ${name} FROM ${name}`,
    `SELECT to_json(${name}) FROM ${name}`,
    `SELECT list(${name}) FROM ${name}`,
    `SELECT COLUMNS('.*')::VARCHAR FROM ${name}`,
    `SELECT UNNEST(${name}) FROM ${name}`,
    `FROM ${name} t1 POSITIONAL JOIN main.${name} t2`,
    `FROM ${name} UNION ALL BY NAME FROM db.main.${name}`,
    `SELECT histogram(t::VARCHAR) FROM ${name} t`,
    `SELECT stats(t::VARCHAR) FROM ${name} t`,
    `SELECT error(t::VARCHAR) FROM ${name} t`,
  ]),
  "FROM db.state.customers",
  "FROM state.customers__history",
  "FROM state.by_email",
  "FROM weir.superseded",
  "FROM weir.id_recent",
  "FROM memory.main.lines",
  "SELECT email::INTEGER FROM signup",
  "SELECT error(email) FROM signup",
  "SELECT CASE WHEN email LIKE 's3%' THEN 'yes' END AS is FROM signup WHERE email LIKE 's3%' AND error('s3' || 'cret') IS NULL",
  "SELECT CAST(email AS DATE) FROM customers",
  "SELECT address.street, address['street'], struct_extract(address, 'street') FROM signup",
  "SELECT tags[1], unnest(tags) FROM signup",
  "SELECT e FROM (SELECT email AS e FROM signup)",
  "SELECT min(email), max(age), first(address) FROM signup",
  "SELECT string_agg(email) OVER () FROM customers_history",
  "PIVOT signup ON plan IN ('free') USING first(email)",
  "UNPIVOT (SELECT email, plan FROM signup) ON email, plan",
  "SELECT text[1:100] FROM raw",
  "SELECT json_extract(text, '$.email') FROM raw",
  "SELECT from_base64(base64)::VARCHAR FROM quarantine",
  "FROM read_parquet(getvariable('weir_files_raw'))",
  "SELECT getvariable('weir_files_raw')",
];

describe("a role without some columns", () => {
  test.each(hostile)("%s", async (sql) => {
    expect(await answer(sql, "analyst")).not.toSatisfy(leaks);
  });

  test("the same by one that sees everything does show them", async () => {
    let shown = 0;
    for (const sql of hostile) if (leaks(await answer(sql))) shown++;
    expect(shown).toBeGreaterThan(80);
  });

  test("sees the others, types and numbers of rows as they are, and constants in place of masked ones", async () => {
    const as = { role: "analyst" };
    const { columns, rows } = await engine.query("SELECT email, age, address, tags, plan FROM signup", as);
    expect(rows).toEqual([["***", null, null, null, "free"]]);
    const { columns: all } = await engine.query("SELECT email, age, address, tags, plan FROM signup");
    expect(columns).toEqual(all);
    expect(
      await answer("SELECT count(*)::INTEGER FROM quarantine WHERE reason = 'contract_violation'", "analyst"),
    ).toContain("[[1]]");
    expect(await answer("SELECT reason, text FROM quarantine ORDER BY 1", "analyst")).toContain(
      '["contract_violation","***"]',
    );
    expect(await answer("SELECT sum(rows)::INTEGER FROM weir.files WHERE zone = 'raw'", "analyst")).toContain(
      "[[4]]",
    );
    expect(await answer("SELECT lower(plan) FROM customers ORDER BY _extra", "analyst")).toContain("free");
  });

  test("does not get a hash of what it does not see", async () => {
    expect(await answer("SELECT _content FROM signup", "analyst")).toContain("[[null]]");
    expect(await answer("SELECT _content FROM signup")).not.toContain("null");
    expect(await answer("SELECT _content, email FROM signup", "reader")).toContain(
      '[[null,"s3cret@example.com"]]',
    );
    expect(await answer("SELECT _content FROM signup", "viewer")).not.toContain("null");
  });

  test("one role's masks are not another's, and a connection keeps nothing of who had it before", async () => {
    for (let i = 0; i < 30; i++) {
      const [analyst, viewer, all] = await Promise.all([
        answer("SELECT email, plan FROM customers", "analyst"),
        answer("SELECT email, plan FROM customers", "viewer"),
        answer("SELECT email, plan FROM customers", "admin"),
      ]);
      expect(analyst).toContain('["***","free"]');
      expect(viewer).toContain('["s3cret@example.com","***"]');
      expect(all).toContain('["s3cret@example.com","free"]');
      // Also after a query that failed.
      await answer("SELECT error('x') FROM customers", "analyst");
    }
  });

  test("a query of it that fails while it runs says why, and the next one is somebody else's", async () => {
    expect(await answer("SELECT email::INTEGER FROM customers", "analyst")).toContain(
      "Could not convert string '***' to INT32",
    );
    expect(await answer("SELECT email FROM customers")).toContain("s3cret@example.com");
    await answer("SELECT email::INTEGER FROM customers", "analyst");
    expect(await answer("SELECT email, plan FROM customers", "viewer")).toContain(
      '["s3cret@example.com","***"]',
    );
  });
});

describe("lookups and changes", () => {
  test("show constants in place of masked columns", async () => {
    const { rows } = await engine.lookup("customers", { key: ["free"] }, "analyst");
    expect(rows.map((row) => JSON.parse(row.toString()) as object)).toMatchObject([
      { email: "***", age: null, address: null, tags: null, plan: "free" },
    ]);
    const selected = await engine.lookup("customers", { key: ["free"], select: ["email"] }, "analyst");
    expect(String(selected.rows[0])).toBe('{"email":"***"}');
    expect(String((await engine.lookup("customers", { key: ["free"] })).rows[0])).toContain("s3cret");
    const { changes } = await engine.changes("customers", { commit: 0 }, 10, "analyst");
    expect(changes).toHaveLength(1);
    expect(JSON.stringify(changes)).not.toSatisfy(leaks);
    expect(JSON.stringify(await engine.changes("customers", { commit: 0 }, 10))).toSatisfy(leaks);
  });

  test("of rows that are found by a masked column there are none", async () => {
    const masked = { code: "column_masked" };
    await expect(engine.lookup("by_email", { key: [record.email] }, "analyst")).rejects.toMatchObject(masked);
    await expect(engine.changes("by_email", { commit: 0 }, 10, "analyst")).rejects.toMatchObject(masked);
    await expect(engine.lookup("customers", { key: ["free"] }, "viewer")).rejects.toMatchObject(masked);
    expect((await engine.lookup("by_email", { key: [record.email] }, "viewer")).rows).toHaveLength(1);
  });
});

test("a column that there is not is refused at the start", async () => {
  const other = new Harness({ access: { analyst: ["customers.emial"] } });
  try {
    await expect(other.open(program)).rejects.toMatchObject({
      code: "project_invalid",
      message: expect.stringMatching(/^access\.columns: there is no column customers\.emial\./) as string,
    });
  } finally {
    await other.end();
  }
});
