import assert from "node:assert/strict";
import { PostgresServer } from "@weir/testkit";
import type { Captured, PostgresMajor } from "@weir/testkit";
import { Client } from "pg";
import { foldChanges } from "./fold.fixture.ts";
import type { FoldedStream } from "./fold.fixture.ts";
import { connect } from "./connect.ts";
import { identifier } from "./wire.ts";
import type { Wire } from "./wire.ts";

let servers = new Map<string, Promise<PostgresServer>>();
let databases = 0;

/** A server that tests of one file share, each with a database of its own. */
export function sharedServer(
  major: PostgresMajor,
  settings: Readonly<Record<string, string | number>> = {},
): Promise<PostgresServer> {
  const name = `${major} ${JSON.stringify(settings)}`;
  let server = servers.get(name);
  if (server === undefined) {
    server = PostgresServer.start({
      major,
      settings: { max_replication_slots: 40, max_wal_senders: 40, ...settings },
    });
    servers.set(name, server);
  }
  return server;
}

export async function closeServers(): Promise<void> {
  const open = [...servers.values()];
  servers = new Map();
  await Promise.all(open.map(async (server) => (await server).close()));
}

/** A database on a server, and a user of it. */
export class TestDatabase {
  readonly server: PostgresServer;
  readonly name: string;
  readonly client: Client;

  private constructor(server: PostgresServer, name: string, client: Client) {
    this.server = server;
    this.name = name;
    this.client = client;
  }

  static async create(server: PostgresServer, options = ""): Promise<TestDatabase> {
    const name = `t${process.pid}_${++databases}`;
    const admin = new Client({ connectionString: server.url() });
    await admin.connect();
    await admin.query(`CREATE DATABASE ${name} ${options}`);
    await admin.end();
    return await TestDatabase.open(server, name);
  }

  static async open(server: PostgresServer, name: string): Promise<TestDatabase> {
    const client = new Client({ connectionString: server.url(name) });
    client.on("error", () => undefined);
    await client.connect();
    return new TestDatabase(server, name, client);
  }

  get url(): string {
    return this.server.url(this.name);
  }

  /** Runs statements; returns the rows of the last, in pg's types. */
  async run(sql: string): Promise<Record<string, unknown>[]> {
    const result: unknown = await this.client.query(sql);
    const last = Array.isArray(result) ? (result.at(-1) as { rows: unknown }) : (result as { rows: unknown });
    return last.rows as Record<string, unknown>[];
  }

  /** A second user of the database. */
  async another(): Promise<Client> {
    const client = new Client({ connectionString: this.url });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  }

  /** Every row of a table now, as the server writes it in a capture's session, by key. */
  async rows(schema: string, table: string, key: readonly string[]): Promise<FoldedStream> {
    const wire = await connect({ url: this.url, name: "test" });
    try {
      return await tableRows(wire, schema, table, key);
    } finally {
      await wire.close();
    }
  }

  async close(): Promise<void> {
    await this.client.end().catch(() => undefined);
    // Slots of the database keep it from being dropped, and keep the server's log.
    const admin = new Client({ connectionString: this.server.url() });
    admin.on("error", () => undefined);
    await admin.connect();
    await admin.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${this.name}'`,
    );
    for (let tries = 0; ; tries++) {
      try {
        await admin.query(
          `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = '${this.name}'`,
        );
        await admin.query(`DROP DATABASE IF EXISTS ${this.name}`);
        break;
      } catch (error) {
        if (tries > 200) throw error;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    await admin.end();
  }
}

async function tableRows(
  wire: Wire,
  schema: string,
  table: string,
  key: readonly string[],
): Promise<FoldedStream> {
  // Generated columns are published from version 18 on, where they are stored.
  const [version] = await wire.query("SHOW server_version_num");
  const generated =
    Number(version?.[0]) >= 180000
      ? "attgenerated <> 'v'"
      : Number(version?.[0]) >= 120000
        ? "attgenerated = ''"
        : "true";
  const columns = await wire.query(
    `SELECT attname FROM pg_attribute WHERE attrelid = '${identifier(schema)}.${identifier(table)}'::regclass AND attnum > 0 AND NOT attisdropped AND ${generated} ORDER BY attnum`,
  );
  const names = columns.map(([name]) => name ?? "");
  const rows = await wire.query(
    `SELECT ${names.map(identifier).join(", ")} FROM ${identifier(schema)}.${identifier(table)}`,
  );
  return new Map(
    rows.map((row) => {
      const values = new Map(names.map((name, i) => [name, row[i] ?? null]));
      return [JSON.stringify(key.map((name) => values.get(name))), values] as const;
    }),
  );
}

/**
 * Throws unless the records, folded, hold what the database's tables hold at this moment, text for text.
 *
 * @param tables key columns by `schema.table`
 */
export async function expectEqual(
  database: TestDatabase,
  records: readonly Captured[],
  tables: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const folded = foldChanges(records);
  for (const [stream, key] of Object.entries(tables)) {
    const [schema = "", table = ""] = stream.split(".");
    const difference = compare(folded.get(stream) ?? new Map(), await database.rows(schema, table, key));
    assert.equal(difference, undefined, `${stream} as captured is not what it is: ${difference}`);
  }
}

/** What tells two states of a table apart, in short; undefined: nothing. */
function compare(found: FoldedStream, expected: FoldedStream): string | undefined {
  const missing = [...expected.keys()].filter((key) => !found.has(key));
  const extra = [...found.keys()].filter((key) => !expected.has(key));
  if (missing.length + extra.length > 0) {
    const few = (keys: readonly string[]): string =>
      `${keys.length} (${keys.slice(0, 5).join(", ").slice(0, 200)})`;
    return `of ${expected.size} rows it lacks ${few(missing)} and has ${few(extra)} that are gone`;
  }
  for (const [key, row] of expected) {
    const other = found.get(key) ?? new Map<string, string | null>();
    for (const name of new Set([...row.keys(), ...other.keys()])) {
      const [is, says] = [row.get(name), other.get(name)].map((value) =>
        JSON.stringify(value)?.slice(0, 100),
      );
      if (row.get(name) !== other.get(name)) return `row ${key} has ${name} = ${is}, captured was ${says}`;
    }
  }
  return undefined;
}
