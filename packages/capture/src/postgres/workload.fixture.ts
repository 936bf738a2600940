import type { Client } from "pg";
import type { Chances } from "@weir/testkit";
import type { TestDatabase } from "./database.fixture.ts";

/** Types that columns get, each with texts of values, edges among them. */
const types: Readonly<Record<string, readonly string[]>> = {
  int: ["0", "-2147483648", "2147483647"],
  text: ["''", "'plain'", "E'tab\\tnew\\nline \\\\ quote\" \\u0001 ü 🎈'", "repeat('long', 2000)", "'\\N'"],
  "numeric(20,4)": ["0", "-1234567890.1234", "'NaN'"],
  numeric: ["1e100", "0.00000000000000000001", "'NaN'", "123456789012345678901234567890"],
  "double precision": ["'NaN'", "'-Infinity'", "0.1", "1e308", "-0.0", "123456.789012345678"],
  timestamptz: [
    "'infinity'",
    "'2026-02-29 24:00'::timestamp - interval '1 day'",
    "'0044-03-15 12:00 BC'",
    "now()",
  ],
  date: ["'-infinity'", "'4713-01-01 BC'", "'2026-11-21'"],
  boolean: ["true", "false"],
  jsonb: ["'null'", '\'{"a": [1, 2.50, "x"]}\'', "to_jsonb(repeat('json', 1500))"],
  bytea: ["'\\x00ff'", "decode(repeat('deadbeef', 1500), 'hex')", "''"],
  "int[]": ["'{}'", "'{1,NULL,3}'", "'[0:1]={5,6}'", "'{{1,2},{3,4}}'"],
  interval: ["'1 year 2 months 3 days 04:05:06.789'", "'-1 days'"],
  mood: ["'sad'", "'ok'"],
};

interface Table {
  schema: string;
  name: string;
  key: string[];
  /** Columns beside the key, with their types. */
  columns: Map<string, string>;
  partitioned: boolean;
  partitions: number;
}

/**
 * Changes a database in every way that has a consequence for a capture, at random: rows of every type, keys, several
 * transactions at a time, savepoints and rollbacks, truncations, partitions, and definitions of tables.
 *
 * Statements that fail (a duplicate key, a lock that another transaction holds) are part of it.
 */
export class Workload {
  readonly #database: TestDatabase;
  readonly #chance: Chances;
  readonly #version: number;
  readonly #tables: Table[] = [];
  readonly #clients: Client[] = [];
  #names = 0;
  /** What was run, for the report of a failing seed. */
  readonly log: string[] = [];

  private constructor(database: TestDatabase, chance: Chances, version: number) {
    this.#database = database;
    this.#chance = chance;
    this.#version = version;
  }

