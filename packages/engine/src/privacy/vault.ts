import { WeirError } from "@weir/contract";
import { text } from "@weir/compile";
import { failpoint } from "@weir/log";
import type { Database, Sql } from "../database.ts";
import { eachRow } from "../each-row.ts";
import { decrypt, encrypt, keyFor, newKey, numberTexts } from "./cipher.ts";
import { KnownPeople } from "./known-people.ts";
import type { KeyWrapper } from "./master-key.ts";
import { keyWrapperOf } from "./master-key.ts";
import type { MasterKey } from "./master-key.ts";
import { markedTokens, tokenPattern, withValues } from "./marks.ts";
import {
  attachVault,
  bytesOf,
  indexDirectory,
  isRewriteDue,
  metaOf,
  rewriteVault,
  vaultCatalog,
  vaultExists,
  vaultPath,
  vaultTable,
} from "./vault-file.ts";
import { tokenIds } from "./vault-find.ts";
import { countsOf, saltAt } from "./vault-counts.ts";
import type { Counts, Salt } from "./vault-counts.ts";
import { VaultIndex } from "./vault-index.ts";
import type { Gone } from "./vault-index.ts";

/**
 * Where the values behind tokens are.
 *
 * A token says nothing of its value: it is made of a number that is given once and random bytes of the start, under a key of the vault's. The vault knows a value's token
 * by a keyed hash of the value, and keeps the value itself encrypted under the key of each subject who has it. Destroying a subject deletes its key and all that hangs on it; then nothing in
 * the vault, and no copy of a ciphertext elsewhere, leads from its tokens to its values or back.
 *
 * Invariants:
 * - Write-ahead: what a batch newly needs is durable here before any file of the batch is written. A batch that a crash
 *   interrupts finds its tokens when it runs again; what no batch comes back for is a value that stays encrypted.
 * - One value has one token of a kind for as long as the vault has it. Only one step assigns at a time.
 * - No number is given twice, not even that of what was destroyed.
 *
 * In a DuckDB file of its own, attached beside the state; a batch's values are looked up in an index (see vault-index.ts).
 */
export interface FoundToken {
  readonly kind: string;
  readonly token: string;
  /** Tokens of the subjects who have the value: pseudonyms, or the token itself where a record named no subject. */
  readonly subjects: readonly string[];
}

/** What shows that subjects are gone from the vault. */
export interface Destroyed {
  readonly subjects: number;
  readonly keys: number;
  readonly tokens: number;
  readonly ciphertexts: number;
  /** Ciphertexts that were set aside before, and how many of them could still be decrypted after. */
  readonly proof: { readonly kept: number; readonly decrypted: number };
}

export interface VaultOptions {
  readonly database: Database;
  readonly dataDir: string;
  /** Default: the file `vault/master.key` in the data directory. */
  readonly masterKey?: MasterKey;
  /** Entries of the index in memory before they become a run on disk; a quarter of it is how many people are known without it. */
  readonly recentEntries?: number;
  /** Hears why the index is made anew: a run of it is missing or damaged. */
  readonly onIndexRemade?: (reason: string) => void;
}

/** A subject's key as the vault has it. */
interface SubjectKey {
  readonly id: number;
  readonly wrapped: Uint8Array;
}

const cachedKeys = 50_000;
const sealedPrefix = "sealed:";
const sealedText = /^sealed:(\d+|(?:tok_[a-z]+|sub)_[A-Za-z0-9_-]{22}):([A-Za-z0-9+/]+=*)$/;
/** Ciphertexts that are tried after a destruction. */
const mostKept = 1_000;

