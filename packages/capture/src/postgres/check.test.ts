import { PostgresServer, postgresMissing } from "@weir/testkit";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { Capturing } from "./capturing.fixture.ts";
import { TestDatabase, closeServers, sharedServer } from "./database.fixture.ts";

afterAll(closeServers);

let capturing: Capturing | undefined;
afterEach(async () => {
  await capturing?.close();
  capturing = undefined;
});

/** What `check` finds: severity, code, message, remedy. */
async function found(on: Capturing): Promise<[string, string, string, string | undefined][]> {
  const findings = await on.capture.check();
  return findings.map(({ severity, code, message, remedy }) => [severity, code, message, remedy]);
}

/** The url of a database for another of its users. */
const as = (database: TestDatabase, role: string): string =>
  database.url.replace("postgres@", `${role}@`).replace(/user=postgres\b/, `user=${role}`);

describe.each([18, 10] as const)("PostgreSQL %i", (major) => {
  const skipped = test.skipIf(postgresMissing(major) !== undefined);

  skipped("a role with replication and the right to read, and a publication of the owner's", async () => {
    const database = await TestDatabase.create(await sharedServer(major));
    const role = `reader_${database.name}`;
    await database.run(
      `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'x'); CREATE TABLE secured (id int PRIMARY KEY);
       ALTER TABLE secured ENABLE ROW LEVEL SECURITY; CREATE ROLE ${role} LOGIN`,
    );
    capturing = new Capturing(database, { url: as(database, role) });
    const slot = capturing.slot;
    const lacking = await found(capturing);
    const grants = `GRANT USAGE ON SCHEMA "public" TO ${role}; GRANT SELECT ON "public"."t" TO ${role}`;
    const members = ["t", "secured"].map((name) => `ONLY "public"."${name}"`).join(", ");
    expect(lacking).toContainEqual([
      "error",
      "postgres_privilege",
      `The role ${role} may not replicate.`,
      expect.stringContaining(`ALTER ROLE ${role} REPLICATION`),
    ]);
    expect(lacking).toContainEqual([
      "error",
      "postgres_privilege",
      `The role ${role} may not read public.t.`,
      `Run ${grants}.`,
    ]);
    expect(lacking).toContainEqual([
      "error",
      "postgres_row_security",
      expect.stringContaining("public.secured"),
      `Run ALTER ROLE ${role} BYPASSRLS.`,
    ]);
    const [, , , publish = ""] = lacking.find(([, code]) => code === "postgres_publication") ?? [];
    expect(publish).toContain(`CREATE PUBLICATION "${slot}" FOR TABLE ${members}`);
    await expect(capturing.start().ended).rejects.toMatchObject({
      code: "postgres_privilege",
      remedy: expect.stringContaining("REPLICATION"),
    });
    // What the findings say is all that has to be done.
    await database.run(
      `ALTER ROLE ${role} REPLICATION BYPASSRLS; ${grants}; GRANT SELECT ON secured TO ${role};
       ${publish.replace("Have the owner of the tables run: ", "")}`,
    );
    expect((await found(capturing)).filter(([severity]) => severity === "error")).toEqual([]);
    capturing.start();
    await capturing.upToDate({ "public.t": ["id"], "public.secured": ["id"] });
    await database.run(
      "UPDATE t SET v = 'y'; INSERT INTO secured VALUES (1); CREATE TABLE more (id int PRIMARY KEY)",
    );
    await capturing.upToDate({ "public.t": ["id"], "public.secured": ["id"] });
    await capturing.until(() =>
      expect(capturing?.journal.messages.map(({ message }) => message)).toContainEqual(
        `public.more is not captured: it is not published; its owner has to run: ALTER PUBLICATION "${slot}" ADD TABLE ONLY "public"."more"`,
      ),
    );
    await capturing.stop();
    await database.run(
      `SELECT pg_drop_replication_slot('${slot}'); DROP OWNED BY ${role}; DROP ROLE ${role}`,
    );
  });

  skipped("what is no table, patterns that fit nothing, publications that leave something out", async () => {
    const all = major === 10 ? "insert, update" : "insert, update, delete";
    capturing = await Capturing.on(
      major,
      `CREATE TABLE t (id int PRIMARY KEY); CREATE UNLOGGED TABLE u (id int PRIMARY KEY); CREATE VIEW v AS SELECT 1;
       CREATE TABLE loose (a int); CREATE PUBLICATION mine FOR ALL TABLES WITH (publish = '${all}')`,
      {
        tables: ["public.*", "nowhere.*"],
        publication: "mine",
        pii: { "public.t": { id: "subject", emial: "email" }, "public.T": { name: "name" } },
      },
    );
    const findings = await found(capturing);
    const severities = findings.map(([severity]) => severity);
    expect(severities).toEqual(severities.toSorted());
    const told = findings.map(([severity, code, message]) => `${severity} ${code} ${message}`);
    for (const start of [
      'warn postgres_no_tables "nowhere.*" fits no table.',
      'warn postgres_tag_unmatched pii names the column "emial" of public.t, which has none of that name.',
      "warn postgres_tag_unmatched pii names public.T, which is no captured table.",
      "warn postgres_table_unfit public.u is not captured: it is an unlogged table",
      "warn postgres_table_unfit public.v is not captured: it is a view",
      "error postgres_table_without_key public.loose is not captured",
      `error postgres_publication The publication mine leaves out ${major === 10 ? "delete" : "truncate"}.`,
      "warn postgres_publication The publication mine is FOR ALL TABLES",
    ]) {
      expect(
        told.filter((one) => one.startsWith(start)),
        start,
      ).toHaveLength(1);
    }
    capturing.options = { tables: ["public.nothing"] };
    expect((await found(capturing)).map(([, code]) => code)).toContain("postgres_no_tables");
  });

  skipped("a database without an encoding is captured, and said to have none", async () => {
    const database = await TestDatabase.create(
      await sharedServer(major),
      "ENCODING 'SQL_ASCII' TEMPLATE template0",
    );
    capturing = new Capturing(database);
    await database.run("CREATE TABLE t (id int PRIMARY KEY)");
    expect((await found(capturing)).map(([severity, code]) => `${severity} ${code}`)).toContain(
      "warn postgres_encoding",
    );
  });

  skipped("a server without logical replication, and one without a slot left", async () => {
    const server = await PostgresServer.start({ major, settings: { max_replication_slots: 1 } });
    try {
      const database = await TestDatabase.open(server, "postgres");
      await database.run("CREATE TABLE t (id int PRIMARY KEY)");
      const on = new Capturing(database);
      await database.run("SELECT pg_create_physical_replication_slot('taken')");
      expect(await found(on)).toContainEqual([
        "error",
        "postgres_slots_used",
        expect.stringContaining("All 1 replication slots"),
        undefined,
      ]);
      await expect(on.start().ended).rejects.toMatchObject({ code: "postgres_slots_used" });
      await database.run("SELECT pg_drop_replication_slot('taken')");
      await database.client.end();
      await server.stop("fast");
      await server.run({ wal_level: "replica" });
      await expect(on.start().ended).rejects.toMatchObject({
        code: "postgres_wal_level",
        message: "wal_level is replica; logical replication needs logical.",
      });
      expect((await found(on)).map(([, code]) => code)).toContain("postgres_wal_level");
    } finally {
      await server.close();
    }
  });
});

test.skipIf(postgresMissing(18) !== undefined)(
  "a slot that may hold back any amount of log, or too little",
  async () => {
    capturing = await Capturing.on(18, "CREATE TABLE t (id int PRIMARY KEY)");
    expect(await found(capturing)).toEqual([
      [
        "warn",
        "postgres_wal_budget",
        expect.stringContaining("max_slot_wal_keep_size is -1"),
        expect.stringContaining("Set max_slot_wal_keep_size"),
      ],
    ]);
    await capturing.close();
    capturing = await Capturing.on(
      18,
      "CREATE TABLE t (id int PRIMARY KEY)",
      {},
      { max_slot_wal_keep_size: "512MB" },
    );
    expect((await found(capturing)).map(([, code, message]) => [code, message])).toEqual([
      ["postgres_wal_budget", expect.stringContaining("max_slot_wal_keep_size is 512 MB")],
    ]);
  },
);