  static async start(database: TestDatabase, chance: Chances): Promise<Workload> {
    const workload = new Workload(database, chance, database.server.major);
    await database.run("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE SCHEMA other");
    for (let i = 0; i < 3; i++) workload.#clients.push(await database.another());
    for (const client of workload.#clients) await client.query("SET lock_timeout = '100ms'");
    for (let i = 0; i < 4; i++) await workload.#createTable();
    for (let i = 0; i < 15; i++) await workload.#rows(database.client);
    return workload;
  }

  /** Key columns of the tables there are now, by `schema.table`. */
  get tables(): Record<string, string[]> {
    return Object.fromEntries(this.#tables.map(({ schema, name, key }) => [`${schema}.${name}`, key]));
  }

  /** One transaction's worth, or a change of definitions. */
  async step(): Promise<void> {
    const client = this.#chance.pick(this.#clients);
    const what = this.#chance.below(100);
    if (what < 22) await this.#define();
    else if (what < 80) await this.#transaction(client);
    else await this.#rows(client);
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.end();
  }

  async #transaction(client: Client): Promise<void> {
    await this.#try(client, "BEGIN");
    let saved = false;
    for (let n = this.#chance.below(6); n >= 0; n--) {
      if (this.#chance.below(4) === 0) saved = (await this.#try(client, "SAVEPOINT s")) || saved;
      await this.#rows(client);
      // Another transaction goes on beside it.
      if (this.#chance.below(3) === 0) await this.#rows(this.#chance.pick(this.#clients));
      if (saved && this.#chance.below(6) === 0) await this.#try(client, "ROLLBACK TO SAVEPOINT s");
    }
    const end = this.#chance.below(10);
    await this.#try(client, end < 8 ? "COMMIT" : "ROLLBACK");
  }

  /** A statement on rows of some table. */
  async #rows(client: Client): Promise<void> {
    if (this.#tables.length === 0) return;
    const table = this.#chance.pick(this.#tables);
    const place = `${table.schema}."${table.name}"`;
    const some = `WHERE ctid IN (SELECT ctid FROM ${place} ORDER BY random() LIMIT ${1 + this.#chance.below(5)})`;
    const columns = [...table.columns];
    const what = this.#chance.below(100);
    if (what < 45 || columns.length === 0) await this.#insert(client, table);
    else if (what < 75) {
      const set = columns
        .filter(() => this.#chance.below(3) === 0)
        .map(([name, type]) => `"${name}" = ${this.#value(type)}`);
      if (set.length > 0) await this.#try(client, `UPDATE ${place} SET ${set.join(", ")} ${some}`);
    } else if (what < 88) {
      const key = this.#chance.pick(table.key);
      const shift = 10_000 + this.#chance.below(1_000_000);
      await this.#try(client, `UPDATE ${place} SET "${key}" = "${key}" + ${shift} ${some}`);
    } else if (what < 97) await this.#try(client, `DELETE FROM ${place} ${some}`);
    else await this.#try(client, `TRUNCATE ${place}`);
  }

  async #insert(client: Client, table: Table): Promise<void> {
    const names = [...table.key, ...table.columns.keys()];
    const conflict = table.partitioned && this.#version < 11 ? "" : " ON CONFLICT DO NOTHING";
    const values = Array.from({ length: 1 + this.#chance.below(8) }, () =>
      [
        ...table.key.map(() => String(this.#chance.below(conflict === "" ? 1_500_000 : 300))),
        ...[...table.columns.values()].map((type) => this.#value(type)),
      ].join(", "),
    );
    const list = names.map((name) => `"${name}"`).join(", ");
    await this.#try(
      client,
      `INSERT INTO ${table.schema}."${table.name}" (${list}) VALUES ${values.map((row) => `(${row})`).join(", ")}${conflict}`,
    );
  }

  /** A change of definitions, or of what there is. */
  async #define(): Promise<void> {
    const client = this.#chance.pick(this.#clients);
    const what = this.#chance.below(13);
    if (this.#tables.length < 3 || what === 0) return await this.#createTable();
    const table = this.#chance.pick(this.#tables);
    const place = `${table.schema}."${table.name}"`;
    const column = [...table.columns.keys()][this.#chance.below(table.columns.size)];
    if (what <= 3) return await this.#addColumn(client, table, place);
    if (what === 4 && column !== undefined) {
      if (await this.#try(client, `ALTER TABLE ${place} DROP COLUMN "${column}"`))
        table.columns.delete(column);
    } else if (what === 5 && column !== undefined) {
      const name = this.#name("r");
      if (await this.#try(client, `ALTER TABLE ${place} RENAME COLUMN "${column}" TO "${name}"`)) {
        table.columns.set(name, table.columns.get(column) ?? "text");
        table.columns.delete(column);
      }
    } else if (what === 6 && column !== undefined) {
      const sql = `ALTER TABLE ${place} ALTER COLUMN "${column}" TYPE text USING upper("${column}"::text) || 'x'`;
      if (await this.#try(client, sql)) table.columns.set(column, "text");
    } else if (what === 7) {
      const name = this.#name("Renamed ");
      if (await this.#try(client, `ALTER TABLE ${place} RENAME TO "${name}"`)) table.name = name;
    } else if (what === 8) {
      if (await this.#try(client, `DROP TABLE ${place}`)) this.#tables.splice(this.#tables.indexOf(table), 1);
    } else if (what === 9 && !table.partitioned) {
      await this.#try(
        client,
        `ALTER TABLE ${place} REPLICA IDENTITY ${this.#chance.pick(["FULL", "DEFAULT"])}`,
      );
    } else if (what === 10 && table.partitioned) await this.#partition(client, table, place);
    else if (what === 11) await this.#swap(client, table);
    else if (what === 12) await this.#rekey(client, table, place);
  }

  async #addColumn(client: Client, table: Table, place: string): Promise<void> {
    const type = this.#chance.pick(Object.keys(types));
    const name = this.#name(this.#chance.pick(["c", "Two Words ", "1"]));
    // One that is the same for all rows, one that each row has its own of, none.
    const defaults = [
      ` DEFAULT ${this.#value(type)}`,
      type === "text" ? " DEFAULT md5(random()::text)" : "",
      "",
    ];
    const sql = `ALTER TABLE ${place} ADD COLUMN "${name}" ${type}${this.#chance.pick(defaults)}`;
    if (await this.#try(client, sql)) table.columns.set(name, type);
  }

  /** Puts another table in the place of this one, as migration tools do. */
  async #swap(client: Client, table: Table): Promise<void> {
    if (table.partitioned) return;
    const old = this.#name("old");
    const place = `${table.schema}."${table.name}"`;
    const list = [...table.key, ...table.columns.keys()].map((name) => `"${name}"`).join(", ");
    const sql = `BEGIN; ALTER TABLE ${place} RENAME TO "${old}"; CREATE TABLE ${place} (LIKE ${table.schema}."${old}" INCLUDING ALL);
      INSERT INTO ${place} (${list}) SELECT ${list} FROM ${table.schema}."${old}"; DROP TABLE ${table.schema}."${old}"; COMMIT`;
    if (!(await this.#try(client, sql))) await this.#try(client, "ROLLBACK");
  }

  /** Gives the table another key: the one it had and a number. */
  async #rekey(client: Client, table: Table, place: string): Promise<void> {
    if (table.partitioned || table.key.length > 1) return;
    const name = this.#name("k");
    const sql = `BEGIN; ALTER TABLE ${place} ADD COLUMN "${name}" int NOT NULL DEFAULT 1;
      ALTER TABLE ${place} DROP CONSTRAINT IF EXISTS "${table.name}_pkey"; ALTER TABLE ${place} ADD PRIMARY KEY ("${table.key[0]}", "${name}"); COMMIT`;
    if (await this.#try(client, sql)) table.key = [...table.key, name];
    else await this.#try(client, "ROLLBACK");
  }

  async #partition(client: Client, table: Table, place: string): Promise<void> {
    const child = (n: number): string => `${table.schema}."${partitionName(table, n)}"`;
    const what = this.#chance.below(3);
    if (what === 0) {
      const n = table.partitions;
      const sql = `CREATE TABLE ${child(n)} PARTITION OF ${place}${this.#ownKey(table)} FOR VALUES FROM (${n * 1_000_000}) TO (${(n + 1) * 1_000_000})`;
      if (await this.#try(client, sql)) table.partitions += 1;
    } else if (what === 1) await this.#try(client, `TRUNCATE ${child(this.#chance.below(table.partitions))}`);
    else if (table.partitions > 2 && (await this.#try(client, `DROP TABLE ${child(table.partitions - 1)}`))) {
      table.partitions -= 1;
    }
  }

  async #createTable(): Promise<void> {
    const client = this.#database.client;
    const name = this.#name("t");
    const schema = this.#chance.pick(["public", "other"]);
    const partitioned = this.#chance.below(4) === 0;
    const key = this.#chance.below(3) === 0 && !partitioned ? ["id", "Part"] : ["id"];
    const columns = new Map(
      Array.from({ length: this.#chance.below(5) }, (_, i) => [
        `v${i}`,
        this.#chance.pick(Object.keys(types)),
      ]),
    );
    const table: Table = { schema, name, key, columns, partitioned, partitions: 2 };
    const list = [
      ...key.map((one) => `"${one}" int`),
      ...[...columns].map(([one, type]) => `"${one}" ${type}`),
    ].join(", ");
    const primary = `PRIMARY KEY (${key
      .toReversed()
      .map((one) => `"${one}"`)
      .join(", ")})`;
    const place = `${schema}."${name}"`;
    if (!partitioned) {
      if (await this.#try(client, `CREATE TABLE ${place} (${list}, ${primary})`)) this.#tables.push(table);
      return;
    }
    const own = this.#version < 11 ? "" : `, ${primary}`;
    const parts = [0, 1].map(
      (n) =>
        `CREATE TABLE ${schema}."${partitionName(table, n)}" PARTITION OF ${place}${this.#ownKey(table)} FOR VALUES FROM (${n * 1_000_000}) TO (${(n + 1) * 1_000_000})`,
    );
    const sql = [`CREATE TABLE ${place} (${list}${own}) PARTITION BY RANGE (id)`, ...parts].join("; ");
    if (await this.#try(client, sql)) this.#tables.push(table);
  }

  /** Before version 11 a partitioned table has no primary key; its partitions have. */
  #ownKey({ key }: Table): string {
    return this.#version < 11 ? ` (PRIMARY KEY (${key.map((one) => `"${one}"`).join(", ")}))` : "";
  }

  #value(type: string): string {
    if (this.#chance.below(6) === 0) return "NULL";
    const some = this.#chance.pick(types[type] ?? ["NULL"]);
    return type === "text" && this.#chance.below(3) === 0
      ? `repeat('toasted ', 500) || ${this.#chance.below(1000)}`
      : `(${some})::${type}`;
  }

  #name(prefix: string): string {
    return `${prefix}${++this.#names}`;
  }

  async #try(client: Client, sql: string): Promise<boolean> {
    try {
      await client.query(sql);
      this.log.push(sql);
      return true;
    } catch (error) {
      this.log.push(`-- ${(error as Error).message}: ${sql}`);
      return false;
    }
  }
}

const partitionName = ({ name }: Table, n: number): string => `${name.slice(0, 40)} part ${n}`;