export class Vault {
  readonly #sql: Sql;
  readonly #path: string;
  readonly #wrapKey: Buffer;
  readonly #tokenKey: Buffer;
  readonly #salts: readonly Salt[];
  /** The secret of values' hashes, in hexadecimal. */
  readonly hashSecret: string;
  /** That of records' contents: what MD5 takes in one block with a number behind it. */
  readonly contentSecret: string;
  /** Keys of subjects, unwrapped, those used last. */
  readonly #keys = new Map<number, Buffer>();
  readonly #sealing = new Map<string, Buffer>();
  readonly index: VaultIndex;
  readonly people: KnownPeople;
  /** Of lower ids the text of the token is in the table alone. */
  readonly numberedFrom: number;
  #nextId: number;
  #write: number;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(
    sql: Sql,
    path: string,
    key: Buffer,
    index: VaultIndex,
    people: KnownPeople,
    counts: Counts,
  ) {
    this.#sql = sql;
    this.#path = path;
    this.#wrapKey = keyFor(key, "wrap");
    this.#tokenKey = keyFor(key, "token");
    this.hashSecret = keyFor(key, "hash").toString("hex");
    this.contentSecret = keyFor(key, "content").toString("hex").slice(0, 32);
    this.index = index;
    this.people = people;
    this.numberedFrom = counts.numberedFrom;
    this.#salts = counts.salts;
    this.#nextId = counts.nextId;
    this.#write = counts.write;
  }

  static exists(dataDir: string): boolean {
    return vaultExists(dataDir);
  }

  /** @throws WeirError `vault_key_missing`, `vault_key_wrong`, `vault_unreadable` */
  static async open(options: VaultOptions): Promise<Vault> {
    const { database, dataDir, masterKey, recentEntries = 1_000_000, onIndexRemade } = options;
    const path = vaultPath(dataDir);
    const master = masterKey ?? { file: path.replace(/[^/]*$/, "master.key") };
    const sql = await database.connect();
    await attachVault(sql, path);
    failpoint("engine.vault.attached");
    const key = await ownKey(sql, master, path);
    if (await isRewriteDue(sql)) await rewriteVault(sql, path);
    const index = await VaultIndex.open(sql, indexDirectory(path), recentEntries, onIndexRemade);
    const people = new KnownPeople(Math.ceil(recentEntries / 4));
    return new Vault(sql, path, key, index, people, await countsOf(sql));
  }

  /** Runs a step while no other uses the vault. */
  readonly exclusive = <T>(step: () => Promise<T>): Promise<T> => {
    const done = this.#turn.then(step);
    this.#turn = done.catch(() => undefined);
    return done;
  };

  get nextId(): number {
    return this.#nextId;
  }

  /** Ids for new tokens; within `exclusive`. An id is used once, also when what it was for fails. */
  takeId(): number {
    return this.#nextId++;
  }

  /** The number of the next write to the vault; within `exclusive`. */
  takeWrite(): number {
    return this.#write++;
  }

  /** What the tokens of ids end with; of ids from `numberedFrom` on. */
  tokenTexts(ids: Float64Array): string[] {
    return numberTexts(this.#tokenKey, ids, (id) => saltAt(this.#salts, id));
  }

  /** A new subject's key, and what is kept of it. */
  newSubjectKey(id: number): { readonly key: Buffer; readonly wrapped: Buffer } {
    const key = newKey();
    this.#keep(id, key);
    return { key, wrapped: encrypt(this.#wrapKey, key) };
  }

  /** Keys of subjects who are in the vault; within `exclusive`. */
  async keysOf(subjects: ReadonlySet<number>): Promise<Map<number, Buffer>> {
    const cached = [...subjects].flatMap((id) => {
      const key = this.#keys.get(id);
      return key === undefined ? [] : [[id, key] as const];
    });
    const found = new Map(cached);
    const others = new Set([...subjects].filter((id) => !found.has(id)));
    for (const [id, key] of await this.#keysById(others)) found.set(id, key);
    return found;
  }

  #subjectKey(subject: number, wrapped: Uint8Array): Buffer {
    const known = this.#keys.get(subject);
    if (known !== undefined) return known;
    const key = decrypt(this.#wrapKey, wrapped);
    if (key === undefined)
      throw new WeirError("vault_unreadable", "The key of a subject cannot be unwrapped.", {
        where: this.#path,
      });
    this.#keep(subject, key);
    return key;
  }

  #keep(subject: number, key: Buffer): void {
    if (this.#keys.size >= cachedKeys) this.#keys.clear();
    this.#keys.set(subject, key);
  }

  /**
   * The SQL of a value's keyed hash, for `h0` and `h1` of `tokens`; needs the variable `weir_vault`. MD5 between two copies of a secret of
   * 256 bits: who does not have the secret can neither find values by their hashes nor make two values collide. These are what
   * `md5_number_lower` and `md5_number_upper` give, which would compute it twice.
   */
  static hashOf(this: void, kind: string, value: string): { readonly h0: string; readonly h1: string } {
    const input = `concat(getvariable('weir_vault'), ${kind}, chr(31), ${value}, getvariable('weir_vault'))`;
    return {
      h0: `(md5_number(${input}) >> 64)::UBIGINT`,
      h1: `(md5_number(${input}) & 18446744073709551615)::UBIGINT`,
    };
  }

  /** Lets a connection compute hashes of values, and contents of records. */
  async prepare(sql: Sql): Promise<void> {
    await sql.run(
      `SET VARIABLE weir_vault = '${this.hashSecret}'; SET VARIABLE weir_content = '${this.contentSecret}'`,
    );
  }

  /** The tokens that a value has, of one kind or of any; of an address those of all its forms. */
  async findTokens(value: string, kind?: string): Promise<FoundToken[]> {
    return await this.exclusive(async () => {
      await this.prepare(this.#sql);
      const rows = await this.#sql.rows<{ kind: string; token: string; subjects: string[] }>(
        `SELECT t.kind, t.token, list(DISTINCT s.token) FILTER (WHERE s.token IS NOT NULL) AS subjects
         FROM (${tokenIds(Vault.hashOf, value, kind)}) i JOIN ${vaultTable("tokens")} t USING (id)
         LEFT JOIN ${vaultTable("ciphers")} c ON c.token = t.id
         LEFT JOIN ${vaultTable("tokens")} s ON s.id = c.subject
         GROUP BY ALL ORDER BY t.kind, t.token`,
      );
      return rows.map(({ kind: of, token, subjects }) => ({ kind: of, token, subjects: subjects ?? [] }));
    });
  }

  /** Values by token; a token without one is not among them. */
  async reveal(tokens: readonly string[]): Promise<Map<string, string>> {
    const asked = [...new Set(tokens)].filter((token) => tokenPattern.test(token));
    if (asked.length === 0) return new Map();
    return await this.exclusive(async () => {
      await this.#loadTokens(asked);
      const values = new Map<string, string>();
      const result = await this.#sql.stream(
        `SELECT a.token, c.sealed, c.subject::DOUBLE, s.wrapped
         FROM temp.asked_tokens a JOIN ${vaultTable("tokens")} t ON t.token = a.token
         JOIN ${vaultTable("ciphers")} c ON c.token = t.id JOIN ${vaultTable("subjects")} s ON s.id = c.subject`,
      );
      await eachRow(result, (value) => {
        const token = value(0) as string;
        if (values.has(token)) return;
        const key = this.#subjectKey(value(2) as number, bytesOf(value(3)));
        const plain = decrypt(key, bytesOf(value(1)));
        if (plain !== undefined) values.set(token, plain.toString());
      });
      await this.#sql.run("DROP TABLE temp.asked_tokens");
      return values;
    });
  }

  async #loadTokens(tokens: readonly string[]): Promise<void> {
    await this.#sql.run("CREATE OR REPLACE TEMP TABLE asked_tokens (token VARCHAR)");
    const appender = await this.#sql.connection.createAppender("asked_tokens", "main", "temp");
    for (const token of tokens) {
      appender.appendVarchar(token);
      appender.endRow();
    }
    appender.closeSync();
  }

  /**
   * Encrypts texts that may have personal values at places nobody knows, under a key of the day's: `sealed:<key>:<base64>`.
   * The key is durable before this resolves.
   *
   * @param day such as `2026-01-31`
   */
  async sealer(day: string): Promise<(plain: string) => string> {
    const id = await this.exclusive(() => this.#sealingKey(day));
    const key = this.#sealing.get(id);
    if (key === undefined) throw new Error(`unreachable: no key ${id}`);
    return (plain) => `${sealedPrefix}${id}:${encrypt(key, Buffer.from(plain)).toString("base64")}`;
  }

  async #sealingKey(day: string): Promise<string> {
    const [found] = await this.#sql.rows<{ id: string }>(
      `SELECT id::VARCHAR AS id FROM ${vaultTable("sealing")} WHERE day = ${text(day)}`,
    );
    if (found !== undefined) {
      await this.#loadSealing([found.id]);
      return found.id;
    }
    const id = String(this.takeId());
    const key = newKey();
    const wrapped = encrypt(this.#wrapKey, key).toString("hex");
    await this.#sql.run(
      `INSERT INTO ${vaultTable("sealing")} VALUES (${id}, ${text(day)}, from_hex('${wrapped}'))`,
    );
    failpoint("engine.vault.sealing_key");
    this.#sealing.set(id, key);
    return id;
  }

  async #loadSealing(ids: readonly string[]): Promise<void> {
    const wanted = ids.filter((id) => !this.#sealing.has(id));
    if (wanted.length === 0) return;
    const result = await this.#sql.stream(
      `SELECT id::VARCHAR, wrapped FROM ${vaultTable("sealing")} WHERE id IN (${wanted.join(", ")})`,
    );
    await eachRow(result, (value) => {
      const key = decrypt(this.#wrapKey, bytesOf(value(1)));
      if (key !== undefined) this.#sealing.set(value(0) as string, key);
    });
  }

  /** Encrypts a text so that destroying the subject destroys it too. */
  static sealedFor(subjectToken: string, sealed: Buffer): string {
    return `${sealedPrefix}${subjectToken}:${sealed.toString("base64")}`;
  }

  /**
   * The texts that were sealed, in their order; texts that were not are as they are. Undefined where the key is gone or the text was
   * changed.
   */
  async unseal(texts: readonly string[]): Promise<(string | undefined)[]> {
    const parsed = texts.map((sealed) => sealedText.exec(sealed));
    const ids = new Set(parsed.flatMap((match) => match?.[1] ?? []));
    const numbers = [...ids].filter((id) => /^\d+$/.test(id));
    const subjects = [...ids].filter((id) => !/^\d+$/.test(id));
    const keys = await this.exclusive(async () => {
      if (numbers.length > 0) await this.#loadSealing(numbers);
      return await this.#subjectKeys(subjects);
    });
    return texts.map((plain, i) => {
      const [, id = "", body = ""] = parsed[i] ?? [];
      if (id === "") return plain.startsWith(sealedPrefix) ? undefined : plain;
      const key = this.#sealing.get(id) ?? keys.get(id);
      return key === undefined ? undefined : decrypt(key, Buffer.from(body, "base64"))?.toString();
    });
  }

  async #subjectKeys(tokens: readonly string[]): Promise<Map<string, Buffer>> {
    const keys = new Map<string, Buffer>();
    if (tokens.length === 0) return keys;
    const result = await this.#sql.stream(
      `SELECT t.token, t.id::DOUBLE, s.wrapped FROM ${vaultTable("tokens")} t JOIN ${vaultTable("subjects")} s USING (id)
       WHERE t.token IN (${tokens.map(text).join(", ")})`,
    );
    await eachRow(result, (value) => {
      keys.set(value(0) as string, this.#subjectKey(value(1) as number, bytesOf(value(2))));
    });
    return keys;
  }

  /**
   * Texts of raw records as they were received, in their order: what was sealed is opened, and values stand where tokens stood.
   * Undefined where that needs what was erased. Of card data a stand-in is there (see marks.ts).
   */
  async restoreTexts(texts: readonly string[]): Promise<(string | undefined)[]> {
    const opened = await this.unseal(texts);
    const tokens = opened.flatMap((one) => (one === undefined ? [] : markedTokens(one)));
    const values = await this.reveal(tokens);
    return opened.map((one) =>
      one === undefined ? undefined : withValues(one, (token) => values.get(token)),
    );
  }

  /**
   * Destroys subjects: their keys, their ciphertexts, and the tokens of values that no other subject has. Then the file is
   * written anew. When this resolves, no byte of them is in it.
   *
   * Crash points: the deletion is one transaction; one that was committed is finished by the next start.
   *
   * @param subjects tokens of subjects; unknown ones are left out
   */
  async destroySubjects(subjects: readonly string[]): Promise<Destroyed> {
    const asked = [...new Set(subjects)].filter((token) => tokenPattern.test(token));
    const { gone: _, ...destroyed } = await this.index.destroying(this.exclusive, async () => {
      await this.people.forget(this.#sql);
      await this.#loadTokens(asked);
      const subjects = `(SELECT t.id FROM ${vaultTable("tokens")} t JOIN temp.asked_tokens a ON a.token = t.token
        JOIN ${vaultTable("subjects")} s ON s.id = t.id)`;
      await this.#sql.run(`CREATE OR REPLACE TEMP TABLE gone_subjects AS ${subjects}`);
      const kept = await this.#keptCiphertexts();
      const { gone, ...counts } = await this.#delete();
      failpoint("engine.vault.deleted");
      this.#keys.clear();
      await this.#sql.run("DROP TABLE temp.asked_tokens; DROP TABLE temp.gone_subjects");
      await rewriteVault(this.#sql, this.#path);
      const keys = await this.#keysById(new Set(kept.map(({ subject }) => subject)));
      const decrypted = kept.filter(({ subject, sealed }) => {
        const key = keys.get(subject);
        return key !== undefined && decrypt(key, sealed) !== undefined;
      }).length;
      return { ...counts, proof: { kept: kept.length, decrypted }, gone };
    });
    return destroyed;
  }

  async #keptCiphertexts(): Promise<{ subject: number; sealed: Buffer }[]> {
    const kept: { subject: number; sealed: Buffer }[] = [];
    const result = await this.#sql.stream(
      `SELECT c.subject::DOUBLE, c.sealed FROM ${vaultTable("ciphers")} c JOIN temp.gone_subjects g ON g.id = c.subject
       LIMIT ${mostKept}`,
    );
    await eachRow(result, (value) => {
      kept.push({ subject: value(0) as number, sealed: Buffer.from(bytesOf(value(1))) });
    });
    return kept;
  }

  async #delete(): Promise<Omit<Destroyed, "proof"> & { readonly gone: Gone }> {
    const sql = this.#sql;
    const taken = async (table: string, condition: string): Promise<Set<number>> => {
      const rows = await sql.rows<{ id: number }>(
        `SELECT id::DOUBLE AS id FROM ${vaultTable(table)} WHERE ${condition}`,
      );
      await sql.run(`DELETE FROM ${vaultTable(table)} WHERE ${condition}`);
      return new Set(rows.map(({ id }) => id));
    };
    const ofGone = "subject IN (SELECT id FROM temp.gone_subjects)";
    const ciphers = vaultTable("ciphers");
    await sql.run("BEGIN");
    try {
      await sql.run(
        `CREATE OR REPLACE TEMP TABLE gone_tokens AS SELECT DISTINCT token AS id FROM ${ciphers} WHERE ${ofGone}`,
      );
      const { n } = await sql.row<{ n: number }>(
        `SELECT count(*)::DOUBLE AS n FROM ${ciphers} WHERE ${ofGone}`,
      );
      await sql.run(`DELETE FROM ${ciphers} WHERE ${ofGone}`);
      const subjects = await taken("subjects", "id IN (SELECT id FROM temp.gone_subjects)");
      const tokens = await taken(
        "tokens",
        `id IN (SELECT id FROM temp.gone_tokens) AND id NOT IN (SELECT token FROM ${ciphers})`,
      );
      await sql.run(`DELETE FROM ${vaultTable("forms")} WHERE token NOT IN (SELECT id FROM ${vaultTable("tokens")});
        INSERT INTO ${vaultTable("meta")} VALUES ('rewrite', '') ON CONFLICT DO NOTHING`);
      // The highest ids may be among those that go.
      await sql.run(`INSERT OR REPLACE INTO ${vaultTable("meta")} VALUES ('next_id', '${this.#nextId}')`);
      await sql.run(VaultIndex.forget());
      await sql.run("DROP TABLE temp.gone_tokens");
      await sql.run("COMMIT");
      const counts = { subjects: subjects.size, keys: subjects.size, tokens: tokens.size, ciphertexts: n };
      return { ...counts, gone: { tokens, subjects } };
    } catch (error) {
      await sql.run("ROLLBACK").catch(() => undefined);
      throw error;
    }
  }

  async #keysById(ids: ReadonlySet<number>): Promise<Map<number, Buffer>> {
    const keys = new Map<number, Buffer>();
    if (ids.size === 0) return keys;
    const found: SubjectKey[] = [];
    const result = await this.#sql.stream(
      `SELECT id::DOUBLE, wrapped FROM ${vaultTable("subjects")} WHERE id IN (${[...ids].join(", ")})`,
    );
    await eachRow(result, (value) => {
      found.push({ id: value(0) as number, wrapped: bytesOf(value(1)) });
    });
    for (const { id, wrapped } of found) keys.set(id, this.#subjectKey(id, wrapped));
    return keys;
  }

  /** Waits for the step in work. The database closes the connection. */
  async close(): Promise<void> {
    await this.#turn;
    await this.index.close();
    await this.#sql.run(`CHECKPOINT ${vaultCatalog}`).catch(() => undefined);
  }
}

/** Unwraps the vault's own key, or makes it. */
async function ownKey(sql: Sql, master: MasterKey, path: string): Promise<Buffer> {
  const found = await metaOf(sql, "key");
  const wrapper: KeyWrapper = keyWrapperOf(master, found === undefined);
  if (found === undefined) {
    const key = newKey();
    const wrapped = (await wrapper.wrap(key)).toString("base64");
    await sql.run(`INSERT INTO ${vaultTable("meta")} VALUES ('key', '${wrapped}')`);
    return key;
  }
  const key = await wrapper.unwrap(Buffer.from(found, "base64"));
  if (key !== undefined) return key;
  throw new WeirError("vault_key_wrong", "The master key is not the one that the vault was made with.", {
    where: path,
  });
}
