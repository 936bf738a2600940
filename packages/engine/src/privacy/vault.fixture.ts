/** For tests: a vault in a directory of its own, and batches of values. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "../database.ts";
import type { Sql } from "../database.ts";
import { assignTokens } from "./assign.ts";
import type { MasterKey } from "./master-key.ts";
import { Vault } from "./vault.ts";

export interface Wanted {
  readonly kind: string;
  readonly value: string;
  readonly subject?: string;
}

export class VaultHarness {
  readonly dataDir = mkdtempSync(join(tmpdir(), "weir-vault-"));
  #database: Database | undefined;
  #vault: Vault | undefined;
  /** Why the index was made anew. */
  readonly remade: string[] = [];
  #batch = 0;

  get vault(): Vault {
    if (this.#vault === undefined) throw new Error("the vault is not open");
    return this.#vault;
  }

  /** @param recentEntries of the index in memory; few make many runs on disk */
  async open(masterKey?: MasterKey, recentEntries?: number): Promise<Vault> {
    await this.close();
    const state = join(this.dataDir, "state");
    this.#database = await Database.open(join(state, "weir.duckdb"), join(state, "tmp"), {
      memoryLimit: "512MB",
    });
    this.#vault = await Vault.open({
      database: this.#database,
      dataDir: this.dataDir,
      onIndexRemade: (reason) => this.remade.push(reason),
      ...(masterKey === undefined ? {} : { masterKey }),
      ...(recentEntries === undefined ? {} : { recentEntries }),
    });
    return this.#vault;
  }

  connect(): Promise<Sql> {
    if (this.#database === undefined) throw new Error("the vault is not open");
    return this.#database.connect();
  }

  /** Tokens of the values of a batch, in the order of the batch. */
  async assign(wanted: readonly Wanted[]): Promise<string[]> {
    const sql = await this.connect();
    const schema = `b${++this.#batch}`;
    await this.vault.prepare(sql);
    await sql.run(`CREATE SCHEMA memory.${schema}; SET search_path = 'memory.${schema},memory.main';
      CREATE TABLE pii_wanted (kind VARCHAR, value VARCHAR, subject VARCHAR)`);
    const appender = await sql.connection.createAppender("pii_wanted", schema, "memory");
    for (const { kind, value, subject } of wanted) {
      for (const text of [kind, value, subject]) {
        if (text === undefined) appender.appendNull();
        else appender.appendVarchar(text);
      }
      appender.endRow();
    }
    appender.closeSync();
    await assignTokens({ sql, schema }, this.vault);
    const rows = await sql.rows<{ kind: string; value: string; token: string }>(
      "SELECT kind, value, token FROM pii_map",
    );
    sql.close();
    const tokens = new Map(rows.map(({ kind, value, token }) => [`${kind} ${value}`, token]));
    return wanted.map(({ kind, value }) => tokens.get(`${kind} ${value}`) ?? "");
  }

  async close(): Promise<void> {
    await this.#vault?.close();
    await this.#database?.close();
    this.#vault = undefined;
    this.#database = undefined;
  }

  async end(): Promise<void> {
    await this.close();
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}
