import { PostgresServer, postgresMissing } from "@weir/testkit";
import { Pool } from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Sandbox } from "./sandbox.fixture.ts";

const project = `
import { defineProject, postgres, env } from "weir";
export default defineProject({
  name: "shop",
  sources: {
    db: postgres({ url: env("SHOP_DB"), tables: ["public.*"] }),
    other: postgres({ url: "postgres://nobody@127.0.0.1:1/none", tables: ["public.*"] }),
  },
});
`;

const missing = postgresMissing(18);

describe.skipIf(missing !== undefined)("weir check --connect", () => {
  let server: PostgresServer;
  let sandbox: Sandbox;
  beforeEach(async () => {
    server = await PostgresServer.start();
    sandbox = new Sandbox({ "weir.config.ts": project });
  });
  afterEach(async () => {
    sandbox.dispose();
    await server.close();
  });

  test("says what is wrong with each source, and changes nothing", async () => {
    const pool = new Pool({ connectionString: server.url(), max: 1 });
    await pool.query("CREATE TABLE keyed (id int PRIMARY KEY); CREATE TABLE keyless (n int)");
    const env = { SHOP_DB: server.url() };
    const ran = await sandbox.run(["check", "--connect", "--json"], { env });
    expect(ran.code, ran.stderr).toBe(1);
    const { ok, findings } = JSON.parse(ran.stdout) as {
      ok: boolean;
      findings: { source: string; severity: string; code: string }[];
    };
    expect(ok).toBe(false);
    expect(findings.map(({ source, severity, code }) => [source, severity, code])).toEqual([
      ["db", "error", "postgres_table_without_key"],
      ["db", "warn", "postgres_wal_budget"],
      ["other", "error", "postgres_unreachable"],
    ]);
    const { rows } = await pool.query(
      "SELECT (SELECT count(*) FROM pg_replication_slots)::int AS slots, (SELECT count(*) FROM pg_publication)::int AS publications",
    );
    expect(rows).toEqual([{ slots: 0, publications: 0 }]);
    await pool.end();
    const human = await sandbox.run(["check", "--connect"], { env });
    expect(human.stdout).toMatch(/^ok project shop/);
    expect(human.stdout).toMatch(/error db: .*keyless.* \[postgres_table_without_key\]\n/);
    expect(human.stdout).toMatch(/error other: .*\[postgres_unreachable\]\n {2}where: /);
    // Without --connect the sources are not asked.
    expect((await sandbox.run(["check"], { env })).code).toBe(0);
  });
});
